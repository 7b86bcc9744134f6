"""Predict image files: decoded as `prepare` decodes them, in batches, answered in the order they were named."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.decoding.decode import Decoded, decode
from neocog.data.sources.decode_all import decode_all
from neocog.serving.files import File
from neocog.serving.pixels import Preparation
from neocog.serving.predictor import BATCH, Predictor

FEW = 64  # files that are read before processes to read them have started


@dataclass(frozen=True)
class Answer:
    """The answer for one file: its `prediction`, or the `reason` why there is none."""

    file: str
    prediction: NDArray[np.float32] | None = None
    reason: str = ""


def predict(predictor: Predictor, files: Sequence[File], *, how: Preparation, workers: int = 0) -> Iterator[Answer]:
    """One answer a file, in their order; `workers` processes decode (0: one for each core, for a few files none)."""
    found = {i: Decoded(reason=file.reason) for i, file in enumerate(files) if file.reason}
    todo = [i for i, file in enumerate(files) if not file.reason]
    done = ready = 0
    for number, decoded in _decode([files[i].path for i in todo], how, workers):
        found[todo[number]] = decoded
        while ready in found:
            ready += 1
        if ready - done >= BATCH:
            yield from _answers(predictor, files[done:ready], [found.pop(i) for i in range(done, ready)])
            done = ready
    yield from _answers(predictor, files[done:], [found[i] for i in range(done, len(files))])


def _decode(paths: Sequence[Path], how: Preparation, workers: int) -> Iterable[tuple[int, Decoded]]:
    if len(paths) <= FEW and workers < 2:
        return ((i, decode(path, **how)) for i, path in enumerate(paths))
    return decode_all(Path(os.sep), [os.path.abspath(path) for path in paths], **how, workers=workers)  # noqa: PTH100 - keeps links


def _answers(predictor: Predictor, files: Sequence[File], decoded: Sequence[Decoded]) -> Iterator[Answer]:
    rows = [each.pixels for each in decoded if each.pixels is not None]
    predictions = iter(predictor.predictions(np.stack(rows)) if rows else ())
    for file, each in zip(files, decoded, strict=True):
        if each.pixels is None:
            yield Answer(file.name, reason=each.reason)
        else:
            yield Answer(file.name, next(predictions))
