"""Pictures that are small as files and gigabytes or hours to decode are refused before they are decoded."""

import subprocess
import sys
from io import BytesIO

import pytest
from bombs import scanned_jpeg, tiled_tiff
from PIL import Image

from neocog.data.decoding.decode import Preparation, RefusedError, read_picture
from neocog.data.decoding.decompression_bombs import MAX_SCANS, has_too_many_scans

HOW: Preparation = {"size": (8, 8), "channels": 1, "resize": "crop", "max_pixels": 50_000_000}
DECODE = """
import sys
from io import BytesIO
from PIL import Image
def peak():
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
before = peak()
try:
    Image.open(BytesIO(sys.stdin.buffer.read())).load()
except OSError:
    pass
print(peak() - before)
"""


def test_a_tiff_whose_tile_is_larger_than_may_be_is_refused() -> None:
    bomb = tiled_tiff(side=16, tile=8192)
    with pytest.raises(RefusedError, match="too many pixels: 16 x 16 in tiles = 67,108,864"):
        read_picture(BytesIO(bomb), HOW)
    assert read_picture(BytesIO(tiled_tiff(side=16, tile=32)), HOW).image.size == (16, 16)
    assert len(bomb) < 100_000
    taken = subprocess.run([sys.executable, "-c", DECODE], input=bomb, capture_output=True, check=True).stdout
    assert int(taken) > 50_000, "kB: what Pillow alone takes for 256 pixels"


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    bomb = scanned_jpeg(MAX_SCANS + 1)
    with pytest.raises(RefusedError, match="too many scans: a JPEG of more than 200"):
        read_picture(BytesIO(bomb), HOW)
    usual = scanned_jpeg(MAX_SCANS)
    assert read_picture(BytesIO(usual), HOW).image.size == (64, 64)
    assert not has_too_many_scans(usual + b"\xff\xda" * 1000), "a film behind the picture is none of it"
    with Image.open(BytesIO(bomb)) as image:
        image.load()
