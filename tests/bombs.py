"""Small files that take gigabytes or hours to decode."""

import struct
import zlib
from io import BytesIO

from pictures import picture


def tiled_tiff(*, side: int, tile: int) -> bytes:
    """A TIFF of `side` x `side` pixels in one tile of `tile` x `tile`, all zeros: a thousandth of what a decoder allocates."""
    packer = zlib.compressobj()
    data = b"".join(packer.compress(bytes(tile)) for _ in range(tile)) + packer.flush()
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile, 323: tile, 324: 0, 325: len(data)}
    tags[324] = 8 + 2 + 12 * len(tags) + 4  # where the tile lies: behind the tags
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


def scanned_jpeg(scans: int, *, side: int = 64) -> bytes:
    """A progressive JPEG whose last scan is repeated until there are `scans` of them."""
    file = BytesIO()
    picture(1, width=side, height=side, colour=False).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    start, last = content.rfind(b"\xff\xc4"), content[content.rfind(b"\xff\xc4") : -2]
    assert last.count(b"\xff\xda") == 1
    return content[:start] + last * (scans - content.count(b"\xff\xda") + 1) + b"\xff\xd9"
