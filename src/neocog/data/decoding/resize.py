"""Bring a picture to the size that a network takes: crop, pad or stretch."""

import numpy as np
from PIL import Image

from neocog.core.image_size import Size

INTERPOLATIONS = {
    kind.name.lower(): kind for kind in Image.Resampling
}  # bicubic, bilinear, box, hamming, lanczos, nearest
INTERPOLATION = "bicubic"  # where nothing is said


def to_row(
    image: Image.Image,
    *,
    size: Size,
    channels: int,
    resize: str,
    padding: tuple[int, int, int] = (255, 255, 255),
    interpolation: str = INTERPOLATION,
) -> np.ndarray:
    """A picture, L or RGB, as uint8 [*size, channels]; `resize` is how it gets that shape.

    `crop` keeps the middle, `pad` adds `padding`, `stretch` bends. Antialiased, as Pillow does it, but for `nearest`.
    """
    if channels == 1 and image.mode != "L":
        image = image.convert("L")
    whole = inner = size[::-1]  # width, height, as Pillow has them
    if resize == "crop":
        across, down = _largest(image.size, shape=whole)
        left, top = (image.width - across) // 2, (image.height - down) // 2
        image = image.crop((left, top, left + across, top + down))  # not resize(box=): that looks beyond the box
    elif resize == "pad":
        inner = _largest(whole, shape=image.size)
    image = image.resize(inner, INTERPOLATIONS[interpolation], reducing_gap=2.0)
    if inner != whole:
        canvas = Image.new("RGB", whole, padding)
        canvas = canvas.convert("L") if channels == 1 or (image.mode == "L" and len({*padding}) == 1) else canvas
        image = image.convert(canvas.mode)
        canvas.paste(image, ((whole[0] - inner[0]) // 2, (whole[1] - inner[1]) // 2))
        image = canvas
    row = np.asarray(image)
    return np.broadcast_to(row[..., None], (*size, channels)) if row.ndim == 2 else row


def placement(image: tuple[int, int], size: tuple[int, int], *, resize: str) -> tuple[float, float, float, float]:
    """Where `to_row` puts an image (width, height) on one of `size`: left, top, width, height of the whole image; it may reach beyond."""
    if resize == "pad":
        across, down = _largest(size, shape=image)
        return (size[0] - across) // 2, (size[1] - down) // 2, across, down
    if resize == "crop":
        across, down = _largest(image, shape=size)
        scale = size[0] / across, size[1] / down
        left, top = (image[0] - across) // 2, (image[1] - down) // 2
        return -left * scale[0], -top * scale[1], image[0] * scale[0], image[1] * scale[1]
    return 0, 0, *size


def _largest(box: tuple[int, int], *, shape: tuple[int, int]) -> tuple[int, int]:
    """The largest (width, height) inside `box` that has the proportions of `shape`, to a pixel; one at least."""
    if box[0] * shape[1] <= box[1] * shape[0]:
        return box[0], max(1, round(box[0] * shape[1] / shape[0]))
    return max(1, round(box[1] * shape[0] / shape[1])), box[1]
