"""What `prepare` and training take of memory, and how fast they are, for data sets of any number of images.

    python -m benchmarks.many_images                      # 10,000 to 1,000,000 images; half an hour, 10 GB of disk for the time
    python -m benchmarks.many_images --counts 10000 --source folder

Different small JPEGs in tars, a Parquet file or folders, `data.store: encoded`. `prepare` and then --steps steps of training, whose
batches are drawn over all images, are processes of their own; `memory` is the most that each had in its resident set. The processes
that decode, of a fixed number and size, are not in it.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import parser

ROOT = Path(__file__).parents[1]
CLASSES = 10
SHARD = 10_000  # images of a tar, a folder or a group of rows
BATCH = 128
PREPARE = """
from neocog.data.prepare import prepare
how = dict(size=side, channels=3, store="encoded", test_fraction=0.01, val_fraction=0.01)
prepare(folder / "prepared", source=source, root=folder / "raw", **how)
"""
TRAIN = """
import itertools, torch
from neocog.architectures import mobilenet
from neocog.data.loader import Batches
from neocog.data.prepared import read
data = read(folder / "prepared")
network = mobilenet.build(channels=3, size=data.size, classes=len(data.classes))
optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
for images, targets in itertools.islice(Batches(data.split("train"), 128, shuffle=True), steps):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(images.permute(0, 3, 1, 2) / 255), targets).backward()
    optimizer.step()
"""
AROUND = """
import json, sys, time
from pathlib import Path
folder, source, side, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
start = time.perf_counter()
{body}
seconds = time.perf_counter() - start
peak = [int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
print(json.dumps([seconds, peak]))
"""


def jpegs(count: int, *, side: int) -> Iterator[tuple[int, bytes]]:
    """`count` different JPEGs, each with its label, which its colour tells."""
    for start in range(0, count, 1000):
        rng = np.random.default_rng(start)
        coarse = rng.integers(0, 160, (min(1000, count - start), 8, 8, 3), dtype=np.uint8)
        for i, pixels in enumerate(coarse, start):
            label = i % CLASSES
            pixels[..., 0] += 9 * label
            file = BytesIO()
            Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR).save(file, "JPEG", quality=85)
            yield label, file.getvalue()


def webdataset(root: Path, images: Iterator[tuple[int, bytes]]) -> None:
    """Tars of SHARD images."""
    for number, some in enumerate(iter(lambda: list(islice(images, SHARD)), [])):
        with tarfile.open(root / f"{number:05}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for i, (label, content) in enumerate(some):
                for suffix, part in (("jpg", content), ("cls", b"class%d" % label)):
                    member = tarfile.TarInfo(f"{i:08}.{suffix}")
                    member.size = len(part)
                    tar.addfile(member, BytesIO(part))


def huggingface(root: Path, images: Iterator[tuple[int, bytes]]) -> None:
    """One Parquet file with the bytes of the images."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([("image", pyarrow.binary()), ("label", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(root / "images.parquet", schema, compression="none") as writer:
        for some in iter(lambda: list(islice(images, SHARD)), []):
            rows = [{"image": content, "label": f"class{label}"} for label, content in some]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))


def folder(root: Path, images: Iterator[tuple[int, bytes]]) -> None:
    """A folder a class, with folders of at most SHARD files in it."""
    for number, (label, content) in enumerate(images):
        path = root / f"class{label}" / f"{number // (CLASSES * SHARD)}" / f"{number:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


WRITERS: dict[str, Callable[[Path, Iterator[tuple[int, bytes]]], None]] = {
    "webdataset": webdataset,
    "huggingface": huggingface,
    "folder": folder,
}


def measured(body: str, *arguments: object) -> tuple[float, float]:
    """Seconds, and MB of the largest resident set, of a process that runs `body`."""
    command = [sys.executable, "-c", AROUND.format(body=body), *map(str, arguments)]
    own = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    said = subprocess.run(command, env=own, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, peak = json.loads(said.splitlines()[-1])
    return seconds, peak


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of data sets by their number of images."""
    options = parser("many_images", __doc__)
    options.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="images")
    options.add_argument("--source", choices=WRITERS, default="webdataset", help="(default: %(default)s)")
    options.add_argument("--side", type=int, default=32, help="pixels (default: %(default)s)")
    options.add_argument("--steps", type=int, default=200, help="of training, of 128 images (default: %(default)s)")
    asked = options.parse_args(arguments)
    counts, steps = ([1000], 2) if asked.tiny else (asked.counts, asked.steps)
    print("| images | files | prepare | memory | training | memory |\n|--:|--:|--:|--:|--:|--:|")
    for count in counts:
        with tempfile.TemporaryDirectory() as temporary:
            raw = Path(temporary) / "raw"
            raw.mkdir()
            start = time.perf_counter()
            WRITERS[asked.source](raw, jpegs(count, side=asked.side))
            size = sum(path.stat().st_size for path in raw.rglob("*") if path.is_file())
            print(f"{count:,} images written in {time.perf_counter() - start:.0f} s", file=sys.stderr)
            given = (temporary, asked.source, asked.side, steps)
            prepare, its = measured(PREPARE, *given)
            train, whose = measured(TRAIN, *given)
            seen = min(steps * BATCH, count)
            print(
                f"| {count:,} | {size / 1e6:,.0f} MB | {count / prepare:,.0f}/s | {its:,.0f} MB "
                f"| {seen / train:,.0f}/s | {whose:,.0f} MB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
