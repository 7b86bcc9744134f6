"""How fast `prepare` reads a folder of photographs, against the limit and against what one would write instead.

    python -m benchmarks.prepare            # three minutes
    python -m benchmarks.prepare --size 64

All read the same JPEGs in one run, in turns, to images of --size: (a) the limit: every core does nothing but let libjpeg-turbo decode at
the smallest scale that is large enough, crop and resize; (b) the loop that one writes first, with Pillow, and (c) torchvision's decoder
and resize, both in every core; (d) neocog, which also does what the quality checks need: sha256 of file and picture, EXIF, colour, ....
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks import parser
from neocog.data.sources.decode_all import decode_all

SHAPES = ((500, 375), (4000, 3000))
ROUNDS = 3
CHUNK = 16  # files that a process is given at a time

Read = Callable[[Path, int], np.ndarray]


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


def limit(path: Path, size: int) -> np.ndarray:
    """(a): nothing that is not needed for the pixels."""
    with Image.open(path) as image:
        image.draft("RGB", (size, size))
        return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))


def pillow(path: Path, size: int) -> np.ndarray:
    """(b): what one writes first."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (size, size)))


def torchvision(path: Path, size: int) -> np.ndarray:
    """(c): torchvision's decoder."""
    import torch
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2 import functional

    torch.set_num_threads(1)
    image = functional.resize(decode_image(str(path), ImageReadMode.RGB), [size], antialias=True)
    return functional.center_crop(image, [size]).numpy()


def _chunk(read: Read, size: int, paths: list[Path]) -> list[np.ndarray]:
    return [read(path, size) for path in paths]


def in_every_core(read: Read, folder: Path, names: list[str], pool: ProcessPoolExecutor, size: int) -> None:
    """Read all files in the processes of `pool`."""
    paths = [folder / name for name in names]
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    assert sum(len(images) for images in pool.map(partial(_chunk, read, size), chunks)) == len(names)


def neocog(folder: Path, names: list[str], size: int) -> None:
    """(d); raises if an image is refused."""
    decoded_all = decode_all(folder, names, size=(size, size), channels=3, resize="crop", max_pixels=50_000_000)
    for _, decoded in decoded_all:
        assert decoded.pixels is not None, decoded.reason


def main(arguments: Sequence[str] | None = None) -> None:
    """Print images/s of each way as a table; the best of the rounds counts."""
    options = parser("prepare", __doc__)
    options.add_argument("--size", type=int, default=224, help="side of the images made, pixels (default: %(default)s)")
    options.add_argument(
        "--images", type=int, default=2400, help="photographs of the smallest size (default: %(default)s)"
    )
    asked = options.parse_args(arguments)
    count, turns = (20, 1) if asked.tiny else (asked.images, ROUNDS)
    print("| JPEG | (a) limit | (b) Pillow | (c) torchvision | (d) neocog | d / a | d / b | d / c |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
        for width, height in SHAPES[:1] if asked.tiny else SHAPES:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                few = max(4, round(count * (500 * 375 / (width * height)) ** 0.8))
                names = photographs(folder, count=few, width=width, height=height)
                given = (folder, names, pool, asked.size)
                ways: list[Callable[[], None]] = [
                    *(partial(in_every_core, read, *given) for read in (limit, pillow, torchvision)),
                    partial(neocog, folder, names, asked.size),
                ]
                best = [0.0] * len(ways)
                for _ in range(turns):
                    for i, way in enumerate(ways):
                        start = time.perf_counter()
                        way()
                        best[i] = max(best[i], len(names) / (time.perf_counter() - start))
                a, b, c, d = best
                rates = " | ".join(f"{rate:,.0f}/s" for rate in best)
                print(f"| {width} x {height} | {rates} | {d / a:.0%} | {d / b:.2f}x | {d / c:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
