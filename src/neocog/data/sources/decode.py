"""One image file in, one row of pixels out: what every kind of picture becomes.

| found | becomes |
|---|---|
| gray, 1-bit | gray |
| palette, CMYK, YCbCr, LAB | RGB |
| transparency of any kind | laid on white |
| 16-bit gray | the upper 8 bits, rounded: one fixed scale, so that images stay comparable |
| 32-bit float, or integers beyond 16 bits | refused: their range is not known |
| EXIF orientation | turned upright |
| animation, many pages | the first one |
| R = G = B everywhere | gray |
"""

import hashlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from neocog.data.splits import content_hash

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# A JPEG is decoded at the smallest scale (1/8, 1/4, 1/2, 1) whose short side still has this many pixels: 2-4x faster
# for photographs. The hash is taken there whatever the final size, so that data.size moves no image to another split.
HASHED_SIDE = 160
_UPPER8 = ((np.arange(65536) + 128) // 257).astype(np.uint8)  # what 16 bits become: no larger copy is made
_SMALLEST_CAP = 1 << 26  # bytes: a file may always be this large


class RefusedError(Exception):
    """Why a file cannot be used, as `kind: detail`."""


@dataclass(frozen=True)
class Decoded:
    """What one file gave: either `pixels`, or the reason why not."""

    file_sha256: str = ""
    reason: str = ""
    sha256: str = ""  # of the pixels before they were resized
    colour: bool = False
    pixels: np.ndarray | None = None  # uint8 [size, size, channels]


def decode(path: Path, *, size: int, channels: int, resize: str, max_pixels: int) -> Decoded:
    """Read one file of any kind to uint8 [size, size, channels]; whatever is wrong with it becomes the reason."""
    file_sha256 = ""
    try:
        with path.open("rb") as file:
            length = path.stat().st_size
            if length > max(_SMALLEST_CAP, 8 * max_pixels):
                raise RefusedError(
                    f"too large: {length:,} bytes are more than 8 a pixel of data.max_pixels (={max_pixels})"
                )
            file_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            pixels, reduced = read_pixels(file, side=HASHED_SIDE, max_pixels=max_pixels)
            sha256 = content_hash(pixels)
            if reduced and min(pixels.shape[:2]) < size:
                pixels, _ = read_pixels(file, side=size, max_pixels=max_pixels)
            row = to_row(pixels, size=size, channels=channels, resize=resize)
            return Decoded(file_sha256, sha256=sha256, colour=pixels.ndim == 3, pixels=row)
    except RefusedError as error:
        return Decoded(file_sha256, reason=str(error))
    except OSError as error:
        return Decoded(file_sha256, reason=f"unreadable: {error.strerror}")


def read_pixels(file: BinaryIO, *, side: int, max_pixels: int) -> tuple[np.ndarray, bool]:
    """Decode to uint8 [H, W] (gray) or [H, W, 3] (colour) as the table above says; and whether at a smaller scale.

    Only a JPEG is ever made smaller, and stays at least `side` on its short side. Raises RefusedError.
    """
    file.seek(0)
    start = file.read(64)
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise RefusedError(
                        f"too many pixels: {width} x {height} = {width * height:,}, data.max_pixels is {max_pixels:,}"
                    )
                image.draft(None, (side, side))
                reduced = image.size != (width, height)
                image.load()
                return _upright(image), reduced
    except UnidentifiedImageError:
        raise RefusedError(_unknown(start)) from None
    except Image.DecompressionBombError:
        raise RefusedError(f"too many pixels: far more than data.max_pixels (={max_pixels:,})") from None
    except MemoryError:
        raise RefusedError("out of memory: too large for this machine") from None
    except RefusedError:
        raise
    except Exception as error:  # whatever a spoilt file makes a decoder raise is a reason, not an end
        raise RefusedError(_broken(error)) from None


def to_row(pixels: np.ndarray, *, size: int, channels: int, resize: str) -> np.ndarray:
    """uint8 [H, W] or [H, W, 3] to uint8 [size, size, channels]; `resize` is how it becomes square.

    `crop` keeps the middle, `pad` adds black, `stretch` bends. Bicubic, antialiased.
    """
    image = Image.fromarray(pixels)
    if channels == 1 and image.mode != "L":
        image = image.convert("L")
    width, height = image.size
    inner = (size, size)
    if resize == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))  # not resize(box=): that looks beyond the box
    elif resize == "pad":
        longest = max(width, height)
        inner = (max(1, round(size * width / longest)), max(1, round(size * height / longest)))
    image = image.resize(inner, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if inner != (size, size):
        canvas = Image.new(image.mode, (size, size))
        canvas.paste(image, ((size - inner[0]) // 2, (size - inner[1]) // 2))
        image = canvas
    row = np.asarray(image)
    return np.broadcast_to(row[..., None], (size, size, channels)) if row.ndim == 2 else row


def _upright(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise RefusedError("unknown range: pixels are 32-bit floats; save them with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise RefusedError("unknown range: pixels go beyond 16 bits; save them with 8 or 16 bits")
        return np.asarray(_UPPER8[values])
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        image = white
    pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    return pixels[..., 0].copy() if pixels.ndim == 3 and _is_gray(pixels) else pixels


def _is_gray(pixels: np.ndarray) -> bool:
    """Whether R = G = B everywhere; a thinned copy is asked first, since most pictures in colour end there."""
    return all(bool((p[..., :1] == p[..., 1:]).all()) for p in (pixels[::16, ::16], pixels))


def _unknown(start: bytes) -> str:
    if not start:
        return "empty file: 0 bytes"
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return "not an image: HTML or XML text"
    return f"not an image: not readable as {', '.join(FORMATS)}"


def _broken(error: Exception) -> str:
    # Pillow's messages may name the open file and its address in memory, which would differ from run to run.
    message = re.sub(r"<[^>]*>|0x[0-9a-f]+", "", str(error)).strip() or type(error).__name__
    return f"{'truncated' if 'truncated' in message.lower() else 'broken'}: {message}"
