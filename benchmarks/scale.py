"""How the cost of `neocog repro` grows with the graph: a simulation of many stages on many nodes, with a fake executor.

    python -m benchmarks.scale                            # 1,000, 3,000 and 10,000 stages on 1,000 nodes
    python -m benchmarks.scale --stages 1000 --profile    # and where the time goes

DVC, dvc.lock, the cache, the run-cache and the coordinator are the real ones; only the commands of stages do not run: their one small out
is written at once, and they end in the order of random durations. Own time: CPU seconds of the loop over the stages, a stage. Each graph
runs in a process of its own, in layers of `--nodes` stages, each of which reads two outs of the layer before.
"""

import heapq
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import parser


class FakeRunning:
    """Stands for a stage on some node: writes its out, and ends when the clock of the simulation says so."""

    clock = 0.0
    ends: list[tuple[float, str]] = []  # noqa: RUF012 - one simulation a process
    draw = random.Random(0)
    at_once = 0

    def __init__(self, name: str, log: Path) -> None:
        self.name, self.log, self.pid, self.descriptor = name, log, 0, None
        self.command, self.cut, self.cpu_seconds = [name], False, 0.0
        self.code: int | None = None
        self.seconds = FakeRunning.draw.uniform(60, 3600)
        self._end = FakeRunning.clock + self.seconds
        heapq.heappush(FakeRunning.ends, (self._end, name))
        FakeRunning.at_once = max(FakeRunning.at_once, len(FakeRunning.ends))
        out = Path("out") / name[1:]
        out.mkdir(parents=True, exist_ok=True)
        (out / "text").write_text(name)

    def poll(self) -> int | None:
        """0 once the clock has passed its end."""
        self.code = 0 if FakeRunning.clock >= self._end else None
        return self.code

    def send(self, number: int) -> None:
        """Nothing to send to."""

    def stop(self) -> None:
        """Nothing to stop."""


class FakeExecutor:
    """Runs nothing."""

    def start(self, stage: Any, commands: Any, *, log: Path, **_: Any) -> Any:
        """A stage that has been handed to some node."""
        return FakeRunning(stage.addressing, log)

    def wait(self, running: list[Any], seconds: float) -> dict[str, int]:
        """Set the clock to the next end."""
        if FakeRunning.ends:
            FakeRunning.clock = heapq.heappop(FakeRunning.ends)[0]
        return {}


def project(folder: Path, stages: int, wide: int) -> None:
    """A graph of `stages` in layers of `wide`."""
    made = {}
    for number in range(stages):
        before = number - wide
        read = ["base.txt", *(f"out/{each}/text" for each in (before, before + 1) if 0 <= each < number)]
        made[f"s{number}"] = {"cmd": f"make {number}", "deps": read, "params": ["some"], "outs": [f"out/{number}/text"]}
    (folder / "dvc.yaml").write_text(yaml.dump({"stages": made}, sort_keys=False, Dumper=yaml.CSafeDumper))
    (folder / "params.yaml").write_text("some: {rate: 0.1, sizes: [1, 2, 3]}\n")
    (folder / "base.txt").write_text("base\n")
    for program in ("git", "dvc"):
        subprocess.run([program, "init", "-q"], cwd=folder, check=True)


def simulate(folder: Path, nodes: int, profile: bool) -> dict[str, float]:
    """Run the graph in `folder` within this process."""
    from dvc.cli import main as dvc
    from dvc.repo import reproduce

    from neocog.orchestration.parallel.coordinator import Coordinator
    from neocog.orchestration.parallel.process import Watchdog
    from neocog.orchestration.parallel.resources import Machine
    from neocog.orchestration.parallel.stage_loop import Settings, StageLoop

    os.chdir(folder)
    found: dict[str, float] = {}
    loop = StageLoop.loop

    def measured(self: Any, *arguments: Any) -> None:
        before, cpu, wall = _memory(), time.process_time(), time.monotonic()
        if profile:
            import cProfile
            import pstats

            with cProfile.Profile() as what:
                loop(self, *arguments)
            pstats.Stats(what).sort_stats("cumulative").print_stats(60)
        else:
            loop(self, *arguments)
        found.update(cpu=time.process_time() - cpu, wall=time.monotonic() - wall, before=before, after=_memory())

    setattr(StageLoop, "loop", measured)  # noqa: B010 - a method cannot be assigned
    settings = Settings(Machine(nodes, float(nodes), 1 << 40, []), executor=FakeExecutor())
    setattr(reproduce, "_reproduce", Coordinator(settings, Watchdog(), quiet=True).reproduce)  # noqa: B010
    began = time.process_time()
    if dvc(["repro", "-q"]):
        raise SystemExit("the simulation failed")
    found["rest"] = time.process_time() - began - found["cpu"]
    return found | {
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "lock": Path("dvc.lock").stat().st_size,
        "at_once": FakeRunning.at_once,
    }


def _memory() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    about = parser("scale", __doc__)
    about.add_argument("--stages", type=int, nargs="+", default=[1000, 3000, 10000], help="sizes of the graph")
    about.add_argument("--nodes", type=int, default=1000, help="stages at once (default: 1000)")
    about.add_argument("--profile", action="store_true", help="print where the time of the loop goes")
    about.add_argument("--inside", metavar="FOLDER", help="run the graph there, in this process")
    options = about.parse_args(arguments)
    if options.inside:
        print(json.dumps(simulate(Path(options.inside), options.nodes, options.profile)))
        return
    sizes = [6] if options.tiny else options.stages
    print(
        "| stages | at once | own time (ms a stage) | by the clock (ms) | DVC before and after (s) | memory of the loop (kB a stage) "
        "| peak (MB) | dvc.lock (MB) |\n|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    for stages in sizes:
        folder = Path(tempfile.mkdtemp(prefix="neocog-scale-"))
        try:
            project(folder, stages, min(options.nodes, max(1, stages // 3)))
            command = [sys.executable, "-m", "benchmarks.scale", "--inside", str(folder), "--nodes", str(options.nodes)]
            said = subprocess.run(
                [*command, *["--profile"] * options.profile], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        *lines, last = said.splitlines()
        if options.profile:
            print("\n".join(lines))
        found = json.loads(last)
        print(
            f"| {stages:,} | {found['at_once']:,.0f} | {1000 * found['cpu'] / stages:.1f} | {1000 * found['wall'] / stages:.1f} "
            f"| {found['rest']:.0f} | {(found['after'] - found['before']) / 1000 / stages:.1f} | {found['peak'] / 1e6:.0f} "
            f"| {found['lock'] / 1e6:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
