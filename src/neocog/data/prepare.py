"""From a source to the prepared data set: read everything, refuse what cannot be used, split, write."""

import errno
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neocog.core import image_size
from neocog.core.columns import take
from neocog.core.errors import NeocogError, UserError, nearest
from neocog.data import quality_checks
from neocog.data.decoding.colour import rgb
from neocog.data.decoding.encoded_files import EncodedFiles
from neocog.data.decoding.referenced import ReferencedImages
from neocog.data.decoding.resize import INTERPOLATION, INTERPOLATIONS
from neocog.data.fixed_splits import FixedSplits, read_splits
from neocog.data.group_splits import check_whole
from neocog.data.prepared import SPLITS, Prepared
from neocog.data.prepared_writer import Samples, write
from neocog.data.sources.digits import digits
from neocog.data.sources.fashion_mnist import fashion_mnist
from neocog.data.sources.folder import folder
from neocog.data.sources.groups import Groups, columns_of, read_groups
from neocog.data.sources.huggingface import huggingface
from neocog.data.sources.idx import idx
from neocog.data.sources.source import Source
from neocog.data.sources.table import table as table_source
from neocog.data.sources.webdataset import webdataset
from neocog.data.splits import Carving, assign, enough
from neocog.tasks import task as tasks
from neocog.tasks.task import Task

STORES = ("packed", "encoded", "referenced")
RESIZES = ("crop", "pad", "stretch")
_PACKED: dict[str, Callable[..., Source]] = {  # whose images are arrays already, all of one size
    "fashion_mnist": fashion_mnist,
    "digits": lambda root, **how: digits(**how),
    "idx": idx,
}
_FILES: dict[str, Callable[..., Source]] = {  # whose images are encoded files
    "folder": folder,
    "table": table_source,
    "huggingface": huggingface,
    "webdataset": webdataset,
}
_LABELLED = ("table", "huggingface", "webdataset")  # that have a column of labels by a name
_NEARBY = "lie at no address; name tars in shards.txt (docs/data.md), or set data.store: encoded"
_SMALL = "small class: fewer than data.min_images (={}) images, and data.small_classes is drop"


def prepare(
    target: Path | str,
    *,
    source: str,
    task: str = "classification",
    root: Path | str = "data/raw",
    name: str | None = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    resize: str = "crop",
    interpolation: str = INTERPOLATION,
    background: str = "white",
    bits: int = 16,
    val_fraction: float = 1 / 12,
    test_fraction: float = 0.15,
    splits: Path | str | None = None,
    split_by: str | None = None,
    small_classes: str = "stop",
    min_images: int = 1,
    on_bad: str = "quarantine",
    table: Path | str | None = None,
    label: str = "label",
    groups: Path | str | None = None,
    max_pixels: int = 50_000_000,
    workers: int = 0,
    store: str = "packed",
) -> Prepared:
    """Prepare the images of a source for a `task`, and write the result to `target`.

    `source` is one of the task: a file of data/sources, or of its own. `name` is what the data set is called (None: as its source, or its
    folder), `size` the side in pixels or [height, width] (None: as it is, 64 for files of images), `channels` 1, 3 or None (1 unless an
    image has colour), `background` what transparency is laid on and `resize: pad` adds, `bits` how many of 16-bit gray are used. `table`
    and `label` name the table of a source and its column of labels, `groups` and `splits` a CSV, `split_by` a column whose groups stay in
    one split. Raises UserError, with nothing written, when the input cannot be used.
    """
    kind = tasks.task(task)
    for key, value, known in (
        ("source", source, kind.targets.SOURCES),
        ("resize", resize, RESIZES),
        ("interpolation", interpolation, INTERPOLATIONS),
        ("on_bad", on_bad, quality_checks.ON_BAD),
        ("store", store, STORES),
        ("small_classes", small_classes, quality_checks.SMALL_CLASSES),
    ):
        if value not in known:
            raise UserError(f"data.{key} (={value!r}) is unknown; {nearest(value, known)}")
    wanted = None if size is None else image_size.pair(size)
    if wanted and min(wanted) < 4:
        raise UserError(f"data.size (={size}) is too small; a side needs at least 4 pixels")
    rgb(background)
    columns = read_groups(Path(groups).expanduser(), task=task) if groups is not None else None
    fixed = read_splits(Path(splits).expanduser()) if splits is not None else None
    target, root = Path(target), Path(root).expanduser()
    try:
        if store == "referenced" and source != "webdataset":
            raise UserError(f"data.store (={store!r}): the images of {source} {_NEARBY}")
        if source in _PACKED:
            found = _PACKED[source](root, size=wanted, channels=channels)
        else:
            own = kind.source(source)
            named: dict[str, Any] = {"label": label} if source in _LABELLED else {}
            if source == "table":
                named["table"] = Path(table).expanduser() if table is not None else None
            found = (own.read if own else _FILES[source])(
                root,
                **named,
                scratch=target.parent,
                size=wanted,
                channels=channels,
                resize=resize,
                interpolation=interpolation,
                background=background,
                bits=bits,
                max_pixels=max_pixels,
                workers=workers,
                store=store,
            )
        if store == "encoded" and not isinstance(found.images, EncodedFiles):
            raise UserError(f"data.store (={store!r}): the images of {source} are no files; set data.store: packed")
        if store == "referenced" and not isinstance(found.images, ReferencedImages):
            raise UserError(f"data.store (={store!r}): the images of {source} {_NEARBY}")
        return _pass_gate(
            target,
            kind,
            replace(found, name=name or found.name),
            columns,
            fixed,
            split_by=split_by,
            small=small_classes,
            min_images=min_images,
            on_bad=on_bad,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            preparation={
                "resize": resize,
                **({} if interpolation == INTERPOLATION else {"interpolation": interpolation}),
                "background": background,
                "bits": bits,
                "max_pixels": max_pixels,
            }
            if source not in _PACKED
            else {},
        )
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{error.filename}: {error.strerror}; make it writable") from None
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NeocogError(f"{target}: the disk is full ({error.strerror}); free space and run the same again") from None


