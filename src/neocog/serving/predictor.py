"""Inference with a bundle: raw pixels in, calibrated predictions of its task out."""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.read import GRAPH, Bundle, damaged
from neocog.core.errors import NeocogError
from neocog.tasks.task import task

if TYPE_CHECKING:
    import onnxruntime

BATCH = 256  # images in one pass of the graph


@dataclass(frozen=True)
class Predictor:
    """A bundle in ONNX Runtime; several threads may call it at once."""

    bundle: Bundle
    session: "onnxruntime.InferenceSession"

    @cached_property
    def respond(self) -> ModuleType:
        """The `respond` file of the bundle's task."""
        return task(self.bundle.task).respond

    def predictions(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated predictions [N, ...] of images uint8 [N, H, W, C]. Raises NeocogError when the model gives NaN."""
        parts = [self._predictions(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return (
            np.concatenate(parts) if parts else np.zeros((0, *self.respond.output_shape(self.bundle.card)), np.float32)
        )

    def _predictions(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = self.session.run(None, {"images": np.ascontiguousarray(images)})[0]
        if not np.isfinite(outputs).all():
            raise NeocogError(f"{self.bundle.model}: its outputs are NaN or infinite; train the model again")
        calibrated: NDArray[np.float32] = self.respond.calibrated(outputs, card=self.bundle.card)
        return calibrated

    def answers(self, predictions: NDArray[np.float32]) -> list[dict[str, Any]]:
        """Each prediction as a JSON object."""
        rows: list[dict[str, Any]] = self.respond.answers(predictions, card=self.bundle.card)
        return rows


def load(bundle: Bundle, *, threads: int = 0) -> Predictor:
    """Load a bundle's graph and try it on one black image; `threads` 0 lets the runtime choose.

    Raises UserError when the graph is damaged, NeocogError when its answer is NaN.
    """
    loaded = Predictor(bundle, bundle.session(threads=threads))
    expected = (1, *loaded.respond.output_shape(bundle.card))
    try:
        shape = loaded.predictions(np.zeros((1, *bundle.size, bundle.channels), np.uint8)).shape
    except NeocogError:
        raise
    except Exception as error:  # the runtime's own have no ancestor in common
        raise damaged(bundle.folder / GRAPH, f"it does not take an image: {type(error).__name__}") from error
    if shape != expected:
        raise damaged(bundle.folder / GRAPH, f"its answer has shape {list(shape)}, not {list(expected)}")
    return loaded
