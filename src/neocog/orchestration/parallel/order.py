"""Which stage starts next: those whose dependencies are done, the one with the longest way to the end first."""

from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Generic, TypeVar

S = TypeVar("S", bound=Hashable)


class Order(Generic[S]):
    """The stages of a plan that wait, by priority. `needs`: stage -> the stages of the plan that it waits for."""

    def __init__(self, plan: Iterable[S], needs: Mapping[S, Iterable[S]], seconds: Mapping[S, float]) -> None:
        plan = list(plan)
        planned = set(plan)
        self.waiting = dict.fromkeys(plan)
        self._needs = {stage: {need for need in needs.get(stage, ()) if need in planned} for stage in plan}
        self._followers: dict[S, list[S]] = {stage: [] for stage in plan}
        for stage in plan:
            for need in self._needs[stage]:
                self._followers[need].append(stage)
        remaining: dict[S, float] = {}
        for stage in reversed(plan):  # a plan names each stage after all that it needs
            after = max((remaining.get(each, 0.0) for each in self._followers[stage]), default=0.0)
            remaining[stage] = after + seconds.get(stage, 0.0)
        place = {stage: number for number, stage in enumerate(plan)}
        self._key = {stage: (-round(remaining[stage], 1), place[stage]) for stage in plan}
        self._ready = {stage for stage in plan if not self._needs[stage]}

    def ready(self) -> list[S]:
        """Stages that could start now, the most urgent first."""
        return sorted(self._ready, key=self._key.__getitem__)

    def start(self, stage: S) -> None:
        """Take `stage` out of those that wait."""
        self._ready.discard(stage)
        self.waiting.pop(stage, None)

    def done(self, stage: S) -> None:
        """Let go of what waited for `stage`."""
        for follower in self._followers[stage]:
            self._needs[follower].discard(stage)
            if not self._needs[follower] and follower in self.waiting:
                self._ready.add(follower)


def needs(plan: list[Any], graph: Any | None) -> dict[Any, list[Any]]:
    """What each stage waits for: its successors in DVC's graph; without a graph (`--single-item`) the one before it."""
    if graph is None:
        return {stage: [before] for before, stage in pairwise(plan)}
    planned = set(plan)
    found: dict[Any, list[Any]] = {}
    for stage in plan:  # a dependency that is not in the plan may itself depend on one that is
        seen: set[Any] = set()
        front = list(graph.successors(stage)) if stage in graph else []
        while front:
            each = front.pop()
            if each not in seen:
                seen.add(each)
                if each not in planned:
                    front.extend(graph.successors(each))
        found[stage] = [each for each in seen if each in planned]
    return found
