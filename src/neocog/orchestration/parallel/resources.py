"""Resources of a stage (`meta` in dvc.yaml, `repro.resources` in params.yaml), and what this machine has of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from neocog.core.errors import UserError, nearest
from neocog.core.machine import cores, memory_size


@dataclass(frozen=True)
class Resources:
    """What one stage takes: cores, GPUs, bytes of memory; `exclusive`: nothing may run beside it; `local`: never on a node of a cluster."""

    cpus: float = 1.0
    gpus: int = 0
    memory: int = 0
    exclusive: bool = False
    local: bool = False

    def with_settings(self, settings: Mapping[str, Any], *, where: str) -> "Resources":
        """These, with `settings` in their place. Raises UserError that names `where` the wrong one stands."""
        changed: dict[str, Any] = {}
        for name, value in settings.items():
            key = f"{where}.{name} (={value!r})"
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name in ("exclusive", "local"):
                if not isinstance(value, bool):
                    raise UserError(f"{key} must be true or false")
                changed[name] = value
            elif name == "memory":
                changed[name] = _bytes(value, key)
            elif name in ("cpus", "gpus"):
                if not is_number or value < 0 or (name == "gpus" and value != int(value)):
                    raise UserError(f"{key} must be a {'whole ' if name == 'gpus' else ''}number of at least 0")
                changed[name] = int(value) if name == "gpus" else float(value)
            else:
                raise UserError(f"{key}: {nearest(name, _NAMES)}")
        return replace(self, **changed)


_NAMES = tuple(each.name for each in fields(Resources))


def declared(stage: str, meta: object, overrides: Mapping[str, Mapping[str, Any]]) -> Resources:
    """What `stage` takes: its `meta` in dvc.yaml, then the overrides for its kind (`train`), then those for it alone (`train@lenet`)."""
    found = Resources()
    if isinstance(meta, Mapping):  # may hold other things too, which are somebody else's
        own = {name: value for name, value in meta.items() if name in _NAMES}
        found = found.with_settings(own, where=f"dvc.yaml: {stage}: meta")
    for name in dict.fromkeys((stage.rpartition(":")[2].partition("@")[0], stage)):
        if name in overrides:
            found = found.with_settings(overrides[name], where=f"params.yaml: repro.resources.{name}")
    return found


@dataclass
class Machine:
    """What there is to share: `jobs` stages at once, and as many cores at least."""

    jobs: int
    cpus: float
    memory: int
    gpus: list[int]
    _running: dict[str, Resources] = field(default_factory=dict)
    _devices: dict[str, list[int]] = field(default_factory=dict)

    def fits(self, asked: Resources) -> bool:
        """Whether a stage that takes `asked` can start now; one that takes more than there is can once nothing else runs."""
        if not self._running:
            return True
        running = self._running.values()
        return (
            len(running) < self.jobs
            and not asked.exclusive
            and not any(each.exclusive for each in running)
            and asked.cpus + sum(each.cpus for each in running) <= self.cpus
            and asked.memory + sum(each.memory for each in running) <= self.memory
            and asked.gpus <= len(self._free())
        )

    def take(self, stage: str, asked: Resources) -> list[int]:
        """Note that `stage` has started. Returns its GPUs."""
        self._running[stage] = asked
        self._devices[stage] = self._free()[: asked.gpus]
        return self._devices[stage]

    def give_back(self, stage: str) -> None:
        """Note that `stage` has ended."""
        del self._running[stage], self._devices[stage]

    def _free(self) -> list[int]:
        taken = {device for devices in self._devices.values() for device in devices}
        return [device for device in self.gpus if device not in taken]


def machine(jobs: int = 0) -> Machine:
    """This machine, for `jobs` stages at once; 0: as many as it has cores."""
    import psutil

    jobs = jobs or cores()
    gpus = sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*"))
    return Machine(jobs, float(max(jobs, cores())), psutil.virtual_memory().total, gpus)


def _bytes(value: object, key: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (size := memory_size(value)) is not None:
        return size
    raise UserError(f"{key} must be bytes, as 2G or 500M")
