"""Decode images of requests to the pixels that a bundle takes, exactly as `prepare` decodes files."""

import base64
import binascii
import string
import warnings
from collections.abc import Sequence
from io import BytesIO
from itertools import chain
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.data.decoding.decode import as_row, read_picture
from neocog.data.decoding.decompression_bombs import num_pixels
from neocog.data.decoding.encoded import RefusedError
from neocog.data.decoding.formats import READ
from neocog.evaluation.preparation import Preparation
from neocog.serving.protocol import TooLarge, brief

MAX_PIXELS = 200_000_000  # of all pictures in a request as they are sent: some seconds of decoding
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_NESTED = (list, tuple, np.ndarray)
_NUMBERS = (int, float, np.integer, np.floating)


def images(items: Sequence[Any], how: Preparation) -> NDArray[np.uint8]:
    """Decode to uint8 [N, H, W, C]: pictures (bytes, or base64 text) and arrays [H, W, C]. Raises UserError naming the first bad one."""
    rows = []
    for number, item in enumerate(items):
        try:
            rows.append(_image(item, how))
        except (RefusedError, ValueError) as error:
            raise UserError(f"image {number}: {error}") from None
    shape = (0, *how["size"], how["channels"])
    return np.stack(rows) if rows else np.zeros(shape, np.uint8)


def promised(items: Sequence[Any], how: Preparation, *, most: int = MAX_PIXELS) -> int:
    """Count the pixels of the pictures among `items` from their headers, before any is decoded.

    Raises TooLarge when they are more than `most`, and more than one picture may have.
    """
    most = max(most, how["max_pixels"])  # what may be sent alone is no crowd
    if (found := sum(_promised(item) for item in items if isinstance(item, str | bytes))) > most:
        raise TooLarge(f"{found:,} pixels; send at most {most:,} in one request, all pictures together")
    return found


def picture(content: bytes, how: Preparation) -> NDArray[np.uint8]:
    """The content of a picture file as uint8 [H, W, C]: what `decode` makes of the file. Raises RefusedError."""
    return as_row(read_picture(BytesIO(content), how), how)


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
                return num_pixels(image)
    except Exception:  # no picture, or a spoilt one: `images` says what is wrong
        return 0


def _content(text: str) -> bytes:
    """Decode base64 `text` as ordinary clients write it: in lines, URL-safe, unpadded, as a data: URL."""
    if text[:5].lower() == "data:":
        text = unquote(text.partition(",")[2])
    try:
        written = text.encode("ascii").translate(_URL_SAFE, string.whitespace.encode()).rstrip(b"=")
        return base64.b64decode(written + b"=" * (-len(written) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UserError("not base64; encode the picture file's bytes") from None


def _array(value: Any, *, size: Size, channels: int) -> NDArray[np.uint8]:
    wanted = (*size, channels)
    if not isinstance(value, _NESTED):
        raise UserError(f"neither base64 text nor an array {list(wanted)}, but {brief(value)}")
    shape, values = _flat(value, len(wanted))
    if shape != wanted and not (channels == 1 and shape == wanted[:2]):
        raise UserError(f"shape {list(shape)}, not {list(wanted)}; send a picture as base64 to have it resized")
    kinds = set(map(type, values))
    if not all(issubclass(kind, _NUMBERS) and kind is not bool for kind in kinds) or any(
        x % 1 != 0 for x in set(values)
    ):
        raise UserError("values that are no whole numbers; send raw pixels, 0 to 255, not scaled ones")
    low, high = min(values), max(values)
    if low < 0 or high > 255:
        raise UserError(f"values from {max(low, -1e9):g} to {min(high, 1e9):g}; pixels go from 0 to 255")
    return np.array(values, np.uint8).reshape(wanted)


def _flat(value: Any, depth: int) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and values of nested lists, by references only: numpy would pad every text to the length of the longest."""
    shape: list[int] = []
    level = [value]
    while level and all(isinstance(part, _NESTED) for part in level):
        if len(shape) == depth:
            raise UserError(f"lists nested in more than {depth} levels; an array has rows, columns and channels")
        lengths = set(map(len, level))
        if len(lengths) > 1:
            raise UserError("rows of different lengths; an array must be [H, W, C]")
        shape += lengths
        level = list(chain.from_iterable(level))
    if any(isinstance(part, _NESTED) for part in level):
        raise UserError("rows of different lengths; an array must be [H, W, C]")
    return tuple(shape), level
