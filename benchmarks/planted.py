"""A data set with a planted bias: pictures of clothes, where a mark in the corner nearly gives the class away, but only in training.

    python -m benchmarks.planted data/planted [data/raw]

Real pictures of Fashion-MNIST (the second folder is where its files are, or are put): pullovers, coats and, half as many, shirts. A bright
square of 4 pixels marks 95 % of the shirts that are trained on and 5 % of the others; of the validation and test images every second one
of each class. `groups.csv` beside the pictures says which are marked. In params.yaml:

    data: {source: folder, root: data/planted, size: 28, groups: data/planted/groups.csv}
"""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from neocog.data.sources.fashion_mnist import CLASSES, fashion_mnist
from neocog.errors import UserError

COUNTS = {  # split -> class -> images
    "train": {"Pullover": 1800, "Coat": 1800, "Shirt": 900},
    "val": {"Pullover": 250, "Coat": 250, "Shirt": 250},
    "test": {"Pullover": 500, "Coat": 500, "Shirt": 500},
}
MARKED = {"Pullover": 0.05, "Coat": 0.05, "Shirt": 0.95}  # of the images trained on
SIDE = 4  # pixels of the mark


def planted(folder: Path, *, raw: Path) -> None:
    """Write `<split>/<class>/<number>.png` and groups.csv (path, mark: yes or no) into `folder`, which must not be there yet."""
    if folder.exists():
        raise UserError(f"{folder} is there already; remove it, or name another folder")
    source, rows = fashion_mnist(raw), []
    stage = folder.with_name(f".{folder.name}")
    shutil.rmtree(stage, ignore_errors=True)
    for split, counts in COUNTS.items():
        for name, count in counts.items():
            theirs = "test" if split == "test" else "train"
            of_class = [
                place
                for place, label, given in zip(source.rows, source.labels, source.given, strict=True)
                if label == CLASSES.index(name) and given == theirs
            ]
            first = COUNTS["train"][name] if split == "val" else 0
            marked = round(count * MARKED[name]) if split == "train" else count // 2
            (stage / split / name).mkdir(parents=True)
            for number, place in enumerate(of_class[first : first + count]):
                picture = np.array(source.images[place]).squeeze()
                if number < marked:
                    picture[:SIDE, :SIDE] = 255
                path = Path(split, name, f"{number:04}.png")
                Image.fromarray(picture).save(stage / path)
                rows.append((path.as_posix(), "yes" if number < marked else "no"))
    with (stage / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "mark"), *rows])
    stage.rename(folder)


if __name__ == "__main__":
    planted(Path(sys.argv[1]), raw=Path(sys.argv[2] if len(sys.argv) > 2 else "data/raw"))
