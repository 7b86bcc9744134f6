"""Your own images, one folder a class: listed, decoded in parallel, held in a scratch file until they are written."""

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Required, TypedDict, Unpack

import numpy as np

from neocog.core.columns import DigestColumn, TextColumn, take
from neocog.core.image_size import Size
from neocog.core.progress import watched
from neocog.data.decoding.colour import rgb
from neocog.data.decoding.encoded import Encoded
from neocog.data.decoding.resize import INTERPOLATION
from neocog.data.quality_checks import check_any
from neocog.data.sources.decode_all import decode_all
from neocog.data.sources.listing import Listing, list_images, spelt
from neocog.data.sources.scratch import EncodedScratch, PackedScratch, ReferencedScratch
from neocog.data.sources.source import Source

SIZE = 64  # pixels, where data.size says nothing
_GENERIC = re.compile(
    r"(raw|data|datasets?|images?|imgs?|pics?|pictures?|train(ing)?|all|files?|inputs?|sources?|src|classes|labell?ed|"
    r"processed|prepared|resized|originals?|downloads?|te?mp|mnt|root|jpe?g|png|\d*)(_?\d+)?",
    re.IGNORECASE,
)  # names of folders that tell nothing of what lies in them


class Reading(TypedDict, total=False):
    """The keywords of `read_listed`."""

    scratch: Required[Path]
    size: Size | None
    channels: int | None
    resize: str
    interpolation: str
    background: str
    bits: int
    max_pixels: int
    workers: int
    store: str


def folder(root: Path, **how: Unpack[Reading]) -> Source:
    """Read every image below `root`, whose label is its class folder.

    Raises UserError, before anything is decoded, when `root` does not hold class folders with files in them.
    """
    listing = list_images(root)
    labels = np.array(listing.labels, np.int64)
    check_any(np.bincount(labels, minlength=len(listing.classes)), listing.classes, listing.refused)
    return read_listed(root, listing, labels, **how)


def read_listed(
    root: Path,
    listing: Listing,
    targets: np.ndarray,
    *,
    encoded: Sequence[Encoded] | None = None,
    mean_bytes: int = 0,
    scratch: Path,
    size: Size | None = None,
    channels: int | None = None,
    resize: str = "crop",
    interpolation: str = INTERPOLATION,
    background: str = "white",
    bits: int = 16,
    max_pixels: int = 50_000_000,
    workers: int = 0,
    store: str = "packed",
) -> Source:
    """Read the files of a listing, whose `targets` are [N, ...]; rows go to a nameless file in the folder `scratch`, not to memory.

    `channels` None is 1 unless an image has colour; `encoded`, `mean_bytes` and `store` are as in `decode_all`.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    size = size or (SIZE, SIZE)
    shape = (len(listing.paths), *size, channels or 3)
    sha256, files_sha256 = DigestColumn(len(listing.paths)), DigestColumn(len(listing.paths))
    hashed, read = np.zeros((2, len(listing.paths)), bool)
    refused = list(listing.refused)
    colour = resize == "pad" and len({*rgb(background)}) > 1
    remarks: dict[str, list[int]] = {}
    peaks: list[int] = []
    with tempfile.TemporaryFile(dir=scratch) as file:
        kept: PackedScratch | EncodedScratch | ReferencedScratch
        if store == "referenced":
            kept = ReferencedScratch(file, shape, encoded)
        else:
            kept = (EncodedScratch if store == "encoded" else PackedScratch)(file, shape)
        decoding = decode_all(
            listing.root,
            listing.paths,
            size=size,
            channels=shape[3],
            resize=resize,
            interpolation=interpolation,
            background=background,
            bits=bits,
            max_pixels=max_pixels,
            workers=workers,
            encoded=encoded,
            mean_bytes=mean_bytes,
            store=store,
        )
        for i, decoded in watched(decoding, total=len(listing.paths), what="images read"):
            if decoded.file_sha256:
                files_sha256[i], hashed[i] = decoded.file_sha256, True
            if decoded.reason:
                refused.append((spelt(listing.paths[i]), decoded.reason))
                continue
            sha256[i], read[i] = decoded.sha256, True
            colour |= decoded.colour
            if decoded.peak is not None:
                peaks.append(decoded.peak)
            if decoded.remark:
                remarks.setdefault(decoded.remark, []).append(i)
            kept.add(i, decoded)
        readable = np.flatnonzero(read)
        images = kept.images(readable, gray=not (channels or colour))
    return Source(
        name=called(root),
        classes=tuple(listing.classes),
        images=images,
        rows=readable,
        targets=targets[readable],
        given=take(listing.given, readable),
        carved=listing.carved,
        sha256=take(sha256, readable),
        paths=_spelt(take(listing.paths, readable)),
        refused=refused,
        digest=_digest(listing.paths, files_sha256, hashed, listing.refused),
        notes=[*listing.notes, *_lost(listing.paths, remarks, peaks, bits=bits)],
        leftovers=listing.leftovers,
    )


def _spelt(paths: Sequence[str]) -> Sequence[str]:
    """Paths that can be written anywhere: themselves, where all can."""
    return paths if all(path == spelt(path) for path in paths) else TextColumn(map(spelt, paths))


def called(root: Path) -> str:
    """What the images of a folder are called: the last part of its path that tells something, `images` if none does."""
    parts = list(root.parts[3:] if re.match(r"/(home|Users)/", str(root)) else root.parts)  # no user's name
    parts = [part for part in parts if part not in (root.anchor, "..") and not _GENERIC.fullmatch(part.strip())]
    return spelt(parts[-1]) if parts else "images"


def _lost(paths: Sequence[str], remarks: Mapping[str, Sequence[int]], peaks: Sequence[int], *, bits: int) -> list[str]:
    """What decoding lost, in a sentence each."""
    notes = [
        f"{len(where)} images: {remark} (the first: {spelt(paths[min(where)])})"
        for remark, where in sorted(remarks.items())
    ]
    used = max(8, max(peaks, default=0).bit_length())
    if peaks and used < bits:
        notes.append(
            f"{len(peaks)} images hold 16-bit gray of which {bits} bits are used, and none goes beyond {max(peaks):,}: "
            f"of {1 << used:,} gray levels at most {(max(peaks) * 255 >> bits) + 1} are left; set data.bits: {used}"
        )
    return notes


def _digest(
    paths: Sequence[str], files_sha256: Sequence[str], hashed: np.ndarray, refused: list[tuple[str, str]]
) -> str:
    """The sha256 of what came in: every path with the sha256 of its file where it is known, and what was refused unread."""
    content = hashlib.sha256()
    for path, sha256, known in zip(paths, files_sha256, hashed, strict=True):
        content.update(f"{spelt(path)}\0{sha256 if known else ''}\0".encode())
    for path, reason in refused:
        content.update(f"{path}\0{reason}\0".encode())
    return content.hexdigest()
