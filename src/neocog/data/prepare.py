"""From a source to the prepared data set: read everything, refuse what cannot be used, split, write."""

import errno
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neocog.core.errors import NeocogError, UserError, nearest
from neocog.data import quality_checks
from neocog.data.prepared import SPLITS, Prepared, Samples, write
from neocog.data.sources.colour import rgb
from neocog.data.sources.digits import digits
from neocog.data.sources.fashion_mnist import fashion_mnist
from neocog.data.sources.folder import folder
from neocog.data.sources.groups import Groups, read_groups
from neocog.data.sources.source import Source
from neocog.data.splits import Carving, assign, enough
from neocog.tasks import task as tasks
from neocog.tasks.task import Task

RESIZES = ("crop", "pad", "stretch")


def prepare(
    target: Path | str,
    *,
    source: str,
    task: str = "classification",
    root: Path | str = "data/raw",
    name: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    resize: str = "crop",
    background: str = "white",
    bits: int = 16,
    val_fraction: float = 1 / 12,
    test_fraction: float = 0.15,
    on_bad: str = "quarantine",
    groups: Path | str | None = None,
    max_pixels: int = 50_000_000,
    workers: int = 0,
) -> Prepared:
    """Prepare the images of a source for a `task`, and write the result to `target`.

    `source`: `fashion_mnist`, `digits`, a `folder` of images below `root`, or one that only the task has. `name` is what the data set
    is called (None: as its source, or its folder), `size` the side in pixels (None: as it is, 64 for a folder), `channels` 1, 3 or
    None (1 unless an image has colour), `background` what transparency is laid on and `resize: pad` adds, `bits` how many of 16-bit
    gray are used, `groups` a CSV. Raises UserError, with nothing written, when the input cannot be used.
    """
    kind = tasks.task(task)
    for key, value, known in (
        ("source", source, kind.targets.SOURCES),
        ("resize", resize, RESIZES),
        ("on_bad", on_bad, quality_checks.ON_BAD),
    ):
        if value not in known:
            raise UserError(f"data.{key} (={value!r}) is unknown; {nearest(value, known)}")
    if size is not None and size < 4:
        raise UserError(f"data.size (={size}) is too small; a side needs at least 4 pixels")
    rgb(background)
    table = read_groups(Path(groups).expanduser(), task=task) if groups is not None else None
    target, root = Path(target), Path(root).expanduser()
    try:
        if source == "digits":
            found = digits(size=size, channels=channels)
        elif source == "fashion_mnist":
            found = fashion_mnist(root, size=size, channels=channels)
        else:
            own = kind.source(source)
            found = (own.read if own else folder)(
                root,
                scratch=target.parent,
                size=size,
                channels=channels,
                resize=resize,
                background=background,
                bits=bits,
                max_pixels=max_pixels,
                workers=workers,
            )
        return _pass_gate(
            target,
            kind,
            replace(found, name=name or found.name),
            table,
            on_bad=on_bad,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            preparation={"resize": resize, "background": background, "bits": bits, "max_pixels": max_pixels}
            if source not in ("digits", "fashion_mnist")
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
    *,
    on_bad: str,
    val_fraction: float,
    test_fraction: float,
    preparation: dict[str, str | int],
) -> Prepared:
    twins = quality_checks.duplicates(
        found.targets, found.given, found.sha256, found.paths, contradiction=kind.targets.CONTRADICTION
    )
    refused = sorted([*found.refused, *((found.paths[i], reason) for i, reason in twins.items())])
    if on_bad == "stop":
        quality_checks.stop(refused)
    kept = [i for i in range(len(found.paths)) if i not in twins]
    sha256 = [found.sha256[i] for i in kept]
    paths = [found.paths[i] for i in kept]
    targets, given = found.targets[kept], [found.given[i] for i in kept]
    shown = kind.targets.shown(targets)
    carving: Carving = {"carved": found.carved, "val_fraction": val_fraction, "test_fraction": test_fraction}
    splits = assign(given, sha256, shown=shown, **carving)
    where = np.asarray(splits, dtype="U5")
    notes = quality_checks.check_classes(
        {split: kind.targets.counts(targets[where == split], classes=len(found.classes)) for split in SPLITS},
        Counter(splits),
        found.classes,
        refused,
        enough=lambda split: enough(split, given, sha256, shown=shown, **carving),
    )
    notes = [*found.notes, *notes]
    again = quality_checks.repeated(splits, sha256)
    notes += [f"{again[split]} images of {split} repeat another of it exactly" for split in SPLITS if split in again]
    columns = {}
    if table is not None:
        notes += _group_notes(table, paths, [path for path, _ in refused])
        columns = table.of(paths)
    written = write(
        target,
        name=found.name,
        classes=found.classes,
        images=found.images,
        samples=Samples(found.rows[kept], targets, splits, sha256, paths, columns),
        source_digest=found.digest
        if table is None
        else hashlib.sha256(f"{found.digest}{table.sha256}".encode()).hexdigest(),
        quarantine=refused,
        notes=notes,
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
    shape = f"{prepared.size} x {prepared.size} x {prepared.channels}"
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
