"""How fast batches come from encoded images, and what memory they take, for data sets of any size.

    python -m benchmarks.encoded            # two minutes, 5 GB of disk for the time

The sets hold the same JPEGs again and again, so that a million is there in a minute; batches are drawn at random over all of them, as in
training. `images/s` is the best of three turns, all sizes in turns; `memory` is how much the peak of the process rose. Reading the offsets
and drawing the order are in it.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import parser
from neocog.data.decoding.encoded_images import CONTENT, OFFSETS, EncodedImages, StoredContent

SIDE, BATCH, TURNS = 64, 128, 3


def jpegs(count: int, *, side: int) -> list[bytes]:
    """`count` different JPEGs, smooth as photographs are."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        file = BytesIO()
        large = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((side * 5 // 4, side))
        Image.fromarray(
            np.clip(np.asarray(large) + rng.normal(0, 8, (side, side * 5 // 4, 1)), 0, 255).astype(np.uint8)
        ).save(file, "JPEG", quality=88)
        found.append(file.getvalue())
    return found


def write(folder: Path, images: Sequence[bytes], count: int) -> None:
    """`count` images, over and over the same."""
    folder.mkdir()
    block, lengths = b"".join(images), [len(each) for each in images]
    with (folder / CONTENT).open("wb") as file:
        for _ in range(count // len(images)):
            file.write(block)
    np.save(folder / OFFSETS, np.cumsum([0, *np.resize(lengths, count // len(images) * len(images))], dtype=np.int64))


def turn(folder: str, batches: int, side: int, out: "multiprocessing.SimpleQueue[tuple[float, float]]") -> None:
    """Images a second, and MB by which the peak of memory rose."""
    before = _peak()
    images = EncodedImages(
        StoredContent(Path(folder)), {"size": (side, side), "channels": 3, "resize": "crop", "max_pixels": 10**8}
    )
    order = np.random.default_rng(0).permutation(len(images))[: batches * BATCH].reshape(-1, BATCH)
    start = time.perf_counter()
    for _ in images.ahead(order):
        pass
    out.put((order.size / (time.perf_counter() - start), _peak() - before))


def _peak() -> float:
    """The most memory that this process ever had, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of data sets by their number of images."""
    options = parser("encoded", __doc__)
    options.add_argument("--batches", type=int, default=40, help="of 128 images, in each turn (default: %(default)s)")
    options.add_argument("--side", type=int, default=SIDE, help="pixels (default: %(default)s)")
    asked = options.parse_args(arguments)
    counts, batches, turns = (
        ((1000, 10_000), 2, 1) if asked.tiny else ((1000, 10_000, 100_000, 1_000_000), asked.batches, TURNS)
    )
    context = multiprocessing.get_context("spawn")
    batches = min(batches, counts[0] // BATCH)
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as temporary:
        images = jpegs(500, side=asked.side)
        for count in counts:
            write(Path(temporary) / str(count), images, count)
        for _ in range(turns):
            for count in counts:
                queue = context.SimpleQueue()
                process = context.Process(
                    target=turn, args=(str(Path(temporary) / str(count)), batches, asked.side, queue)
                )
                process.start()
                found[count].append(queue.get())
                process.join()
        print("| images | file | images/s | memory |\n|--:|--:|--:|--:|")
        for count, rates in found.items():
            size = (Path(temporary) / str(count) / CONTENT).stat().st_size
            print(
                f"| {count:,} | {size / 1e6:,.0f} MB | {max(rates)[0]:,.0f} | {max(memory for _, memory in rates):,.0f} MB |"
            )


if __name__ == "__main__":
    main()
