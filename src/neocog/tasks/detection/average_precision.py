"""COCO average precision: detections matched to objects, then precision interpolated at 101 recalls, as pycocotools computes it.

Lin, T.-Y. et al. (2014). Microsoft COCO: common objects in context. ECCV. arXiv:1405.0312. https://cocodataset.org/#detection-eval

Detections are [N, D, 6] (box, score, class; rows of score 0 are none), targets [N, M, 5] as in `targets.py`. The area of an object is that
of its box. Everything runs over all images at once: detections of one rank are matched together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.statistics import Bools, Floats, Ints, Weights
from neocog.tasks.detection.geometry import Numbers, area, iou

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
SIZES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # pixels


@dataclass(frozen=True)
class Objects:
    """Detections of all images in one list [D], the likeliest first within an image, and objects of all images in another [G].

    `groups` are the pairs of image and class that have either: [P, most] indices into both lists, -1 where there is none; those with the
    most detections first.
    """

    images: int
    image: Ints
    label: Ints
    score: Floats
    box: Floats
    object_image: Ints
    object_label: Ints
    object_box: Floats
    detections_of: Ints
    objects_of: Ints

    @classmethod
    def of(cls, detections: Numbers, targets: Numbers) -> "Objects":
        """Of detections [N, D, 6] and targets [N, M, 5]."""
        image, place = np.nonzero(detections[..., 4] > 0)
        rows = detections[image, place].astype(np.float64)
        order = np.lexsort((-rows[:, 4], image))
        image, rows = image[order], rows[order]
        object_image, place = np.nonzero(targets[..., 4] >= 0)
        own = targets[object_image, place].astype(np.float64)
        label, object_label = rows[:, 5].astype(np.int64), own[:, 4].astype(np.int64)
        classes = 1 + max(label.max(initial=0), object_label.max(initial=0))
        keys = image * classes + label, object_image * classes + object_label
        every = np.unique(np.concatenate(keys))
        found = [_lists(np.searchsorted(every, key), len(every)) for key in keys]
        most_first = np.argsort(-(found[0] >= 0).sum(axis=1), kind="stable")
        return cls(
            len(targets), image, label, rows[:, 4], rows[:, :4],
            object_image, object_label, own[:, :4], found[0][most_first], found[1][most_first],
        )  # fmt: skip


def _lists(group: Ints, groups: int) -> Ints:
    """The members of each group in their order [groups, most], -1 where there is none."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=groups)
    places = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = np.full((groups, max(1, sizes.max(initial=0))), -1, np.int64)
    found[group[order], places] = order
    return found


@dataclass(frozen=True)
class Matches:
    """Of each detection at each IoU, `hit` and `ignored` [T, D], and the object [T, D] it hit, -1 for none; `counted` [G]: objects that
    count."""

    hit: Bools
    ignored: Bools
    partner: Ints
    counted: Bools


def match(objects: Objects, *, ious: Sequence[float] | Floats = IOUS, size: str = "all") -> Matches:
    """Each detection, the likeliest first, takes the object of its class and image that it overlaps most and that nobody took.

    Objects of another `size` are taken last and count for nothing, nor do detections of another size that hit no object.
    """
    low, high = SIZES[size]
    thresholds = np.minimum(np.asarray(ious, np.float64), 1 - 1e-10)
    own = objects.objects_of
    areas = area(objects.object_box)
    counted = (areas >= low) & (areas <= high)
    shape = (len(thresholds), len(objects.score))
    hit, ignored, partner = np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, -1)
    if not len(objects.score):
        return Matches(hit, ignored, partner, counted)
    detected = area(objects.box)
    outside = (detected < low) | (detected > high)
    there = own >= 0
    boxes = objects.object_box[own] if len(areas) else np.zeros((*own.shape, 4))
    first = counted[own] if len(areas) else np.zeros(own.shape, bool)
    free = np.repeat(there[:, None], len(thresholds), axis=1)  # [P, T, most]
    for rank in objects.detections_of.T:
        those = rank[rank >= 0]
        n = len(those)
        overlaps = iou(objects.box[those][:, None], boxes[:n])
        fits = free[:n] & (overlaps[:, None] >= thresholds[:, None])
        key = np.where(fits, (overlaps + 2 * first[:n])[:, None], -1.0)
        best = key.shape[2] - 1 - key[..., ::-1].argmax(axis=2)  # the last of equals
        taken = fits.any(axis=2)
        groups, levels = np.nonzero(taken)
        chosen = best[groups, levels]
        free[groups, levels, chosen] = False
        hit[levels, those[groups]] = True
        partner[levels, those[groups]] = own[groups, chosen]
        ignored[levels, those[groups]] = ~first[groups, chosen]
        ignored[:, those] |= ~taken.T & outside[those]
    return Matches(hit, ignored, partner, counted)


