"""Drawing: SVG text, colormaps, images as data URIs, the width of text, placement of labels, numbers as people read them. No torch."""
