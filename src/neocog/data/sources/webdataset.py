"""WebDataset: tars in which the files of a sample share a name and differ in their suffix.

    train-000.tar: 000017.jpg, 000017.cls        the label is the text of .cls, or `label` in .json

The split stands in the tar's path (`train-000.tar`, `val/000.tar`). Nothing is unpacked: images are read where they lie in the tar, so
links, devices and names that lead out of the folder do no harm; they are refused. Other plain entries of .json become groups.
"""

import json
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from neocog.core.errors import UserError
from neocog.data.decoding.encoded import ByteRange, ByteRanges
from neocog.data.sources.folder import Reading
from neocog.data.sources.labelled import Labelled, class_names, read_labelled, splits_named
from neocog.data.sources.listing import SUFFIXES, list_files, spelt
from neocog.data.sources.source import Source
from neocog.data.sources.table import LABEL

_LARGEST = 1 << 20  # bytes of a .cls or .json
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass
class _Sample:
    """The files of one name."""

    key: str
    images: list[tuple[str, ByteRange]] = field(default_factory=list)
    label: str | None = None
    also: dict[str, str] = field(default_factory=dict)
    wrong: str = ""


def webdataset(root: Path, *, label: str = LABEL, **how: Unpack[Reading]) -> Source:
    """Read the tars below `root`; `label` is the entry of .json that is the label, where there is no .cls. Raises UserError."""
    listing = list_files(root)
    names = [path for path in listing.paths if path.endswith(".tar")]
    packed = [path for path in listing.paths if path.endswith(_PACKED)]
    if not names:
        why = f"; unpack {packed[0]} to a .tar" if packed else "; name the folder of the tars"
        raise UserError(f"data.root (={str(root)!r}) holds no .tar{why}")
    found = Labelled(listing.root, leftovers=listing.leftovers, refused=list(listing.refused))
    found.refused += [
        (spelt(path), "packed archive: its images cannot be read where they lie; unpack it to a .tar")
        for path in packed
    ]
    encoded = ByteRanges()
    words: dict[str, str] = {}  # each text of labels and groups once
    for name, split in splits_named(names).items():
        seen: set[str] = set()
        for sample in _samples(listing.root / name, name, label, found.refused):
            where = f"{spelt(name)}/{sample.key}"
            if reason := _why_not(sample, twice=where in seen):
                found.refused.append((where, reason))
                continue
            seen.add(where)
            [(file, span)] = sample.images
            for column in {*sample.also, *found.groups}:
                value = sample.also.get(column)
                before = found.groups.setdefault(column, [None] * len(found.paths))
                before.append(None if value is None else words.setdefault(value, value))
            found.paths.append(f"{name}/{file}")
            found.labels.append(words.setdefault(sample.label, sample.label) if sample.label is not None else None)
            found.splits.append(split)
            encoded.append(span)
    found.labels = class_names(listing.root, found.labels)
    found.groups = dict(sorted(found.groups.items()))
    found.encoded = encoded
    return read_labelled(found, **how)


def _why_not(sample: _Sample, *, twice: bool) -> str:
    if sample.wrong:
        return sample.wrong
    if twice:
        return "two samples: an earlier one of this tar has the same name"
    if not sample.images:
        return f"no image: the sample has none of {', '.join(sorted(SUFFIXES))}"
    if len(sample.images) > 1:
        return f"several images: {' and '.join(file for file, _ in sample.images)} are one sample"
    return ""


def _samples(path: Path, name: str, label: str, refused: list[tuple[str, str]]) -> Iterator[_Sample]:
    """The samples of a tar: files that follow each other and have one name. What is no file, and where the tar ends early, is refused."""
    sample: _Sample | None = None
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined] # it would keep all of them
                if member.isdir():
                    continue
                where = f"{spelt(name)}/{spelt(member.name)}"
                if not member.isreg() or member.issparse():
                    refused.append((where, "no file: a link, device or sparse file in a tar"))
                    continue
                if member.name.startswith("/") or ".." in member.name.split("/"):
                    refused.append((where, "path leaves the folder: the name in the tar leads out of it"))
                    continue
                parent, file = posixpath.split(posixpath.normpath(member.name))  # pathlib would keep each name
                stem, _, suffix = file.partition(".")
                if not stem:
                    continue  # hidden, such as what macOS leaves in tars (._name)
                key = spelt(posixpath.join(parent, stem))
                if sample is None or sample.key != key:
                    if sample is not None:
                        yield sample
                    sample = _Sample(key)
                _add(sample, tar, member, f".{suffix.lower()}", label)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        refused.append((spelt(name), f"truncated or no tar: what comes after its readable part is missing ({error})"))
    if sample is not None:
        yield sample


def _add(sample: _Sample, tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, label: str) -> None:
    if suffix in SUFFIXES:
        sample.images.append((member.name, ByteRange(Path(str(tar.name)), member.offset_data, member.size)))
    elif suffix in (".cls", ".json"):
        if member.size > _LARGEST:
            sample.wrong = f"no label: {suffix} holds {member.size:,} bytes"
            return
        content = tar.extractfile(member)
        assert content is not None  # a regular file
        _read(sample, suffix, content.read(), label)


def _read(sample: _Sample, suffix: str, content: bytes, label: str) -> None:
    """What .cls or .json says: the label of .cls counts where both are there."""
    try:
        if suffix == ".cls":
            sample.label = content.decode("utf-8-sig").strip()
            return
        entries = json.loads(content)
        if not isinstance(entries, dict):
            raise ValueError("it is no object")
    except ValueError as error:  # of UTF-8 and JSON too
        sample.wrong = f"no label: {suffix} cannot be read ({error})"
        return
    plain = {key: _text(value) for key, value in entries.items() if isinstance(value, str | int | float)}
    own = plain.pop(label, None)
    sample.label = sample.label or own
    sample.also = plain


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
