"""WebDataset: tars in which the files of a sample share a name and differ in their suffix.

    train-000.tar: 000017.jpg, 000017.cls        the label is the text of .cls, or `label` in .json

Tars that lie elsewhere are named in `shards.txt`, an address a line (s3://bucket/train-000.tar, or with `*`), and read by byte range.
The split stands in the tar's path (`train-000.tar`, `val/000.tar`). Nothing is unpacked: images are read where they lie in the tar, so
links, devices and names that lead out of the folder do no harm; they are refused. Other plain entries of .json become groups.
"""

import json
import posixpath
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from neocog.core.errors import NeocogError, UserError
from neocog.data.decoding import remote
from neocog.data.decoding.encoded import ByteRange, ByteRanges
from neocog.data.decoding.remote import is_address
from neocog.data.sources.folder import Reading
from neocog.data.sources.labelled import Labelled, class_names, read_labelled, splits_named
from neocog.data.sources.listing import SUFFIXES, list_files, spelt
from neocog.data.sources.source import Source
from neocog.data.sources.table import LABEL

ADDRESSES = "shards.txt"  # in data.root: tars that lie elsewhere
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
    near, far = len(names), _addresses(listing.root / ADDRESSES)
    if far and near:
        raise UserError(f"data.root (={str(root)!r}) holds {names[0]} and {ADDRESSES}; keep one of both")
    names += far
    if how.get("store") == "referenced" and not far:
        raise UserError(
            f"data.store (='referenced'): {names[0] if names else root} lies on this machine; name the addresses of tars in "
            f"{Path(root) / ADDRESSES}, or set data.store: encoded"
        )
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
    above = posixpath.commonprefix(far).rpartition("/")[0]  # of an address, which may call itself a test
    for end, split in splits_named([name[len(above) :] for name in names]).items():
        name = f"{above}{end}"
        seen: set[str] = set()
        for sample in _samples(name if is_address(name) else listing.root / name, name, label, found.refused):
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


def _addresses(path: Path) -> list[str]:
    """The tars that a text file names by their addresses, one a line, sorted; `*` stands for any name. Raises UserError."""
    if not path.is_file():
        return []
    found: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        address = line.strip()
        if not address or address.startswith("#"):
            continue
        if not is_address(address) or not address.endswith(".tar"):
            raise UserError(
                f"{path}, line {number}: {address!r} is no address of a .tar; write such as s3://bucket/train-000.tar"
            )
        found += remote.expanded(address)
    if twice := [address for address, count in Counter(found).items() if count > 1]:
        raise UserError(f"{path}: {twice[0]} is there twice; name each tar once")
    return sorted(found)


@contextmanager
def _opened(path: Path | str) -> Iterator[tarfile.TarFile]:
    if isinstance(path, Path):
        with tarfile.open(path, "r:") as tar:
            yield tar
        return
    with remote.opened(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        yield tar


def _samples(path: Path | str, name: str, label: str, refused: list[tuple[str, str]]) -> Iterator[_Sample]:
    """The samples of a tar: files that follow each other and have one name. What is no file, and where the tar ends early, is refused."""
    sample: _Sample | None = None
    try:
        with _opened(path) as tar:
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
                _add(sample, tar, member, f".{suffix.lower()}", label, path=path)
    except NeocogError:  # not the tar's fault
        raise
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        refused.append((spelt(name), f"truncated or no tar: what comes after its readable part is missing ({error})"))
    if sample is not None:
        yield sample


def _add(
    sample: _Sample, tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, label: str, *, path: Path | str
) -> None:
    if suffix in SUFFIXES:
        sample.images.append((member.name, ByteRange(path, member.offset_data, member.size)))
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
