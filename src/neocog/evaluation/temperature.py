"""How much too sure is the model? One number by which dividing its logits makes its probabilities honest."""

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.accuracy import Ints
from neocog.evaluation.calibration import negative_log_likelihood

COLDEST, HOTTEST = 0.02, 50.0  # where every image of the split is right, ever colder were ever better
STEPS = 40  # each leaves two thirds of the interval


def fit(logits: NDArray[np.floating], labels: Ints) -> float:
    """The temperature at which the labels [N] are most likely under softmax(logits [N, K] / temperature).

    It changes no answer, only how sure it is: above 1 the model was too sure. Fit it on images that the model was not trained on.
    The likelihood has one maximum in 1 / temperature, so the search may discard a third of the interval at a time.
    Guo, Pleiss, Sun & Weinberger (2017). On calibration of modern neural networks. ICML. arXiv:1706.04599.
    """
    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(STEPS):
        third = (high - low) / 3
        left, right = (negative_log_likelihood(logits / np.exp(log), labels) for log in (low + third, high - third))
        low, high = (low, high - third) if left <= right else (low + third, high)
    return float(np.exp((low + high) / 2))
