"""Predictions as lines, one a file: for people, as JSON, as CSV."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from neocog.bundle.read import Bundle
from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.core.escape import say
from neocog.serving.predict import Answer
from neocog.tasks.task import task


def show(answers: Iterable[Answer], bundle: Bundle, *, top: int, form: str, total: int) -> None:
    """Print the answers as `text`, `json` or `csv`, and on stderr what was refused; a bar where the lines go elsewhere than its terminal.

    Raises UserError, when all are printed, if a file was refused.
    """
    out, refused = sys.stdout, 0  # the bar takes sys.stdout for itself
    line = {"text": text, "json": as_json, "csv": as_csv}[form]
    bar = sys.stderr.isatty() and not out.isatty()
    if form == "csv":
        print(header(bundle, top), file=out)
    for answer in _with_progress(answers, total) if bar else answers:
        if written := line(answer, bundle, top):
            (say if form == "text" or out.isatty() else print)(written, file=out, flush=bool(answer.reason))
        if answer.reason:
            refused += 1
            say(f"neocog: refused {answer.file}: {answer.reason}", file=sys.stderr)
    if refused:
        if refused < total:
            raise UserError(f"{refused} of {total} files refused, named above with the reason; the others are answered")
        raise UserError(
            "the file is refused" if total == 1 else f"all {total} files are refused, named above with the reason"
        )


def text(answer: Answer, bundle: Bundle, top: int) -> str:
    """shoe.jpg: Ankle boot 93.1%, Sneaker 5.0%, Sandal 1.2%; empty for a refused file."""
    if answer.prediction is None:
        return ""
    return f"{answer.file}: {task(bundle.task).respond.text(answer.prediction, card=bundle.card, top=top)}"


def as_json(answer: Answer, bundle: Bundle, top: int) -> str:
    """One JSON object: `file` and `predictions`, or `refused` with the reason."""
    entry: dict[str, Any] = {"file": answer.file}
    if answer.prediction is None:
        entry["refused"] = answer.reason
    else:
        entry["predictions"] = task(bundle.task).respond.entries(answer.prediction, card=bundle.card, top=top)
    return json.dumps(entry)  # in ASCII: what a pipe of another encoding made of a letter would be no JSON


def as_csv(answer: Answer, bundle: Bundle, top: int) -> str:
    """The line under `header`."""
    respond = task(bundle.task).respond
    if answer.prediction is None:
        cells = [""] * len(respond.columns(card=bundle.card, top=top))
    else:
        cells = respond.cells(answer.prediction, card=bundle.card, top=top)
    return csv_table.line([answer.file, *cells, answer.reason])


def header(bundle: Bundle, top: int) -> str:
    """The columns: file, those of the task, refused."""
    return csv_table.line(["file", *task(bundle.task).respond.columns(card=bundle.card, top=top), "refused"])


def _with_progress(answers: Iterable[Answer], total: int) -> Iterator[Answer]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        yield from progress.track(answers, total=total, description="images answered")
