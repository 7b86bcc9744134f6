"""Boxes x1, y1, x2, y2 in pixels: areas, intersection over union, and where resizing an image puts them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.core.image_size import Size

Numbers = NDArray[np.floating[Any]]
VISIBLE = 0.25  # share of a box that must remain for the object to count


def area(boxes: Numbers) -> Numbers:
    """Areas [...] of boxes [..., 4]."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def iou(first: Numbers, second: Numbers) -> Numbers:
    """Intersection over union [...] of boxes [..., 4], which are broadcast; 0 of two without area."""
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = sides.clip(min=0).prod(axis=-1)
    union = area(first) + area(second) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clip(boxes: Numbers, size: Size) -> Numbers:
    """Boxes [..., 4] cut off at the borders of an image of `size` (height, width)."""
    height, width = size
    return np.minimum(boxes.clip(min=0), np.array([width, height, width, height], boxes.dtype))


def resized(boxes: Numbers, image: Size, size: Size, *, resize: str) -> Numbers:
    """Boxes [M, 4] of an image (height, width) when it is brought to `size` by `data.resize`, as decoding does it."""
    from neocog.data.decoding.resize import placement

    left, top, across, down = placement(image[::-1], size[::-1], resize=resize)
    scale = np.array([across / image[1], down / image[0]] * 2)
    return boxes * scale + np.array([left, top] * 2)


def mirrored(boxes: Numbers, width: int) -> Numbers:
    """Boxes [..., 4] of an image that is flipped left-right."""
    return np.stack([width - boxes[..., 2], boxes[..., 1], width - boxes[..., 0], boxes[..., 3]], axis=-1)
