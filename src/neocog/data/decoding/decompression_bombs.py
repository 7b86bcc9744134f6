"""Decompression bombs: images that are small as files and take gigabytes or hours to decode, detected beforehand."""

import re

from PIL import Image

MAX_SCANS = 200  # of a JPEG: progressive ones have about ten, and each goes over all pixels, in 75 bytes if it wants to
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # but stuffed bytes and restarts, which stand within a scan
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def num_pixels(image: Image.Image) -> int:
    """Pixels that are decoded at once: those of an opened picture, or of one tile of a TIFF, which may be larger than the picture."""
    tags = getattr(image, "tag_v2", {})
    return max(image.width * image.height, int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0)))


def has_too_many_scans(jpeg: bytes) -> bool:
    """Whether the content of a JPEG has more than MAX_SCANS scans before its end."""
    if jpeg.count(b"\xff\xda") <= MAX_SCANS:  # most end here; a film behind the picture may hold these bytes by chance
        return False
    scans, at = 0, 2
    while scans <= MAX_SCANS and (marker := _MARKER.search(jpeg, at)):
        if marker[1][0] == _END_OF_IMAGE:
            break
        scans += marker[1][0] == _START_OF_SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans > MAX_SCANS
