"""The search space: one range or list a key, drawn from, enumerated, or handed to Optuna."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from neocog.core.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MOST_TRIALS = 10_000  # of a sweep
Method = Literal["random", "grid", "optuna", "optuna-cmaes"]
Scheduler = Literal["asha", "hyperband", "pbt", "median", "none"]
Kind = Literal["log_uniform", "uniform", "integer", "choice"]
Spec = Annotated[dict[Kind, list[Any]], Field(min_length=1, max_length=1)]  # {log_uniform: [0.01, 1.0]}


@dataclass(frozen=True)
class Dimension:
    """The values that one key may take: between two bounds, both included, or one of several."""

    kind: Kind
    values: tuple[Any, ...]

    def draw(self, chance: np.random.Generator) -> Any:
        """One value."""
        if self.kind == "choice":
            return self.values[int(chance.integers(len(self.values)))]
        low, high = self.values
        if self.kind == "integer":
            return int(chance.integers(low, high + 1))
        if self.kind == "log_uniform":
            return math.exp(float(chance.uniform(math.log(low), math.log(high))))
        return float(chance.uniform(low, high))

    def all(self) -> Sequence[Any]:
        """Every value; raises ValueError for a continuous range."""
        if self.kind == "choice":
            return list(self.values)
        if self.kind == "integer":
            return range(self.values[0], self.values[1] + 1)
        raise ValueError(f"{self.kind} has no end of values; write {{choice: {list(self.values)}}}")

    def clip(self, value: Any) -> Any:
        """The nearest value inside the range; a choice stays what it is."""
        if self.kind == "choice":
            return value
        low, high = self.values
        clipped = min(max(value, low), high)
        return round(clipped) if self.kind == "integer" else clipped

    def contains(self, value: Any) -> bool:
        """Whether a sweep could draw `value`."""
        if self.kind == "choice":
            return value in self.values
        return isinstance(value, int | float) and self.values[0] <= value <= self.values[1]

    def distribution(self) -> "BaseDistribution":
        """The same in Optuna's words; the choices stand for their places in the list, since Optuna wants plain values."""
        from optuna import distributions

        if self.kind == "choice":
            return distributions.CategoricalDistribution(range(len(self.values)))
        if self.kind == "integer":
            return distributions.IntDistribution(low=self.values[0], high=self.values[1])
        return distributions.FloatDistribution(low=self.values[0], high=self.values[1], log=self.kind == "log_uniform")


Space = Mapping[str, Dimension]


def space(specs: Mapping[str, Mapping[Kind, Sequence[Any]]], *, where: str) -> dict[str, Dimension]:
    """The space that `specs` describe, as they stand in params.yaml under `where`. Raises UserError for bounds that are none."""
    found = {}
    for key, spec in specs.items():
        (kind, values), place = next(iter(spec.items())), f"{where}.{key}"
        said = f"params.yaml: {place} (={{{kind}: {list(values)}}})"
        if kind == "choice":
            once = [value for index, value in enumerate(values) if value not in values[:index]]
            if not values or once != list(values):
                raise UserError(
                    f"{said}: choice wants different values; {f'write {{choice: {once}}}' if once else 'name at least one'}"
                )
        else:
            number = int if kind == "integer" else (int, float)
            if len(values) != 2 or not all(isinstance(v, number) and not isinstance(v, bool) for v in values):
                raise UserError(
                    f"{said}: {kind} wants its lowest and highest value, two {'whole ' * (kind == 'integer')}numbers"
                )
            if not values[0] < values[1]:
                other = f"{kind}: [{values[1]}, {values[0]}]" if values[0] != values[1] else f"choice: [{values[0]}]"
                raise UserError(f"{said}: the lowest value must be below the highest; write {{{other}}}")
            if kind == "log_uniform" and values[0] <= 0:
                lowest = (
                    f"write {{log_uniform: [{values[1] / 1000:g}, {values[1]}]}}" if values[1] > 0 else "use uniform"
                )
                raise UserError(f"{said}: log_uniform wants values above 0; {lowest}")
        found[key] = Dimension(kind, tuple(values))
    return found


def grid(space: Space, *, where: str = "tune.space") -> list[dict[str, Any]]:
    """Every combination, the last key changing fastest. Raises UserError where a range is continuous, or there are too many."""
    sides = []
    for key, dimension in space.items():
        try:
            sides.append(dimension.all())
        except ValueError as error:
            raise UserError(
                f"params.yaml: {where}.{key}: tune.searcher (=grid) tries every value, but {error}"
            ) from None
    if (points := math.prod(len(side) for side in sides)) >= MOST_TRIALS:
        raise UserError(
            f"params.yaml: {where} has {points:,} points, more than tune.searcher (=grid) tries ({MOST_TRIALS:,} trials); "
            "set tune.searcher: random"
        )
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*sides)]


def sample(space: Space, *, seed: int, index: int) -> dict[str, Any]:
    """The values of random trial `index`: they depend on nothing but (seed, index), so a continued sweep draws the same."""
    chance = np.random.default_rng((seed, index))
    return {key: dimension.draw(chance) for key, dimension in space.items()}
