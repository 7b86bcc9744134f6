"""Predictions: a bundle's outputs for prepared images, through ONNX Runtime, and their scores."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import session
from neocog.bundle.read import Bundle
from neocog.core import image_size
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared, Split
from neocog.tasks.task import task

SHOWN = 12  # classes named in an error


def match(bundle: Bundle, prepared: Prepared) -> None:
    """Raise UserError unless the prepared images match the bundle: task, classes in order, channels, size."""
    for what in ("task", "classes", "channels", "size"):
        ours, theirs = getattr(bundle, what), getattr(prepared, what)
        if ours != theirs:
            order = " in another order" if what == "classes" and set(ours) == set(theirs) else ""
            raise UserError(
                f"{what}: {bundle.folder} was trained with {_text(ours)}; "
                f"{prepared.folder} has {_text(theirs)}{order}. "
                f"Train the model again on these data (`dvc repro`), or prepare the data it was trained on"
            )


def outputs(bundle: Bundle, images: NDArray[np.uint8], *, batch_size: int) -> NDArray[np.float32]:
    """Outputs [N, ...] of the graph for images uint8 [N, H, W, C], in batches as `session.outputs` has them.

    Raises UserError for no images, and for NaN or infinite outputs.
    """
    if not len(images):
        raise UserError(
            "the split holds no images; give it a share in params.yaml (data.test_fraction, data.val_fraction)"
        )
    answers = session.outputs(bundle.session(), images, batch_size=batch_size)
    bad = int((~np.isfinite(answers)).reshape(len(answers), -1).any(axis=1).sum())
    if bad:
        raise UserError(
            f"{bundle.folder}: outputs of {bad} of {len(images)} images are NaN or infinite; train the model again"
        )
    return answers


@dataclass(frozen=True)
class View:
    """Images uint8 [N, H, W, C] of which `rows` [H] and `columns` [W] are taken: a part of them at a time, when it is asked for."""

    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, some: slice) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.images[some][:, self.rows][:, :, self.columns])


def views(images: NDArray[np.uint8], kind: str) -> Iterator[View]:
    """Images uint8 [N, H, W, C] as test-time augmentation shows them: as they are and flipped (`flip`), and both shifted by a
    sixteenth of a side to four sides as well, with the border repeated (`flip_shift`)."""
    shifts = [(0, 0)]
    if kind == "flip_shift":
        down, across = max(1, images.shape[1] // 16), max(1, images.shape[2] // 16)
        shifts += [(down, 0), (-down, 0), (0, across), (0, -across)]
    rows, columns = np.arange(images.shape[1]), np.arange(images.shape[2])
    for down, across in shifts:
        y, x = (rows + down).clip(0, rows[-1]), (columns + across).clip(0, columns[-1])
        yield View(images, y, x)
        yield View(images, y, x[::-1])


def averaged(
    bundle: Bundle, images: NDArray[np.uint8], kind: str, *, batch_size: int
) -> tuple[NDArray[np.float32], int]:
    """The mean of the outputs [N, ...] over the `views` of the images, and their number: so many times longer it takes."""
    found = [outputs(bundle, cast(NDArray[np.uint8], each), batch_size=batch_size) for each in views(images, kind)]
    return np.asarray(np.mean(found, axis=0, dtype=np.float64), np.float32), len(found)


def scores(bundle: Bundle, part: Split, *, batch_size: int = 256) -> NDArray[Any]:
    """The score of each image [N] of a split, by the bundle's task: whether it is right, where that can be said."""
    found: NDArray[Any] = task(bundle.task).metrics.scores(
        outputs(bundle, part.images, batch_size=batch_size), part.targets
    )
    return found


def test_score(reports: Path, model: str, *, metric: str) -> float:
    """The `metric` of `<kind>/<name>` on the test images, as `evaluate` left it. Raises UserError when it did not."""
    path = reports / model / "metrics.json"
    try:
        return float(json.loads(path.read_text())[f"test/{metric}"])
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged ({error!r}); `dvc repro` makes it") from None


def _text(value: object) -> str:
    if isinstance(value, tuple) and isinstance(value[0], int):
        return image_size.format_size(value)
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(value[:SHOWN]) + (f" ... ({len(value)} of them)" if len(value) > SHOWN else "")
