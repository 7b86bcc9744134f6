"""Read the verdict of a recipe from its bundle's folder: each step, each goal, and whether it was met."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.compression.chain.goals import UNDECIDED
from neocog.compression.chain.point import Point, point
from neocog.core.errors import UserError

VERDICT = "verdict.json"


@dataclass(frozen=True)
class JudgedGoal:
    """What was asked for, and the value measured; `by` is how far that lies on the right side, below 0 on the wrong one.

    A share of images has an interval; a goal is missed only where all of it, `low` to `high`, lies on the wrong side.
    """

    goal: str
    limit: float
    value: float
    met: bool
    by: float
    low: float | None = None
    high: float | None = None

    @property
    def missed(self) -> bool:
        """Not met, and by more than chance."""
        return not self.met and (self.low is None or self.low > self.limit)


@dataclass(frozen=True)
class RecipeStep:
    """One step, and where it led. It is not `kept` where it cost more accuracy than the goals allow."""

    method: str
    settings: Mapping[str, Any]
    kept: bool
    reached: Point
    seconds: float


@dataclass(frozen=True)
class RecipeVerdict:
    """The whole: `parent` is the `<kind>/<name>` that the recipe began with, at `before`.

    `ended` is a sentence where a step broke a goal, else None; `speedup` compares the ONNX graphs, images a second in batches.
    """

    recipe: str
    parent: str
    met: bool
    ended: str | None
    goals: tuple[JudgedGoal, ...]
    before: Point
    steps: tuple[RecipeStep, ...]
    speedup: float
    images: int = 0  # of the validation split

    @property
    def outcome(self) -> str:
        """met, missed, or `not decided` by so few images."""
        if self.met:
            return "met"
        return "missed" if self.ended or any(goal.missed for goal in self.goals) else UNDECIDED


def read(folder: Path) -> RecipeVerdict:
    """The verdict in a compressed bundle's folder. Raises UserError, naming the stage to run, when it is missing or damaged."""
    path, make = folder / VERDICT, f"compress@{folder.name}"
    if not path.is_file():
        raise UserError(f"{path} is missing; `dvc repro {make}` makes it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return RecipeVerdict(
            recipe=content["recipe"],
            parent=content["parent"],
            met=content["met"],
            ended=content["ended"],
            goals=tuple(
                JudgedGoal(**{key: goal[key] for key in JudgedGoal.__annotations__ if key in goal})
                for goal in content["goals"]
            ),
            before=point(content["before"]),
            steps=tuple(
                RecipeStep(each["method"], each["settings"], each["kept"], point(each), each["seconds"])
                for each in content["steps"]
            ),
            speedup=float(content["speedup"]),
            images=int(content.get("images", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is damaged ({said}); `dvc repro --force {make}` makes it again") from None
