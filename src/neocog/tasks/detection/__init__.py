"""Object detection: boxes with a class and a score, non-maximum suppression in the graph, COCO average precision."""

DETECTIONS = 100  # of an image, at most, as COCO judges them
