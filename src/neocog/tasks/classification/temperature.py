"""Temperature scaling: the number by which logits are divided for calibrated probabilities, fitted on validation images.

Guo, C., Pleiss, G., Sun, Y. & Weinberger, K. Q. (2017). On calibration of modern neural networks. ICML. arXiv:1706.04599.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

COLDEST, HOTTEST = 0.02, 50.0  # where every image of the split is right, ever colder were ever better
STEPS = 40  # each leaves two thirds of the interval


def of(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """The `temperature` entry of a bundle's card, from logits [N, K] of images that the model was not trained on, and labels [N].

    1 where every image is right, for then the images cannot tell how sure is too sure.
    """
    return 1.0 if (logits.argmax(axis=1) == labels).all() else round(fit(logits, labels), 4)


def fit(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """The temperature at which the labels [N] are most likely under softmax(logits [N, K] / temperature).

    It changes no answer, only how sure it is: above 1 the model was too sure. Fit it on images that the model was not trained on.
    The likelihood has one maximum in 1 / temperature, so the search may discard a third of the interval at a time.
    """
    gaps = logits.astype(np.float64) - np.take_along_axis(logits, labels[:, None], axis=1)  # to the label's own logit
    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(STEPS):
        third = (high - low) / 3
        left, right = (_surprise(gaps / np.exp(log)) for log in (low + third, high - third))
        low, high = (low, high - third) if left <= right else (low + third, high)
    return float(np.exp((low + high) / 2))


def _surprise(gaps: NDArray[np.float64]) -> float:
    """Mean of -log p(label), in nats, from logits less the label's own [N, K]."""
    highest = gaps.max(axis=1)
    return float((highest + np.log(np.exp(gaps - highest[:, None]).sum(axis=1))).mean())
