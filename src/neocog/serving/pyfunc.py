"""A bundle as MLflow's `python_function`: loaded by `mlflow models serve` and `mlflow.pyfunc.load_model`.

This file and the few it imports travel with a registered model: where they answer, neocog need not be installed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neocog.bundle import read
from neocog.core.errors import UserError
from neocog.evaluation.preparation import preparation
from neocog.serving import pixels, predictor
from neocog.serving.protocol import COLUMN

# The files of this package that travel with every model: this one and whatever it imports. Its task adds `respond.FILES`.
FILES = (
    "__init__.py",
    "bundle/__init__.py",
    "bundle/read.py",
    "bundle/session.py",
    "core/__init__.py",
    "core/broken_pipe.py",
    "core/errors.py",
    "core/escape.py",
    "core/image_size.py",
    "core/integrity.py",
    "core/lockfile.py",
    "core/resume_state.py",
    "core/utf8_mode.py",
    "data/__init__.py",
    "data/decoding/__init__.py",
    "data/decoding/colour.py",
    "data/decoding/decode.py",
    "data/decoding/decompression_bombs.py",
    "data/decoding/encoded.py",
    "data/decoding/formats.py",
    "data/decoding/jpeg.py",
    "data/decoding/remote.py",
    "data/decoding/resize.py",
    "data/pixel_statistics.py",
    "evaluation/__init__.py",
    "evaluation/preparation.py",
    "serving/__init__.py",
    "serving/pixels.py",
    "serving/predictor.py",
    "serving/protocol.py",
    "serving/pyfunc.py",
    "tasks/__init__.py",
    "tasks/task.py",
)


class Model:
    """Python model as MLflow loads it."""

    def __init__(self, folder: Path) -> None:
        bundle = read.read(folder)
        self._predictor = predictor.load(bundle)
        self._how = preparation(bundle)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The answer for each image in a data frame's column `image`, or in an array or list.

        Raises MlflowException naming the first image that cannot be used: what MLflow answers as a bad request, with that sentence.
        """
        try:
            items = list(_items(model_input))
            pixels.promised(items, self._how)
            images = pixels.images(items, self._how)
            if not len(images):
                raise UserError("no image; send at least one")
        except UserError as error:
            from mlflow.exceptions import MlflowException
            from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from None
        return self._predictor.answers(self._predictor.predictions(images))


def _items(given: Any) -> Iterable[Any]:
    """The images one by one; MLflow makes one cell of a list of texts."""
    if hasattr(given, "columns"):
        given = given[COLUMN] if COLUMN in given.columns else given.iloc[:, 0]
    elif isinstance(given, dict):
        given = given[COLUMN]
    if isinstance(given, str):
        given = [given]
    for item in given:
        if isinstance(item, list | np.ndarray) and len(item) and all(isinstance(part, str) for part in item):
            yield from item
        else:
            yield item


def _load_pyfunc(folder: str) -> Model:
    return Model(Path(folder))
