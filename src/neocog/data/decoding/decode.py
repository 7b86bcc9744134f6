"""Decode one image file to one row of pixels.

| found | becomes |
|---|---|
| gray, 1-bit | gray |
| palette, CMYK, YCbCr, LAB | RGB |
| an ICC profile (Display P3, Adobe RGB, printers') | sRGB |
| transparency of any kind | laid on `background`; refused where nothing can be seen on it |
| 16-bit gray | the upper 8 of its `bits`, rounded: one fixed scale, so that images stay comparable |
| 32-bit float, or integers beyond 16 bits | refused: their range is not known |
| EXIF orientation | turned upright |
| animation, many pages | the first one |
| R = G = B everywhere | gray |
"""

import hashlib
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, NotRequired, TypedDict, Unpack, cast

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from neocog.core.image_size import Size
from neocog.data.decoding import jpeg
from neocog.data.decoding.colour import ProfileError, rgb, to_srgb
from neocog.data.decoding.decompression_bombs import MAX_SCANS, has_too_many_scans, num_pixels
from neocog.data.decoding.encoded import Encoded, RefusedError, open_encoded
from neocog.data.decoding.formats import READ, SNIFFED, unknown
from neocog.data.decoding.resize import INTERPOLATION, to_row
from neocog.data.pixel_statistics import sums_of

# A JPEG is decoded at the smallest scale (1/8, 1/4, 1/2, 1) whose short side still has this many pixels, or those of the
# final size: 2-4x faster for photographs.
SMALLEST_SIDE = 160
_JPEG = ("JPEG", "MPO")
_SMALLEST_CAP = 1 << 26  # bytes: a file may always be this large
_VISIBLE = 8  # gray levels by which something must differ from the background to be seen
_SUBFILE_TYPE, _SUBIFDS, _DNG = 254, 330, 50706  # tags of TIFF
_NO_PROFILE = "their colour profile cannot be read, and is taken for sRGB"
_DARK = "of 16 bits a colour only the upper 8 are read, and they are dark; save them with 8 bits a colour"


class Preparation(TypedDict):
    """How files become pixels; what is not said is bicubic, `background` for `padding`, white, and 16 bits."""

    size: Size
    channels: int
    resize: str
    max_pixels: int
    interpolation: NotRequired[str]  # a key of INTERPOLATIONS
    background: NotRequired[str]  # what transparency is laid on
    padding: NotRequired[str]  # what `resize: pad` adds
    bits: NotRequired[int]  # how many bits of 16-bit gray are used


@dataclass(frozen=True)
class Picture:
    """The picture of one file, upright: L (gray) or RGB (colour)."""

    image: Image.Image
    peak: int | None = None  # the highest value, of 16-bit gray
    remark: str = ""  # what was lost
    orientation: int = 0  # of a JPEG, as EXIF numbers them from 1
    profile: bytes = b""  # of a JPEG: its ICC profile


@dataclass(frozen=True)
class Decoded:
    """What one file gave: either `pixels`, or the reason why not."""

    file_sha256: str = ""
    reason: str = ""
    sha256: str = (
        ""  # of the picture before it was resized, whatever data.size is, so that it moves no image to another split
    )
    colour: bool = False
    pixels: np.ndarray | None = None  # uint8 [*size, channels]
    peak: int | None = None
    remark: str = ""
    content: bytes | None = None  # in place of `pixels`, where images stay encoded
    sums: np.ndarray | None = None  # with it, of its pixels: int64 [2, channels]


def content_hash(pixels: np.ndarray) -> str:
    """The sha256 of uint8 [H, W] or [H, W, 3] and its shape, so that 2 x 8 and 4 x 4 differ."""
    return hashlib.sha256(f"{'x'.join(map(str, pixels.shape))}:".encode() + pixels.tobytes()).hexdigest()


def decode(encoded: Encoded, *, store: str = "packed", **how: Unpack[Preparation]) -> Decoded:
    """Read one image of any kind to uint8 [*size, channels]; whatever is wrong with it becomes the reason.

    With the `store` encoded, its bytes are given back in place of its pixels, with `referenced` neither.
    """
    file_sha256 = ""
    most = max(_SMALLEST_CAP, 8 * how["max_pixels"])
    try:
        with open_encoded(encoded, most=most, limit=f"8 a pixel of data.max_pixels (={how['max_pixels']})") as file:
            file_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            picture = read_picture(file, how)
            row = as_row(picture, how)
            return Decoded(
                file_sha256,
                sha256=_picture_hash(picture, file),
                colour=picture.image.mode != "L",
                content=_whole(file) if store == "encoded" else None,
                sums=sums_of(row) if store != "packed" else None,
                pixels=row if store == "packed" else None,
                peak=picture.peak,
                remark=picture.remark,
            )
    except RefusedError as error:
        return Decoded(file_sha256, reason=str(error))
    except OSError as error:
        return Decoded(file_sha256, reason=f"unreadable: {error.strerror}")


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _picture_hash(picture: Picture, file: BinaryIO) -> str:
    """The sha256 of the pixels; of a JPEG, which may be decoded at any scale, that of what is coded in the file."""
    if not picture.orientation:
        return content_hash(np.asarray(picture.image))
    file.seek(0)
    return jpeg.picture_hash(file.read(), orientation=picture.orientation, profile=picture.profile)


def as_row(picture: Picture, how: Preparation) -> np.ndarray:
    """uint8 [*size, channels] of a picture."""
    padding = how.get("padding") or how.get("background", "white")
    return to_row(
        picture.image,
        size=how["size"],
        channels=how["channels"],
        resize=how["resize"],
        padding=rgb(padding),
        interpolation=how.get("interpolation", INTERPOLATION),
    )


