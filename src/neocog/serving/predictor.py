"""A bundle ready to answer: raw pixels in, calibrated probabilities out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.read import GRAPH, Bundle, damaged
from neocog.core.errors import NeocogError
from neocog.tasks.classification.calibration import probabilities

if TYPE_CHECKING:
    import onnxruntime

BATCH = 256  # images that the graph is asked about at a time


@dataclass(frozen=True)
class Classifier:
    """A bundle in ONNX Runtime; several threads may ask at once. Logits are divided by `temperature` (Guo et al. 2017)."""

    bundle: Bundle
    session: "onnxruntime.InferenceSession"
    temperature: float

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities [N, K] of images uint8 [N, H, W, C]. Raises NeocogError when the model gives NaN."""
        parts = [self._of(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.bundle.classes)), np.float32)

    def _of(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = self.session.run(["logits"], {"images": np.ascontiguousarray(images)})[0]
        if not np.isfinite(logits).all():
            raise NeocogError(f"{self.bundle.model}: its logits are NaN or infinite; train the model again")
        return probabilities(logits, temperature=self.temperature)

    def told(self, probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
        """Each row of [N, K] as `class`, its `probability`, and the `probabilities` of all by name, likeliest first."""
        classes = self.bundle.classes
        rows = []
        for row, order in zip(probabilities.tolist(), ranked(probabilities).tolist(), strict=True):
            rows.append(
                {
                    "class": classes[order[0]],
                    "probability": row[order[0]],
                    "probabilities": {classes[i]: row[i] for i in order},
                }
            )
        return rows


def load(bundle: Bundle, *, threads: int = 0) -> Classifier:
    """The bundle with its graph loaded, and asked one black image; `threads` 0 lets the runtime choose.

    Raises UserError when the graph is damaged, NeocogError when its answer is NaN.
    """
    loaded = Classifier(bundle, bundle.session(threads=threads), bundle.temperature)
    try:
        answered = loaded.probabilities(np.zeros((1, bundle.size, bundle.size, bundle.channels), np.uint8)).shape
    except NeocogError:
        raise
    except Exception as error:  # the runtime's own have no ancestor in common
        raise damaged(bundle.folder / GRAPH, f"it does not take an image: {type(error).__name__}") from error
    if answered != (1, len(bundle.classes)):
        raise damaged(bundle.folder / GRAPH, f"its answer has shape {list(answered)}, not [1, {len(bundle.classes)}]")
    return loaded


def ranked(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Classes [N, K] from the likeliest on; a tie goes to the lower class, as in argmax."""
    return np.argsort(-probabilities, axis=1, kind="stable")
