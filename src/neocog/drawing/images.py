"""Images as data URIs, for a page without a second file."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
EXACT = 64  # px of the longer side up to which a picture keeps its pixels; JPEG holds a larger photograph in a sixth of the bytes
QUALITY = 88


def png(image: Pixels) -> str:
    """uint8 [H, W, C] of 1 (gray), 3 (RGB) or 4 (RGBA) channels as `data:image/png;base64,...`."""
    file = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


def picture(image: Pixels) -> str:
    """uint8 [H, W, 1 or 3] as a data URI: PNG, or JPEG where it is larger than `EXACT`."""
    if max(image.shape[:2]) <= EXACT:
        return png(image)
    file = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + b64encode(file.getvalue()).decode()


def shrunk(image: Pixels, *, side: int) -> Pixels:
    """The image with its longer side at most `side`, averaged over areas; as it is when it already fits."""
    height, width, channels = image.shape
    if max(height, width) <= side:
        return np.asarray(image)
    factor = side / max(height, width)
    small = Image.fromarray(image[..., 0] if channels == 1 else np.asarray(image))
    small = small.resize((max(1, round(width * factor)), max(1, round(height * factor))), Image.Resampling.BOX)
    return np.asarray(small).reshape(small.height, small.width, channels)


def fitted(image: Pixels, *, side: int) -> Image.Image:
    """The image with its longer side exactly `side`: averaged over areas, or pixels repeated."""
    small = shrunk(image, side=side)
    factor = side / max(small.shape[:2])
    shape = (max(1, round(small.shape[1] * factor)), max(1, round(small.shape[0] * factor)))
    return Image.fromarray(small[..., 0] if small.shape[2] == 1 else small).resize(shape, Image.Resampling.NEAREST)


def largest_side(images: list[Pixels], *, budget: int) -> int:
    """The side to shrink to so that all the pictures together stay within `budget` bytes of page."""
    for side in (112, 80, 64, 48, 32, 24):
        if sum(len(picture(shrunk(image, side=side))) for image in images) <= budget:
            return side
    return 16
