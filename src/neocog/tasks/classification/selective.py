"""Selective prediction: risk over coverage, when a model may abstain on the images of which it is least sure.

Geifman, Y. & El-Yaniv, R. (2017). Selective classification for deep neural networks. NeurIPS. arXiv:1705.08500.
"""

from dataclasses import dataclass

import numpy as np

from neocog.statistics import Bools, Floats


@dataclass(frozen=True)
class RiskCoverageCurve:
    """`risk` [N], the share of wrong answers, at each `coverage` [N], the share of images answered, surest first."""

    coverage: Floats
    risk: Floats

    @property
    def area(self) -> float:
        """Of the risk under all coverages: 0 for a model that is never wrong."""
        return float(self.risk.mean())

    def coverage_at(self, risk: float) -> float:
        """The largest share of the images that can be answered while at most `risk` of the answers are wrong."""
        allowed = np.flatnonzero(self.risk <= risk)
        return float(self.coverage[allowed[-1]]) if len(allowed) else 0.0


def curve(confidence: Floats, correct: Bools) -> RiskCoverageCurve:
    """The risk-coverage curve of answers with `confidence` [N] that are `correct` [N] or not."""
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    return RiskCoverageCurve(answered / len(order), np.cumsum(~correct[order]) / answered)