def _pass_gate(
    target: Path,
    kind: Task,
    found: Source,
    table: Groups | None,
    fixed: FixedSplits | None,
    *,
    split_by: str | None,
    small: str,
    min_images: int,
    on_bad: str,
    val_fraction: float,
    test_fraction: float,
    preparation: dict[str, str | int],
) -> Prepared:
    if fixed is not None:
        found = replace(found, given=fixed.of(found.paths), carved=fixed.carved)
    twins = quality_checks.duplicates(
        found.targets, found.given, found.sha256, found.paths, contradiction=kind.targets.CONTRADICTION
    )
    refused = sorted([*found.refused, *((found.paths[i], reason) for i, reason in twins.items())])
    if on_bad == "stop":
        quality_checks.stop(refused)
    kept = np.setdiff1d(np.arange(len(found.paths)), np.array(list(twins), np.int64), assume_unique=True)
    classes, targets = found.classes, found.targets[kept]
    dropped, notes = quality_checks.small_classes(
        kind.targets.counts(targets, classes=len(classes)), classes, policy=small, min_images=min_images
    )
    notes = [*found.notes, *notes]
    if dropped.any():
        targets, remain = kind.targets.without(targets, dropped)
        refused = sorted([*refused, *((found.paths[i], _SMALL.format(min_images)) for i in kept[~remain])])
        kept = kept[remain]
        classes = tuple(name for name, gone in zip(classes, dropped, strict=True) if not gone)
    sha256, paths, given = (take(values, kept) for values in (found.sha256, found.paths, found.given))
    last: list[str] = []
    if fixed is not None:
        last += fixed.notes(paths, [path for path, _ in refused])
    groups, unsuited = columns_of(
        kind.name, {name: take(values, kept) for name, values in found.groups.items()}, split_by
    )
    last += unsuited
    if table is not None:
        last += _group_notes(table, paths, [path for path, _ in refused])
        groups |= table.of(paths)
    shown = kind.targets.present_classes(targets)
    carving: Carving = {"carved": found.carved, "val_fraction": val_fraction, "test_fraction": test_fraction}
    if split_by is not None:
        if split_by not in groups:
            there = nearest(split_by, groups) if groups else "there is none; name a CSV of them in data.groups"
            raise UserError(f"data.split_by (={split_by!r}) is no column of groups; {there}")
        check_whole(split_by, groups[split_by], given, paths)
        carving["groups"] = groups[split_by]
    splits = assign(given, sha256, shown=shown, **carving)
    where = np.fromiter(map(SPLITS.index, splits), np.int8, len(splits))
    notes += quality_checks.check_classes(
        {split: kind.targets.counts(targets[where == i], classes=len(classes)) for i, split in enumerate(SPLITS)},
        Counter(splits),
        classes,
        refused,
        enough=lambda split: enough(split, given, sha256, shown=shown, **carving),
    )
    again = quality_checks.repeated(splits, sha256)
    notes += [f"{again[split]} images of {split} repeat another of it exactly" for split in SPLITS if split in again]
    files = "".join(file.sha256 for file in (table, fixed) if file is not None)
    written = write(
        target,
        name=found.name,
        classes=classes,
        images=found.images,
        samples=Samples(found.rows[kept], targets, splits, sha256, paths, groups),
        source_digest=hashlib.sha256(f"{found.digest}{files}".encode()).hexdigest() if files else found.digest,
        quarantine=refused,
        notes=[*notes, *last],
        task=kind.name,
        preparation=preparation,
    )
    return replace(written, passed_over=Counter(found.leftovers.values()))


def _group_notes(table: Groups, paths: Sequence[str], refused: Sequence[str]) -> list[str]:
    strangers, without = table.unmatched(paths, refused)
    notes = []
    if strangers:
        notes.append(f"{len(strangers)} rows of data.groups name no image, the first: {strangers[0]}")
    if without:
        notes.append(f"{without} images have no row in data.groups: their group columns are empty")
    return notes


def summary(prepared: Prepared) -> str:
    """A compact table of what a prepared data set holds, and why images were refused."""
    counts = prepared.counts
    shape = " x ".join(map(str, (*prepared.size, prepared.channels)))
    lines = [f"{prepared.name}: {len(prepared.classes)} classes, {shape}, digest {prepared.digest[:12]}"]
    rows = [[name, *(f"{counts[split][name]:,}" for split in SPLITS)] for name in prepared.classes]
    if len(rows) > 20:
        rows = []
    rows = [["class", *SPLITS], *rows, ["all", *(f"{prepared.num_images(split):,}" for split in SPLITS)]]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells))
    reasons = Counter(reason.split(":")[0] for _, reason in prepared.quarantined())
    tally = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    lines.append(f"quarantined: {sum(reasons.values()):,}" + (f" ({tally}); see quarantine.csv" if tally else ""))
    if prepared.passed_over:
        lines.append(
            "passed over: " + ", ".join(f"{what} {count:,}" for what, count in sorted(prepared.passed_over.items()))
        )
    return "\n".join([*lines, *(f"note: {note}" for note in prepared.notes)])
