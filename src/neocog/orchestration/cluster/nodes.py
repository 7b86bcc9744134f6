"""The nodes of a Ray cluster: what they have, and what a stage takes of them."""

import time
from collections.abc import Mapping

from neocog.orchestration.parallel.resources import Machine, Resources

_EVERY = 2.0  # s between two looks at what nodes there are
_UNITS = {"CPU": (1, "cores"), "GPU": (1, "GPUs"), "memory": (1 << 30, "GiB of memory")}


class Nodes(Machine):
    """The machines of the cluster together. A stage that is exclusive takes a whole one."""

    def __init__(self, jobs: int) -> None:
        self._seen: list[Mapping[str, float]] = []
        self._looked = float("-inf")
        self._most = jobs or 1 << 30
        self.held = False  # by a stage that waits for a whole node
        super().__init__(jobs or max(1, int(sum(has.get("CPU", 0.0) for has in self.each()))), 0.0, 0, [])

    def each(self) -> list[Mapping[str, float]]:
        """Ray's resources of each machine that is alive."""
        import ray

        if time.monotonic() - self._looked > _EVERY:
            self._looked = time.monotonic()
            self._seen = [one["Resources"] for one in ray.nodes() if one["Alive"]]
        return self._seen

    def needs(self, asked: Resources) -> dict[str, float]:
        """Ray's resources for a stage, none for one that runs here; of an exclusive one all cores of the largest machine it fits on."""
        if asked.local:
            return {}
        wanted = {"CPU": asked.cpus, "GPU": float(asked.gpus), "memory": float(asked.memory)}
        if asked.exclusive:
            wanted["CPU"] = max([asked.cpus, *(has.get("CPU", 0.0) for has in self._holding(wanted))])
        return {name: amount for name, amount in wanted.items() if amount}

    def holds(self, asked: Resources) -> bool:
        """Whether there is a machine that is large enough."""
        return bool(self._holding(self.needs(asked)))

    def fits(self, asked: Resources) -> bool:
        """Whether to hand `asked` to Ray now: while the nodes have room in all, and no stage waits for a whole one."""
        if len(self._running) >= self._most or self.held:
            return False
        if not self.holds(asked):
            return True  # whoever waits for it asks the cluster to grow, or says that it is too small
        needs = self.needs(asked)
        taken = [self.needs(each) for each in self._running.values()]
        return all(
            amount + sum(each.get(name, 0.0) for each in taken) <= sum(has.get(name, 0.0) for has in self.each())
            for name, amount in needs.items()
        )

    def sentence(self, stage: str, asked: Resources) -> str:
        """Why `stage` can start nowhere."""
        needs = _told(self.needs(asked))
        has = "; ".join(sorted({_told(one) for one in self.each()}))
        return (
            f"neocog: {stage} asks for {needs}, and no node of the cluster has as much (there are nodes with {has}); ask for less in "
            f"`meta` of dvc.yaml or repro.resources.{stage.partition('@')[0]} of params.yaml, or add a larger node"
        )

    def _holding(self, needs: Mapping[str, float]) -> list[Mapping[str, float]]:
        return [has for has in self.each() if all(has.get(name, 0.0) >= amount for name, amount in needs.items())]


def _told(resources: Mapping[str, float]) -> str:
    return ", ".join(
        f"{resources.get(name, 0) / size:.4g} {unit}"
        for name, (size, unit) in _UNITS.items()
        if name == "CPU" or resources.get(name)
    )