@dataclass(frozen=True)
class Curves:
    """Of each class [K] that has detections or objects: hits and misses [T, d] of its detections, the likeliest first, and the images that
    they [d] and its objects [g] are of. Matched once, scored under any weights of the images."""

    images: int
    classes: tuple[tuple[Bools, Bools, Ints, Ints], ...]

    @classmethod
    def of(cls, objects: Objects, matches: Matches) -> "Curves":
        found = []
        for label in np.union1d(objects.label, objects.object_label).tolist():
            those = np.flatnonzero(objects.label == label)
            those = those[np.argsort(-objects.score[those], kind="stable")]
            hit, ignored = matches.hit[:, those], matches.ignored[:, those]
            own = (objects.object_label == label) & matches.counted
            found.append((hit & ~ignored, ~hit & ~ignored, objects.image[those], objects.object_image[own]))
        return cls(objects.images, tuple(found))

    def scores(self, weights: Weights = None) -> tuple[Floats, Floats]:
        """Average precision and largest recall [K, T] of each class; NaN of a class without objects."""
        each = np.ones(self.images) if weights is None else weights.astype(np.float64)
        precisions, recalls = [], []
        for hits, misses, image, of_object in self.classes:
            count = each[of_object].sum()
            found, wrong = np.cumsum(hits * each[image], axis=1), np.cumsum(misses * each[image], axis=1)
            if not count:
                precisions.append(np.full(len(hits), np.nan))
                recalls.append(np.full(len(hits), np.nan))
                continue
            precisions.append(interpolated(found, wrong, float(count)))
            recalls.append(found[:, -1] / count if found.shape[1] else np.zeros(len(hits)))
        none = np.zeros((0, len(IOUS)))
        return np.array(precisions) if precisions else none, np.array(recalls) if recalls else none

    def mean(self, weights: Weights = None) -> float:
        """Average precision over classes and IoUs; 0 where no object counts."""
        return mean_of(self.scores(weights)[0])


def interpolated(found: Floats, wrong: Floats, count: float) -> Floats:
    """Average precision [T], from how many hits and misses [T, d] there are down to each detection, and the number of objects."""
    recall, precision = found / count, found / np.maximum(found + wrong, np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.zeros((len(found), len(RECALLS)))
    for row, at, level in zip(reached, recall, envelope, strict=True):
        places = np.searchsorted(at, RECALLS, side="left")
        row[:] = np.append(level, 0.0)[np.minimum(places, len(level))]
    return np.asarray(reached.mean(axis=1), np.float64)


def mean_of(scores: Floats) -> float:
    """The mean of all scores that are no NaN; 0 of none."""
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if len(known) else 0.0


def curves(detections: NDArray[np.floating], targets: NDArray[np.floating], *, size: str = "all") -> Curves:
    """The curves of detections [N, D, 6] for targets [N, M, 5]."""
    objects = Objects.of(detections, targets)
    return Curves.of(objects, match(objects, size=size))
