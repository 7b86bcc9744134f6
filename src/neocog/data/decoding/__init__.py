"""One encoded image to pixels: what prepare, training on encoded images and serving share."""
