"""Mean corruption error (mCE, ImageNet-C): robustness to corrupted images in one number, measured against that of a baseline.

Hendrycks, D. & Dietterich, T. (2019). Benchmarking neural network robustness to common corruptions and perturbations. ICLR.
arXiv:1903.12261, section 4.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from neocog.core.errors import UserError, nearest
from neocog.evaluation.robustness import CLEAN, RobustnessScore
from neocog.tasks.task import Metric

NOTHING = 1e-9  # an error below which there is none


def errors(rows: Sequence[RobustnessScore], model: str, metric: Metric) -> dict[str, float]:
    """The model's error (1 - score, or the score itself where less is better) under each corruption, averaged over the severities.

    `clean` is among them.
    """
    own = [row for row in rows if row.model == model]
    names = dict.fromkeys(row.corruption for row in own)
    return {
        name: _turned(float(np.mean([row.score for row in own if row.corruption == name])), metric) for name in names
    }


def corruption_error(model: Mapping[str, float], baseline: Mapping[str, float]) -> float | None:
    """mCE: the error under each corruption in % of the baseline's, averaged over corruptions. The baseline has 100, less is better.

    Corruptions under which the baseline makes no mistake are left out; None if no other is there.
    """
    return _percent(_under(model), _under(baseline))


def relative_corruption_error(model: Mapping[str, float], baseline: Mapping[str, float]) -> float | None:
    """Relative mCE: the same of what each corruption adds to the error on clean images. Below 0: being spoilt helped.

    Corruptions that add nothing to the baseline's error are left out; where they add little, a few images decide.
    """
    return _percent(_under(model, less=model[CLEAN]), _under(baseline, less=baseline[CLEAN]))


def summary(rows: Sequence[RobustnessScore], metric: Metric, *, baseline: str) -> dict[str, dict[str, float]]:
    """By model: `<metric>` on clean images, `<metric>_corrupted` over all corruptions, `mce` and `relative_mce` where they are defined."""
    of = {model: errors(rows, model, metric) for model in dict.fromkeys(row.model for row in rows)}
    return {model: _scores(own, of[baseline], metric) for model, own in of.items()}


def choose_baseline(wanted: str | None, models: Sequence[str]) -> str:
    """The model that has 100: the one wanted, or the first of all. Raises UserError if it is none of them."""
    if wanted is not None and wanted not in models:
        raise UserError(
            f"params.yaml: robustness.baseline (={wanted!r}) is none of the models; {nearest(wanted, models)}"
        )
    return wanted or models[0]


def sentence(scores: Mapping[str, float], metric: Metric, *, baseline: str) -> str:
    """`top-1 91.2 %, corrupted 73.4 %, mCE 84.1 (trained/mlp: 100)`."""
    clean, corrupted = metric.text(scores[metric.name]), metric.text(scores[f"{metric.name}_corrupted"])
    sentence = f"{metric.heading} {clean}, corrupted {corrupted}"
    return sentence + (f", mCE {scores['mce']:.1f} ({baseline}: 100)" if "mce" in scores else "")


def _scores(own: Mapping[str, float], baseline: Mapping[str, float], metric: Metric) -> dict[str, float]:
    found = {
        metric.name: _turned(own[CLEAN], metric),
        f"{metric.name}_corrupted": _turned(float(np.mean(list(_under(own).values()))), metric),
        "mce": corruption_error(own, baseline),
        "relative_mce": relative_corruption_error(own, baseline),
    }
    return {name: round(value, 6) for name, value in found.items() if value is not None}


def _turned(value: float, metric: Metric) -> float:
    """An error from a score, and a score from an error."""
    return 1 - value if metric.better > 0 else value


def _under(errors: Mapping[str, float], *, less: float = 0.0) -> dict[str, float]:
    return {name: error - less for name, error in errors.items() if name != CLEAN}


def _percent(parts: Mapping[str, float], wholes: Mapping[str, float]) -> float | None:
    ratios = [part / wholes[name] for name, part in parts.items() if wholes[name] > NOTHING]
    return 100 * float(np.mean(ratios)) if ratios else None
