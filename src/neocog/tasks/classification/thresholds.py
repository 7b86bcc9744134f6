"""Class thresholds: numbers added to logits, so that the worst class or group is right more often.

Menon, A. K., Jayasumana, S., Rawat, A. S., Jain, H., Veit, A. & Kumar, S. (2021). Long-tail learning via logit adjustment. ICLR.
arXiv:2007.07314.
"""

import numpy as np
from numpy.typing import NDArray

FEW = 10  # validation images below which a group is left out of account: chance would choose
TRIED = 200  # places at which one logit's number is tried, each time
ROUNDS = 20  # through all classes, at most


def fit(
    logits: NDArray[np.floating], labels: NDArray[np.int64], groups: NDArray[np.int64], *, max_top1_drop: float
) -> NDArray[np.float32]:
    """What to add to logits [N, K] of images with `labels` [N], so that the worst of the `groups` [N] is right as often as can be.

    One class after the other takes the number with which the worst group, and in a tie all images, are right most often while the other
    numbers stay, until none gets better by it; so what is found is no worse than nothing, but need not be the best there is.
    """
    offsets = np.zeros(logits.shape[1])
    _, worst, top1 = _tried(logits, 0, labels, groups, numbers=np.zeros(1))
    best, least = (worst[0], top1[0]), top1[0] - max_top1_drop
    for _ in range(ROUNDS):
        before = best
        for label in range(len(offsets)):
            numbers, worst, top1 = _tried(logits + offsets, label, labels, groups)
            order = np.lexsort((-np.abs(numbers), top1, worst))
            chosen = order[top1[order] >= least][-1:]
            for place in chosen:
                if (worst[place], top1[place]) > best:
                    best = (worst[place], top1[place])
                    offsets[label] += numbers[place]
        if best == before:
            break
    return np.asarray(offsets - offsets.mean(), np.float32)


def _tried(
    logits: NDArray[np.floating],
    label: int,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    numbers: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Numbers [T] to add to one logit, and the accuracy [T] of the worst group and of all images that each leads to."""
    others = logits.astype(float)
    others[:, label] = -np.inf
    needed = others.max(axis=1) - logits[:, label]  # an image is called `label` once more than this is added
    if numbers is None:
        places = np.unique(np.quantile(needed, np.linspace(0, 1, TRIED + 1)))
        numbers = (places[:-1] + places[1:]) / 2
    elsewhere, here = others.argmax(axis=1) == labels, labels == label
    sizes = np.bincount(groups)
    counted = sizes >= min(FEW, sizes.max())
    changes = np.zeros((len(numbers) + 1, len(sizes)))
    np.add.at(changes, (np.searchsorted(numbers, needed, side="right"), groups), here.astype(int) - elsewhere)
    right = np.bincount(groups[elsewhere], minlength=len(sizes)) + np.cumsum(changes, axis=0)[:-1]
    worst = (right[:, counted] / sizes[counted]).min(axis=1)
    return numbers, worst, right.sum(axis=1) / len(labels)
