"""Answers as lines, one a file: for people, as JSON, as CSV."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.core.escape import say
from neocog.serving.predict import Answer
from neocog.serving.predictor import ranked


def show(answers: Iterable[Answer], classes: Sequence[str], *, top: int, form: str, total: int) -> None:
    """Print the answers as `text`, `json` or `csv`, and on stderr what was refused; a bar where the lines go elsewhere than its terminal.

    Raises UserError, when all are printed, if a file was refused.
    """
    out, refused = sys.stdout, 0  # the bar takes sys.stdout for itself
    line = {"text": text, "json": as_json, "csv": as_csv}[form]
    bar = sys.stderr.isatty() and not out.isatty()
    if form == "csv":
        print(header(classes, top), file=out)
    for answer in _watched(answers, total) if bar else answers:
        if said := line(answer, classes, top):
            (say if form == "text" or out.isatty() else print)(said, file=out, flush=bool(answer.reason))
        if answer.reason:
            refused += 1
            say(f"neocog: refused {answer.file}: {answer.reason}", file=sys.stderr)
    if refused:
        if refused < total:
            raise UserError(f"{refused} of {total} files refused, named above with the reason; the others are answered")
        raise UserError(
            "the file is refused" if total == 1 else f"all {total} files are refused, named above with the reason"
        )


def text(answer: Answer, classes: Sequence[str], top: int) -> str:
    """shoe.jpg: Ankle boot 93.1%, Sneaker 5.0%, Sandal 1.2%; empty for a refused file."""
    said = ", ".join(f"{name} {probability:.1%}" for name, probability in likeliest(answer, classes, top))
    return f"{answer.file}: {said}" if said else ""


def as_json(answer: Answer, classes: Sequence[str], top: int) -> str:
    """One JSON object: `file` and `predictions` [{class, probability}], or `refused` with the reason."""
    entry: dict[str, Any] = {"file": answer.file}
    if answer.reason:
        entry["refused"] = answer.reason
    else:
        entry["predictions"] = [{"class": c, "probability": p} for c, p in likeliest(answer, classes, top)]
    return json.dumps(entry)  # in ASCII: what a pipe of another encoding made of a letter would be no JSON


def as_csv(answer: Answer, classes: Sequence[str], top: int) -> str:
    """The line under `header`."""
    best = [cell for c, p in likeliest(answer, classes, top) for cell in (c, f"{p:.6f}")]
    return csv_table.line([answer.file, *(best or [""] * 2 * min(top, len(classes))), answer.reason])


def header(classes: Sequence[str], top: int) -> str:
    """file, class_1, probability_1, class_2, ..., refused."""
    places = range(1, min(top, len(classes)) + 1)
    return csv_table.line(["file", *(f"{what}_{i}" for i in places for what in ("class", "probability")), "refused"])


def likeliest(answer: Answer, classes: Sequence[str], top: int) -> list[tuple[str, float]]:
    """The `top` likeliest classes and their probabilities; none of a refused file."""
    if answer.probabilities is None:
        return []
    order = ranked(answer.probabilities[None])[0, :top]
    return [(classes[i], float(answer.probabilities[i])) for i in order]


def _watched(answers: Iterable[Answer], total: int) -> Iterator[Answer]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        yield from progress.track(answers, total=total, description="images answered")
