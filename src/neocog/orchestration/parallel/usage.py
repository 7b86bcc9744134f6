"""CPU time and memory of running stages, sampled from the process table; energy estimated from them."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PIDS = "NEOCOG_STAGE_PIDS"  # a file in which a stage names processes that are not its descendants (orchestration/forked_stage.py)


@dataclass
class Usage:
    """Of one stage: CPU seconds so far, bytes of memory now and at most."""

    memory: int = 0
    peak: int = 0
    _of: dict[int, float] = field(default_factory=dict)

    def note(self, memory: int) -> None:
        """It uses so many bytes now."""
        self.memory, self.peak = memory, max(self.peak, memory)

    @property
    def cpu_seconds(self) -> float:
        return sum(self._of.values())


class Sampler:
    """Looks at the process table, at most once in `every` seconds."""

    def __init__(self, every: float = 1.0) -> None:
        self.every = every
        self.usages: dict[str, Usage] = defaultdict(Usage)
        self._next = 0.0

    def sample(self, running: Mapping[str, tuple[int, Path]]) -> None:
        """Note what the stages use: name -> (process, file with the others that are at work for it)."""
        import psutil

        now = time.monotonic()
        if now < self._next or not running:
            return
        self._next = now + self.every
        for name, (pid, others) in running.items():
            usage, memory = self.usages[name], 0
            front, seen = [pid, *_read(others)], set[int]()
            while front:
                each = front.pop()
                if each in seen:
                    continue
                seen.add(each)
                front.extend(_children(each))
                with suppress(psutil.Error):
                    process = psutil.Process(each)
                    times = process.cpu_times()
                    usage._of[each] = times.user + times.system
                    memory += process.memory_info().rss
            usage.note(memory)


def _children(pid: int) -> list[int]:
    """Its child processes; on Linux without a look at all processes there are."""
    import psutil

    tasks = Path(f"/proc/{pid}/task")
    found: list[int] = []
    with suppress(OSError):
        for task in tasks.iterdir():
            found += map(int, (task / "children").read_text().split())
        return found
    with suppress(psutil.Error):
        return [] if tasks.parent.exists() else [child.pid for child in psutil.Process(pid).children()]
    return []


def _read(path: Path) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(word) for word in path.read_text().split() if word.isdigit()]
    return []


def energy_wh(cpu_seconds: float, watts_per_core: float) -> float:
    """Watt hours of `cpu_seconds` of busy cores: an estimate, of the processor alone."""
    return cpu_seconds * watts_per_core / 3600
