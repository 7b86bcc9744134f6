"""Fetch photographs with Debian's package manager: cut-out objects (Tux Paint's stamps, GPL-2) pasted on photographs of landscapes.

`python fetch.py photos` leaves photos/<number>.jpg and photos/labels.csv (path, label, stamp), about 2,000 images in ten classes; the same
bytes each time. Needs apt-get and dpkg-deb (210 MB; nothing is installed), and Pillow.
"""

import csv
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

PACKAGES = ("tuxpaint-stamps-default", "mate-backgrounds")
CLASSES = {  # class -> folder of stamps
    "bird": "animals/birds",
    "mammal": "animals/mammals",
    "fish": "animals/fish",
    "insect": "animals/insects",
    "fruit": "food/fruit",
    "vegetable": "food/vegetables",
    "plant": "plants",
    "clothing": "clothes",
    "household": "household",
    "vehicle": "vehicles",
}
VIEWS = 8  # of each stamp, on different backgrounds
SIDE = 224  # pixels of an image


def main(target: Path) -> None:
    """Write the images and their table into `target`."""
    if target.exists():
        sys.exit(f"{target} is there already; remove it, or name another folder")
    with tempfile.TemporaryDirectory() as folder:
        unpacked = unpack(Path(folder))
        backgrounds = [
            Image.open(path).convert("RGB").resize((960, 600), reducing_gap=2.0)
            for path in sorted((unpacked / "usr/share/backgrounds/mate/nature").glob("*.jpg"))
        ]
        part = target.with_name(f"{target.name}.part")  # until all is there
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with (part / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["path", "label", "stamp"])
            number = 0
            for label, stamp in stamps(unpacked / "usr/share/tuxpaint/stamps"):
                drawn = random.Random(f"{label}/{stamp.stem}")
                for _ in range(VIEWS):
                    name = f"{number:05d}.jpg"
                    picture(stamp, drawn.choice(backgrounds), drawn).save(part / name, quality=90)
                    table.writerow([name, label, f"{label}-{stamp.stem}"])
                    number += 1
        part.rename(target)
    print(f"{number:,} images of {len(CLASSES)} classes in {target}")


def unpack(folder: Path) -> Path:
    """Download the packages and unpack them below `folder`."""
    subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES], cwd=folder, check=True)
    for archive in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, folder / "unpacked"], check=True)
    return folder / "unpacked"


def stamps(folder: Path) -> Iterator[tuple[str, Path]]:
    """Class and file of each photographed object; drawings and mirror images left out."""
    for label, place in CLASSES.items():
        for path in sorted((folder / place).rglob("*.png")):
            if not any(word in str(path) for word in ("cartoon", "_mirror", "_flip")):
                yield label, path


def picture(stamp: Path, background: Image.Image, drawn: random.Random) -> Image.Image:
    """The stamp at a random size and place on a random part of a background."""
    left, top = drawn.randrange(background.width - SIDE), drawn.randrange(background.height - SIDE)
    scene = background.crop((left, top, left + SIDE, top + SIDE))
    thing = Image.open(stamp).convert("RGBA")
    thing = thing.crop(thing.getbbox())
    if drawn.random() < 0.5:
        thing = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    side = drawn.uniform(0.45, 0.85) * SIDE / max(thing.size)
    thing = thing.resize((max(1, round(thing.width * side)), max(1, round(thing.height * side))), reducing_gap=3.0)
    place = drawn.randrange(SIDE - thing.width + 1), drawn.randrange(SIDE - thing.height + 1)
    scene.paste(thing, place, thing)
    return scene


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "photos"))
