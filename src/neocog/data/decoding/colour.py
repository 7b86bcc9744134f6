"""Colour management: the choices of `data.background`, and pixels of any ICC profile converted to sRGB."""

import re
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from neocog.core.errors import UserError

NAMED = {"white": (255, 255, 255), "black": (0, 0, 0), "gray": (128, 128, 128)}
_LARGEST_PROFILE = 1 << 23  # bytes; printers' are the largest, below 4 MB
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # Pillow's mode -> the profile's colour space
_SAME = 2  # gray levels by which a profile may differ from sRGB to be taken for it


class ProfileError(Exception):
    """A profile that cannot be read."""


def rgb(name: str, *, key: str = "data.background") -> tuple[int, int, int]:
    """Red, green and blue of `white`, `black`, `gray` or `#rrggbb`. Raises UserError naming `key`."""
    if name in NAMED:
        return NAMED[name]
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        raise UserError(f"{key} (={name!r}) is no colour; write {', '.join(NAMED)} or, in quotes, '#rrggbb'")
    red, green, blue = bytes.fromhex(name[1:])
    return red, green, blue


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An image of mode L, RGB or CMYK in sRGB, as mode L or RGB; itself where the profile is sRGB or for another mode.

    Raises ProfileError.
    """
    if len(profile) > _LARGEST_PROFILE:
        raise ProfileError
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted.getchannel("G") if image.mode == "L" else converted


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES.get(mode):
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "CMYK":
            return transform
        probe = _probe(mode)
        moved = ImageCms.applyTransform(probe, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        raise ProfileError from None
    assert moved is not None
    far = np.abs(np.asarray(moved, int) - np.asarray(probe.convert("RGB"), int)).max()
    return transform if far > _SAME else None


def _probe(mode: str) -> Image.Image:
    """Colours from all over the cube, or all grays, as an image."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3))
