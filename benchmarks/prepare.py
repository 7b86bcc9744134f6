"""How fast `prepare` reads a folder of photographs, against the loop that one writes first.

    python -m benchmarks.prepare            # two minutes

Both read the same JPEGs in one run, in turns: the loop opens, converts and resizes with Pillow in one process; neocog
does what the gate needs besides (sha256 of file and pixels, EXIF, every check) in one process and in all cores.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import parser
from neocog.data.sources.decode_all import decode_all

SHAPES = ((500, 333), (1600, 1067))
SIZE = 64
ROUNDS = 3


def photographs(folder: Path, *, count: int, width: int, height: int) -> list[str]:
    """`count` JPEGs with the smooth large and noisy small structure of a photograph."""
    rng = np.random.default_rng(0)
    names = []
    for i in range(count):
        large = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((width, height))
        noise = rng.normal(0, 8, (height, width, 1))
        pixels = np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)
        names.append(f"{width}-{i}.jpg")
        Image.fromarray(pixels).save(folder / names[-1], quality=88)
    return names


def plain(folder: Path, names: list[str]) -> None:
    """What one writes first."""
    for name in names:
        with Image.open(folder / name) as image:
            np.asarray(image.convert("RGB").resize((SIZE, SIZE)))


def neocog(folder: Path, names: list[str], *, workers: int) -> None:
    """The gate's way; raises if an image is refused."""
    decoded_all = decode_all(
        folder, names, size=(SIZE, SIZE), channels=3, resize="crop", max_pixels=50_000_000, workers=workers
    )
    for _, decoded in decoded_all:
        assert decoded.pixels is not None, decoded.reason


def main(arguments: Sequence[str] | None = None) -> None:
    """Print images/s of each way as a table; the best of the rounds counts."""
    options = parser("prepare", __doc__)
    options.add_argument(
        "--images", type=int, default=1200, help="photographs of the smaller size (default: %(default)s)"
    )
    asked = options.parse_args(arguments)
    count, turns = (20, 1) if asked.tiny else (asked.images, ROUNDS)
    print("| JPEG | plain Pillow loop | neocog, 1 process | neocog, all cores |\n|---|---|---|---|")
    for width, height in SHAPES:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            names = photographs(folder, count=count * 500 * 333 // (width * height), width=width, height=height)
            ways: tuple[Callable[[Path, list[str]], None], ...] = (
                plain,
                partial(neocog, workers=1),
                partial(neocog, workers=0),
            )
            best = [0.0] * len(ways)
            for _ in range(turns):
                for i, way in enumerate(ways):
                    start = time.perf_counter()
                    way(folder, names)
                    best[i] = max(best[i], len(names) / (time.perf_counter() - start))
            print(f"| {width} x {height} | " + " | ".join(f"{rate:,.0f}/s" for rate in best) + " |")


if __name__ == "__main__":
    main()
