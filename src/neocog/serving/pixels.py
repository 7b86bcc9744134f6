"""From what somebody sends to the pixels that a bundle takes, exactly as `prepare` makes them of files."""

import base64
import binascii
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.data.sources.decode import RefusedError, as_row, read_both
from neocog.data.sources.formats import READ
from neocog.errors import UserError
from neocog.evaluation.preparation import Preparation


def images(items: Sequence[Any], how: Preparation) -> NDArray[np.uint8]:
    """uint8 [N, H, W, C] of pictures (bytes, or base64 text) and arrays [H, W, C]. Raises UserError naming the first bad one."""
    rows = []
    for number, item in enumerate(items):
        try:
            rows.append(_image(item, how))
        except (RefusedError, ValueError) as error:
            raise UserError(f"image {number}: {error}") from None
    shape = (0, how["size"], how["size"], how["channels"])
    return np.stack(rows) if rows else np.zeros(shape, np.uint8)


def promised(items: Sequence[Any]) -> int:
    """How many pixels the pictures among `items` have, as their headers tell: known before any is decoded."""
    return sum(_promised(item) for item in items if isinstance(item, str | bytes))


def picture(content: bytes, how: Preparation) -> NDArray[np.uint8]:
    """The content of a picture file as uint8 [H, W, C]: what `decode` makes of the file. Raises RefusedError."""
    return as_row(read_both(BytesIO(content), how)[1], how)


def _image(item: Any, how: Preparation) -> NDArray[np.uint8]:
    if isinstance(item, str):
        return picture(_content(item), how)
    if isinstance(item, bytes):
        return picture(item, how)
    return _array(item, size=how["size"], channels=how["channels"])


def _promised(item: str | bytes) -> int:
    try:
        file = BytesIO(_content(item) if isinstance(item, str) else item)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=READ) as image:
                return image.width * image.height
    except Exception:  # no picture, or a spoilt one: `images` says what is wrong
        return 0


def _content(text: str) -> bytes:
    """The bytes that base64 `text` stands for, a data: URL included."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UserError("not base64; encode the picture file's bytes") from None


def _array(value: Any, *, size: int, channels: int) -> NDArray[np.uint8]:
    wanted = (size, size, channels)
    if not isinstance(value, list | tuple | np.ndarray):
        raise UserError(f"neither base64 text nor an array {list(wanted)}, but {_kind(value)}")
    try:
        pixels = np.array(value.tolist() if isinstance(value, np.ndarray) and value.dtype == object else value)
    except ValueError:
        raise UserError(f"rows of different lengths; an array must be {list(wanted)}") from None
    if channels == 1 and pixels.shape == wanted[:2]:
        pixels = pixels[..., None]
    if pixels.shape != wanted:
        raise UserError(f"shape {list(pixels.shape)}, not {list(wanted)}; send a picture as base64 to have it resized")
    if pixels.dtype.kind not in "iuf" or (pixels.dtype.kind == "f" and not (pixels == np.rint(pixels)).all()):
        raise UserError("values that are no whole numbers; send raw pixels, 0 to 255, not scaled ones")
    if pixels.min() < 0 or pixels.max() > 255:
        raise UserError(f"values from {pixels.min():g} to {pixels.max():g}; pixels go from 0 to 255")
    return pixels.astype(np.uint8)


def _kind(value: Any) -> str:
    return "null" if value is None else f"{type(value).__name__} {value!r}"[:60]