def read_picture(file: BinaryIO, how: Preparation) -> Picture:
    """Decode as the table above says. Only a JPEG is ever made smaller, and stays large enough for `size`.

    Raises RefusedError.
    """
    side = max(SMALLEST_SIDE, *how["size"])
    file.seek(0)
    start = file.read(SNIFFED)
    file.seek(0)
    max_pixels = how["max_pixels"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=READ) as image:
                width, height = image.size
                if (found := num_pixels(image)) > max_pixels:
                    tiled = "" if found == width * height else " in tiles"
                    raise RefusedError(
                        f"too many pixels: {width} x {height}{tiled} = {found:,}, data.max_pixels is {max_pixels:,}"
                    )
                if image.format in _JPEG and _has_too_many_scans(file):
                    raise RefusedError(f"too many scans: a JPEG of more than {MAX_SCANS} takes hours; save it again")
                _refuse_thumbnail(image)
                image.draft(None, (side, side))
                deep = any(";16" in str(tile.args) for tile in image.tile)
                image.load()
                return _upright(image, how, deep=deep)
    except UnidentifiedImageError:
        raise RefusedError(unknown(start)) from None
    except Image.DecompressionBombError:
        raise RefusedError(f"too many pixels: far more than data.max_pixels (={max_pixels:,})") from None
    except MemoryError:
        raise RefusedError("out of memory: too large for this machine") from None
    except RefusedError:
        raise
    except Exception as error:  # whatever a spoilt file makes a decoder raise is a reason, not an end
        raise RefusedError(_broken(error)) from None


def _upright(opened: Image.Image, how: Preparation, *, deep: bool) -> Picture:
    orientation = opened.getexif().get(ExifTags.Base.Orientation, 1) if opened.format in _JPEG else 0
    image = ImageOps.exif_transpose(opened) if orientation != 1 else opened
    if image.mode == "F":
        raise RefusedError("unknown range: pixels are 32-bit floats; save them with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _sixteen_bits(np.asarray(image), bits=how.get("bits", 16))
    profile, remark = opened.info.get("icc_profile"), ""
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha, image = image.getchannel("A"), image.convert("RGB")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile:
        try:
            image = to_srgb(image, profile)
        except ProfileError:
            remark = _NO_PROFILE
    if alpha is not None:
        image = _laid_on(image, alpha, how.get("background", "white"))
    image = image if image.mode in ("L", "RGB") else image.convert("RGB")
    if deep and np.asarray(image).max() < 128:
        remark = _DARK
    image = image.getchannel(0) if image.mode == "RGB" and _is_gray(image) else image
    return Picture(image, remark=remark, orientation=orientation, profile=profile or b"")


def _sixteen_bits(values: np.ndarray, *, bits: int) -> Picture:
    low, peak = int(values.min()), int(values.max())
    if low < 0 or peak > 65535:
        raise RefusedError("unknown range: pixels go beyond 16 bits; save them with 8 or 16 bits")
    if peak >= 1 << bits:
        raise RefusedError(f"unknown range: pixels go up to {peak:,}, beyond the {bits} bits of data.bits")
    return Picture(Image.fromarray(_upper8(bits)[values]), peak=peak)


@lru_cache
def _upper8(bits: int) -> np.ndarray:
    """What 16-bit values of which `bits` are used become: a table, so that no larger copy is made."""
    highest = (1 << bits) - 1
    return np.minimum((np.arange(65536) * 510 + highest) // (2 * highest), 255).astype(np.uint8)


def _laid_on(image: Image.Image, alpha: Image.Image, background: str) -> Image.Image:
    """`image` where `alpha` is, `background` elsewhere. Raises RefusedError where alpha shows something that is not seen."""
    colour = rgb(background)
    canvas = Image.new("RGB", image.size, colour)
    canvas.paste(image, mask=alpha)
    low, high = cast(tuple[int, int], alpha.getextrema())
    channels = cast(tuple[tuple[int, int], ...], canvas.getextrema())
    seen = max(abs(end - own) for ends, own in zip(channels, colour, strict=True) for end in ends)
    if high - low > 64 and seen < _VISIBLE:
        other = "black" if sum(colour) > 382 else "white"
        raise RefusedError(
            f"nothing to see: what it shows has the colour on which its transparency is laid, data.background "
            f"(={background}); set data.background: {other}"
        )
    return canvas


def _has_too_many_scans(file: BinaryIO) -> bool:
    at = file.tell()
    file.seek(0)
    found = has_too_many_scans(file.read())
    file.seek(at)
    return found


def _refuse_thumbnail(image: Image.Image) -> None:
    """A camera's raw file is a TIFF whose first page is a thumbnail: reading that would be silently wrong."""
    tags = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and (_DNG in tags or (_SUBIFDS in tags and int(tags.get(_SUBFILE_TYPE, 0)) & 1)):
        raise RefusedError(
            "unsupported format: camera raw (DNG, NEF, ARW, ...); develop it to JPEG, PNG or 8-bit TIFF "
            "(`darktable-cli IN OUT.jpg`)"
        )


def _is_gray(image: Image.Image) -> bool:
    """Whether R = G = B everywhere; a thinned copy is asked first, since most pictures in colour end there."""
    width, height = image.size
    thinned = image.resize((-(-width // 16), -(-height // 16)), Image.Resampling.NEAREST)
    return all(bool((p[..., :1] == p[..., 1:]).all()) for p in map(np.asarray, (thinned, image)))


def _broken(error: Exception) -> str:
    # Pillow's messages may name the open file and its address in memory, which would differ from run to run.
    message = re.sub(r"<[^>]*>|0x[0-9a-f]+", "", str(error)).strip() or type(error).__name__
    return f"{'truncated' if 'truncated' in message.lower() else 'broken'}: {message}"
