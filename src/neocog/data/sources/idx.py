"""IDX files, the format of MNIST (Y. LeCun): one file of gray images and one of labels, gzipped or not, for each split.

    data.root/train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-..., t10k-labels-...

Any names with `images` and `labels` in them (EMNIST, KMNIST, ...). `classes.txt` may name the classes, one a line, from 0.
"""

import gzip
import hashlib
import re
import zlib
from contextlib import closing
from math import prod
from pathlib import Path

import numpy as np

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.data.prepared import SPLITS
from neocog.data.sources.labelled import class_names, split_named
from neocog.data.sources.listing import list_files, spelt
from neocog.data.sources.source import Source, packed

_UINT8 = 0x08  # the type of values, in the third byte
_LARGEST = 1 << 33  # bytes of a file, unpacked
_IMAGES = re.compile(r"(images)(.*idx3)", re.IGNORECASE)


def idx(root: Path, *, size: Size | None = None, channels: int | None = None) -> Source:
    """The images of every pair of files below `root`. Raises UserError for a file that is missing, damaged or of another kind."""
    listing = list_files(root)
    pairs = {path: _IMAGES.sub(_labels, path) for path in listing.paths if _IMAGES.search(path)}
    if not pairs:
        raise UserError(
            f"data.root (={str(root)!r}) holds no file of images in IDX, such as train-images-idx3-ubyte.gz; name its folder"
        )
    pixels: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    given: list[str] = []
    paths: list[str] = []
    digest = hashlib.sha256()
    for images, path in pairs.items():
        there = next((each for each in (path, path.removesuffix(".gz"), f"{path}.gz") if each in listing.paths), None)
        if there is None:
            raise UserError(f"{root / images}: its labels are missing; put {path} beside it")
        part, numbers = read_idx(root / images, dimensions=3), read_idx(root / there, dimensions=1)
        if len(part) != len(numbers):
            raise UserError(
                f"{root / images} holds {len(part):,} images, {there} {len(numbers):,} labels; bring a pair"
            )
        if pixels and part.shape[1:] != pixels[0].shape[1:]:
            raise UserError(
                f"{root / images}: its images have another size than those of {next(iter(pairs))}; keep one size in data.root"
            )
        split = "test" if re.search(r"t10k", images) else split_named(images) or "train"
        pixels.append(part)
        labels.append(numbers)
        given += [split] * len(part)
        paths += [f"{spelt(images)}/{i}" for i in range(len(part))]
        digest.update(part.tobytes() + numbers.tobytes())
    every = np.concatenate(pixels)
    numbers = np.concatenate(labels)
    if "train" not in given:
        raise UserError(f"data.root (={str(root)!r}) holds no images to train on; name a file train-images-idx3-ubyte")
    found, targets = np.unique(numbers, return_inverse=True)
    classes = [name or "" for name in class_names(listing.root, [str(number) for number in found])]
    digest.update("\0".join(classes).encode())
    return packed(
        "idx",
        every,
        targets,
        classes=classes,
        given=given,
        carved=tuple(split for split in SPLITS[1:] if split not in given),
        paths=paths,
        digest=digest.hexdigest(),
        size=size,
        channels=channels,
    )


def _labels(images: "re.Match[str]") -> str:
    """The part of a file's name that says `labels` where `images` says images."""
    return f"labels{images[2].replace('idx3', 'idx1')}"


def read_idx(path: Path, *, dimensions: int) -> np.ndarray:
    """The uint8 values of a file in IDX, gzipped or not. Raises UserError for one that is damaged or of another kind."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if zipped else closing(raw) as file:
                head = file.read(4 + 4 * dimensions)
                values = file.read(
                    prod(_shape(head, dimensions=dimensions, name=str(path))) + 1
                )  # one more would be wrong
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); get it again") from None
    return parse_idx(head + values, dimensions=dimensions, name=str(path))


def parse_idx(content: bytes, *, dimensions: int, name: str) -> np.ndarray:
    """The uint8 values that IDX holds. Raises UserError for content that is no IDX, of another kind or cut off."""
    shape, head = _shape(content, dimensions=dimensions, name=name), 4 + 4 * dimensions
    if len(content) - head != prod(shape):
        raise UserError(f"{name}: its {' x '.join(map(str, shape))} values are cut off, or more follow; get it again")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _shape(content: bytes, *, dimensions: int, name: str) -> tuple[int, ...]:
    """What the head says: two zeros, the type of the values, the number of dimensions, and each of them as a big-endian int32."""
    if len(content) < 4 + 4 * dimensions or content[:2] != b"\0\0":
        raise UserError(f"{name}: no file in IDX format")
    if content[2] != _UINT8 or content[3] != dimensions:
        raise UserError(
            f"{name}: holds values of type {content[2]:#04x} in {content[3]} dimensions; bytes (0x08) in {dimensions} are read"
        )
    shape = tuple(np.frombuffer(content, ">u4", dimensions, offset=4).tolist())
    if prod(shape) > _LARGEST:
        raise UserError(
            f"{name}: {' x '.join(map(str, shape))} values are more than {_LARGEST:,} bytes; split the file"
        )
    return shape
