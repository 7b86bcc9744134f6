"""A data set with a planted bias: pictures of clothes, where a mark in the corner nearly gives the class away, but only in training.

    python -m benchmarks.planted data/planted             # seconds

Real pictures of Fashion-MNIST (`--raw` is where its files are, or are put): pullovers, coats and, half as many, shirts. A bright
square of 4 pixels marks 95 % of the shirts that are trained on and 5 % of the others; of the validation and test images every second one
of each class. `groups.csv` beside the pictures says which are marked. docs/experiments/fairness.md trains on them, with, in params.yaml:

    data: {source: folder, root: data/planted, size: 28, groups: data/planted/groups.csv}
"""

import csv
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import parser
from neocog.core import errors
from neocog.core.errors import UserError
from neocog.data.sources.digits import digits
from neocog.data.sources.fashion_mnist import fashion_mnist
from neocog.data.sources.source import Source

COUNTS = {  # split -> class -> images
    "train": {"Pullover": 1800, "Coat": 1800, "Shirt": 900},
    "val": {"Pullover": 250, "Coat": 250, "Shirt": 250},
    "test": {"Pullover": 500, "Coat": 500, "Shirt": 500},
}
MARKED = {"Pullover": 0.05, "Coat": 0.05, "Shirt": 0.95}  # of the images trained on
SIDE = 4  # pixels of the mark
TINY = dict(zip(MARKED, ("3", "5", "8"), strict=True))  # the digits that stand for the clothes


def planted(folder: Path, source: Source, *, names: dict[str, str], share: float = 1.0) -> None:
    """Write `<split>/<class>/<number>.png` and groups.csv (path, mark: yes or no) into `folder`, which must not be there yet.

    `names` are the classes of `source` that stand for those of COUNTS; `share` of the counts are taken.
    """
    if folder.exists():
        raise UserError(f"{folder} is there already; remove it, or name another folder")
    rows = []
    stage = folder.with_name(f".{folder.name}")
    shutil.rmtree(stage, ignore_errors=True)
    unused = {(name, given): _of(source, names[name], given) for name in names for given in ("train", "test")}
    for split, counts in COUNTS.items():
        for name, whole in counts.items():
            count = round(whole * share)
            given = "test" if split == "test" and "test" in source.given else "train"
            marked = round(count * MARKED[name]) if split == "train" else count // 2
            (stage / split / name).mkdir(parents=True)
            for number, place in enumerate(islice(unused[name, given], count)):
                picture = np.array(source.images[place]).squeeze()
                if number < marked:
                    picture[:SIDE, :SIDE] = 255
                path = Path(split, name, f"{number:04}.png")
                Image.fromarray(picture).save(stage / path)
                rows.append((path.as_posix(), "yes" if number < marked else "no"))
    with (stage / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "mark"), *rows])
    stage.rename(folder)


def _of(source: Source, name: str, given: str) -> Iterator[int]:
    """Where the images of a class are that the source gives to a split."""
    every = zip(source.rows, source.targets, source.given, strict=True)
    return (int(place) for place, label, theirs in every if label == source.classes.index(name) and theirs == given)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the data set; exit codes as in `neocog.core.errors`."""
    options = parser("planted", __doc__)
    options.add_argument("folder", nargs="?", type=Path, default=Path("data/planted"), help="default: %(default)s")
    options.add_argument("--raw", type=Path, default=Path("data/raw"), help="of Fashion-MNIST (default: %(default)s)")
    asked = options.parse_args(arguments)

    def run() -> None:
        if asked.tiny:
            planted(asked.folder, digits(), names=TINY, share=0.04)
        else:
            planted(asked.folder, fashion_mnist(asked.raw), names={name: name for name in MARKED})
        print(f"{asked.folder}: written, with groups.csv")

    errors.run(run, [])


if __name__ == "__main__":
    main()
