"""Ray Tune's schedulers, which decide the trials that go on: all count epochs, all maximize one metric."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)

from neocog.tuning.space import Dimension, Scheduler, Space

STOPPING = ("asha", "hyperband", "median")  # end poor trials before their last epoch
PAUSING = ("hyperband", "pbt")  # let trials wait for each other; a paused one goes on from its checkpoint in any worker
FACTOR = 3  # asha and hyperband keep one in so many at each rung


def scheduler(method: Scheduler, space: Space, *, metric: str, epochs: int, seed: int) -> TrialScheduler:
    """The scheduler of trials that last at most `epochs`.

    asha (Li et al. 2020, arXiv:1810.05934) stops a trial at epochs 1, 3, 9, ... unless it is in the best third there; hyperband (Li et al.
    2018, arXiv:1603.06560) does so in step, so its choice does not depend on which trial was quicker; median (Golovin et al. 2017)
    stops what is below the median of the others so far; pbt (Jaderberg et al. 2017, arXiv:1711.09846) lets the worst quarter go on
    from the weights and the changed values of the best.
    """
    how: dict[str, Any] = {"metric": metric, "mode": "max", "time_attr": "epoch"}
    if method == "asha":
        return AsyncHyperBandScheduler(**how, max_t=epochs, grace_period=1, reduction_factor=FACTOR)
    if method == "hyperband":
        return HyperBandScheduler(**how, max_t=epochs, reduction_factor=FACTOR)
    if method == "median":
        return MedianStoppingRule(**how, grace_period=1, min_samples_required=3)
    if method == "pbt":
        chance = np.random.default_rng(seed)
        return PopulationBasedTraining(
            **how,
            perturbation_interval=max(1, epochs // 4),
            hyperparam_mutations={key: _draws(dimension, chance) for key, dimension in space.items()},
            custom_explore_fn=partial(_inside, space),
            require_attrs=False,
            log_config=False,
        )
    return FIFOScheduler()


def _draws(dimension: Dimension, chance: np.random.Generator) -> Callable[[], Any] | list[Any]:
    return list(dimension.values) if dimension.kind == "choice" else lambda: dimension.draw(chance)


def _inside(space: Space, config: dict[str, Any]) -> dict[str, Any]:
    """Population-based training multiplies by 0.8 or 1.2: back into the space."""
    return config | {key: dimension.clip(config[key]) for key, dimension in space.items()}
