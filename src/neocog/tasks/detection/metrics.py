"""Metrics of a detector, each with its interval, from the detections [N, D, 6] and targets [N, M, 5] of one split.

A detection is a box in pixels, its score and its class; rows of score 0 are none.
"""

from collections.abc import Callable, Mapping

import numpy as np

from neocog.statistics import Floats, Ints, Weights
from neocog.statistics.intervals import bootstrap
from neocog.tasks.detection.average_precision import IOUS, Curves, Objects, curves, match, mean_of
from neocog.tasks.detection.geometry import Numbers
from neocog.tasks.task import Metric

PRIMARY = Metric(
    "map",
    "AP",
    "COCO average precision: averaged over classes and over IoUs from 0.5 to 0.95 from which on a box counts as found",
)
METRICS = (
    PRIMARY,
    Metric("ap50", "AP50", "average precision where a box counts as found from an IoU of 0.5 on"),
    Metric("ap75", "AP75", "average precision where a box counts as found from an IoU of 0.75 on"),
    Metric(
        "ar", "AR", "average recall: the share of objects found with all detections, averaged over classes and IoUs"
    ),
)
SURE = 0.3  # score from which on a detection is taken for an answer, where no threshold was fitted
NEAR = 2 / 3  # of the score SURE, which the other model's detection of the same object must have


def scores(outputs: Numbers, targets: Numbers) -> Floats:
    """F1 of the detections from the score SURE on, by an IoU of 0.5, of each image [N]; 1 where nothing is and nothing is found."""
    sure = np.where(outputs[..., 4:5] >= SURE, outputs, 0)
    objects = Objects.of(sure, targets)
    hit = match(objects, ious=[0.5]).hit[0]
    right = np.bincount(objects.image[hit], minlength=len(targets))
    both = (sure[..., 4] > 0).sum(axis=1) + (targets[..., 4] >= 0).sum(axis=1)
    return np.divide(2.0 * right, both, out=np.ones(len(targets)), where=both > 0)


def primary(outputs: Numbers, targets: Numbers, weights: Weights = None) -> float:
    """COCO average precision, each image counted `weights` [N] times."""
    return scorer(outputs, targets)(weights)


def scorer(outputs: Numbers, targets: Numbers) -> Callable[[Weights], float]:
    """`primary` as a function of the weights: detections are matched once, however many resamples are scored."""
    return curves(outputs, targets).mean


def agreement(expected: Numbers, answered: Numbers, *, slack: float = 0.0) -> Floats:
    """The share of two models' detections from the score SURE on that the other has too, of each image [N]; 1 where there are none.

    The other has it if one of the same class overlaps it with an IoU of 0.5 and has NEAR of the score; `slack` is not needed, since the
    scores need not be equal.
    """
    shares = np.zeros((2, len(expected)))
    counts = np.zeros((2, len(expected)))
    for place, (ours, theirs) in enumerate(((expected, answered), (answered, expected))):
        sure = np.where(ours[..., 4:5] >= SURE, ours, 0)
        found = Objects.of(sure, as_targets(theirs, least=SURE * NEAR))
        hit = match(found, ious=[0.5]).hit[0]
        shares[place] = np.bincount(found.image[hit], minlength=len(expected))
        counts[place] = (sure[..., 4] > 0).sum(axis=1)
    whole = counts.sum(axis=0)
    return np.divide(shares.sum(axis=0), whole, out=np.ones(len(expected)), where=whole > 0)


def difference(expected: Numbers, answered: Numbers) -> float:
    """The largest difference of a side, in pixels, or of a score between detections that both have, whatever their order."""
    sure = np.where(expected[..., 4:5] >= SURE, expected, 0)
    found = Objects.of(sure, as_targets(answered, least=SURE * NEAR))
    matches = match(found, ious=[0.5])
    hit, partner = matches.hit[0], matches.partner[0]
    theirs = answered[answered[..., 4] >= SURE * NEAR]  # in the order of `as_targets`
    sides = np.abs(found.box[hit] - theirs[partner[hit], :4]).max(initial=0.0)
    return float(max(sides, np.abs(found.score[hit] - theirs[partner[hit], 4]).max(initial=0.0)))


def as_targets(detections: Numbers, *, least: float) -> Numbers:
    """Detections from the score `least` on as targets [N, D, 5]."""
    labels = np.where(detections[..., 4] >= least, detections[..., 5], -1)
    return np.concatenate([detections[..., :4], labels[..., None]], axis=-1)


def numbers(outputs: Numbers, targets: Numbers, *, bins: int) -> dict[str, float]:
    """The `METRICS` without intervals: a line of seeds.csv."""
    return dict(zip((metric.name for metric in METRICS), _every(curves(outputs, targets), None).tolist(), strict=True))


def calibrate(outputs: Numbers, targets: Numbers) -> dict[str, float]:
    """The `threshold` of a bundle's card: the score with the best F1 at an IoU of 0.5, on images that the model was not trained on."""
    objects = Objects.of(outputs, targets)
    hit = match(objects, ious=[0.5]).hit[0]
    order = np.argsort(-objects.score, kind="stable")
    ranked = objects.score[order]
    ends = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
    if not hit.any():
        return {"threshold": SURE}
    found, passed = np.cumsum(hit[order]), np.arange(1, len(order) + 1)
    best = int(np.where(ends, 2 * found / (passed + len(objects.object_image)), -1).argmax())
    following = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return {"threshold": round(float(ranked[best] + following) / 2, 6)}


def headlines(outputs: Numbers, targets: Numbers, *, resamples: int, seed: int) -> dict[str, float]:
    """Each of `METRICS` with _low and _high, which hold 95 % of `resamples` bootstrap resamples of the images."""
    found = curves(outputs, targets)

    def every(weights: Ints) -> Floats:
        return _every(found, weights)

    lows, highs = bootstrap(every, len(targets), resamples=resamples, seed=seed)
    named: dict[str, float] = {}
    for metric, score, low, high in zip(METRICS, _every(found, None), lows, highs, strict=True):
        named |= {metric.name: float(score), f"{metric.name}_low": float(low), f"{metric.name}_high": float(high)}
    return named


def sentence(scores: Mapping[str, float]) -> str:
    """The headlines in one line: AP 43.1 % (42.6 - 43.6), AP50 ..."""
    return ", ".join(
        f"{metric.heading} {100 * scores[metric.name]:.1f} % "
        f"({100 * scores[f'{metric.name}_low']:.1f} - {100 * scores[f'{metric.name}_high']:.1f})"
        for metric in METRICS
    )


def _every(found: Curves, weights: Weights) -> Floats:
    precision, recall = found.scores(weights)
    at = [int(np.flatnonzero(np.isclose(IOUS, level))[0]) for level in (0.5, 0.75)]
    return np.array([mean_of(precision), *(mean_of(precision[:, place]) for place in at), mean_of(recall)])
