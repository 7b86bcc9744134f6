"""Fairness metrics: the numbers of the worst group and of the gaps between groups, for metrics.json.

The gaps are fairlearn's: demographic parity (is a class given to each group as often?) and equalized odds (Hardt et al. 2016: is it, to
images that are of it, and to images that are not?). Intervals are as if the two groups furthest apart had been named beforehand; of many
groups some are far apart by chance.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from neocog.statistics import Floats, Ints
from neocog.statistics.intervals import Gap, newcombe
from neocog.statistics.slices import FEW, ahead, crossed, extremes, members, slices
from neocog.tasks.classification.accuracy import counts

Columns = Mapping[str, Sequence[str | None]]


def gaps(labels: Ints, predicted: Ints, columns: Columns, *, classes: Sequence[str]) -> dict[str, float]:
    """worst_class; with columns, worst_group and worst_cell: top-1 of the images [N] it goes worst for; group_gap: what the best of the
    same column is ahead, the largest of all columns; and what `treatment` tells. Each with _low and _high; left out where fewer than two
    groups are large enough.
    """
    names, correct = [classes[label] for label in labels], predicted == labels
    found: dict[str, float] = {}
    for level, of in (("class", {"class": names}), ("group", columns), ("cell", crossed(names, columns))):
        ends = [pair for column in of if (pair := extremes(slices(correct, {column: of[column]}), column))]
        if not ends:
            continue
        worst = min((low for low, _ in ends), key=lambda each: each.score)
        found |= {f"worst_{level}": worst.score, f"worst_{level}_low": worst.low, f"worst_{level}_high": worst.high}
        if level == "group":
            found |= _widest("group_gap", [ahead(best, worst) for worst, best in ends])
    return found | treatment(labels, predicted, columns, num_classes=len(classes))


def treatment(labels: Ints, predicted: Ints, columns: Columns, *, num_classes: int) -> dict[str, float]:
    """demographic_parity_gap, of the share of images [N] that are called a class; equalized_odds_gap, of that share among the images of the
    class (true positives) or among all others (false positives), whichever is larger.

    Each class is held against the rest: the gap is the largest between any two groups of a column, of all classes and columns.
    """
    parity: list[Gap] = []
    odds: list[Gap] = []
    for values in columns.values():
        of = [counts(labels[those], predicted[those], num_classes=num_classes) for _, those in members(values)]
        if len(of) > 1:
            actual, called, hits = np.stack([(each.actual, each.predicted, each.hits) for each in of], axis=1)
            images = np.repeat(actual.sum(axis=1, keepdims=True), num_classes, axis=1)
            parity += apart(called, images)
            odds += apart(hits, actual) + apart(called - hits, images - actual)
    return _widest("demographic_parity_gap", parity) | _widest("equalized_odds_gap", odds)


def apart(part: Floats, whole: Floats) -> list[Gap]:
    """Of each class the largest difference between groups of the share `part` / `whole` [G, K], where two have enough images."""
    found = []
    for hits, n in zip(part.T, whole.T, strict=True):
        enough = np.flatnonzero(n >= FEW)
        if len(enough) > 1:
            order = enough[np.argsort(hits[enough] / n[enough])]
            most, least = order[-1], order[0]
            found.append(newcombe(int(hits[most]), int(n[most]), int(hits[least]), int(n[least])))
    return found


def _widest(name: str, found: Sequence[Gap]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), max(found), strict=True)) if found else {}
