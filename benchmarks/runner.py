"""What running a graph costs beside the stages' own work: `dvc repro`, `neocog repro -j 2` and Pivot on the same graph of small stages.

    python -m benchmarks.runner                              # 176 stages by the first two: some ten minutes, of which DVC takes most
    python -m benchmarks.runner --pivot VENV/bin/pivot       # and by Pivot, from an environment with Python 3.13 (`pip install pivot`)

Each stage reads two outputs of the layer before (16 stages wide) and writes their MD5. Own time: CPU seconds of the process that runs the
stages, less those of a run with nothing to do, for each stage; so it means something on a busy machine too. Lock writes: how often a file
of locked hashes was written. Memory: of that process, at most.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import parser

WIDE = 16
# Python runs it at the start of each process: at the end the process notes what it used and how many lock files it wrote.
_USAGE = """
import atexit, json, os, resource, sys
writes = [0]

def hear(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".lock"):
        name, mode = arguments[0], arguments[1] or ""
        writes[0] += "w" in mode and ("dvc.lock" in name or "stages" in name)
    elif event == "os.rename":
        name = os.fsdecode(arguments[1])
        writes[0] += name.endswith(".lock") and ("dvc.lock" in name or "stages" in name)

def note():
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss * 1024, "writes": writes[0]}
    with open(os.path.join(os.environ["BENCHMARK_USAGE"], str(os.getpid())), "w") as file:
        json.dump(found, file)

sys.addaudithook(hear)
atexit.register(note)
"""


@dataclass(frozen=True)
class Cost:
    """Of one run: s by the clock, CPU s and bytes of the process that runs the stages, lock files written by any process."""

    wall: float
    cpu: float
    memory: int
    writes: int


def needs(number: int) -> list[int]:
    """The stages that stage `number` reads."""
    return [each for each in (number - WIDE, number - WIDE + 1) if 0 <= each < number]


def dvc_project(folder: Path, stages: int) -> None:
    """The graph as dvc.yaml."""
    made = {}
    for number in range(stages):
        read = ["base.txt", *(f"out/{each}/text" for each in needs(number))]
        command = f"mkdir -p out/{number} && cat {' '.join(read)} | md5sum > out/{number}/text"
        made[f"s{number}"] = {"cmd": command, "deps": read, "params": ["some"], "outs": [f"out/{number}/text"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": made}, sort_keys=False))
    (folder / "params.yaml").write_text("some: {rate: 0.1, sizes: [1, 2, 3]}\n")
    (folder / "base.txt").write_text("base\n")
    for program in ("git", "dvc"):
        subprocess.run([program, "init", "-q"], cwd=folder, check=True, env=_environment())


def pivot_project(folder: Path, stages: int, pivot: str) -> None:
    """The graph as pipeline.py."""
    lines = ["import hashlib", "from pivot import Pipeline, stage", "", "def made(*texts):"]
    lines += ["    return {'text': hashlib.md5(''.join(str(each) for each in texts).encode()).hexdigest()}", ""]
    for number in range(stages):
        names = [f"a{each}" for each in range(len(needs(number)) + 1)]
        lines += ["@stage", f"def s{number}({', '.join(f'{name}: dict' for name in names)}) -> dict:"]
        lines += [f"    return made({', '.join(names)})", ""]
    lines += ["with Pipeline('graph') as pipeline:", "    base = pipeline.input('base.json')"]
    lines += [
        f"    h{number} = s{number}({', '.join(['base', *(f'h{each}' for each in needs(number))])})"
        for number in range(stages)
    ]
    (folder / "pipeline.py").write_text("\n".join(lines) + "\n")
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/raw/base.json").write_text('{"text": "base"}')
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run([pivot, "init"], cwd=folder, check=True, capture_output=True, env=_environment())


def cost(folder: Path, command: Sequence[str], environment: dict[str, str]) -> Cost:
    """Run `command` in `folder`."""
    with tempfile.TemporaryDirectory() as place:
        Path(place, "sitecustomize.py").write_text(_USAGE)
        path = os.pathsep.join([place, *filter(None, [environment.get("PYTHONPATH")])])
        own = environment | {"PYTHONPATH": path, "BENCHMARK_USAGE": place}
        began = time.monotonic()
        started = subprocess.Popen(
            command,
            cwd=folder,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said, _ = started.communicate()
        wall = time.monotonic() - began
        if started.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{said[-3000:]}")
        found = {path.name: json.loads(path.read_text()) for path in Path(place).iterdir() if path.name.isdigit()}
    first = found[str(started.pid)]
    return Cost(wall, first["cpu"], first["memory"], sum(each["writes"] for each in found.values()))


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    about = parser("runner", __doc__)
    about.add_argument("--stages", type=int, default=176, help="how many (default: 176)")
    about.add_argument("--pivot", metavar="PROGRAM", help="Pivot's program; without it, Pivot is left out")
    options = about.parse_args(arguments)
    stages = 6 if options.tiny else options.stages
    source = str(Path(__file__).parents[1] / "src")
    ours = _environment() | {"PYTHONPATH": source}
    runs: dict[str, tuple[list[str], dict[str, str]]] = {
        "dvc repro": (["dvc", "repro", "-q"], ours),
        "neocog repro -j 2": ([sys.executable, "-m", "neocog.cli.main", "repro", "-q", "-j", "2"], ours),
    }
    if options.pivot:
        runs["pivot repro"] = ([str(Path(options.pivot).absolute()), "repro"], _environment())
    print(
        "| by | wall (s) | own time (ms a stage) | lock writes | memory (MB) | nothing to do (s) |\n|---|--:|--:|--:|--:|--:|"
    )
    locks = []
    for name, (command, environment) in runs.items():
        folder = Path(tempfile.mkdtemp(prefix="neocog-runner-"))
        try:
            if name == "pivot repro":
                pivot_project(folder, stages, command[0])
            else:
                dvc_project(folder, stages)
            first, again = cost(folder, command, environment), cost(folder, command, environment)
            locks += [path.read_bytes() for path in folder.glob("dvc.lock")]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        own = 1000 * (first.cpu - again.cpu) / stages
        print(
            f"| `{name}` | {first.wall:.0f} | {own:.0f} | {first.writes} | {first.memory / 1e6:.0f} | {again.wall:.1f} |",
            flush=True,
        )
    print(f"dvc.lock of the first two, {len(locks[0]):,} bytes: {'the same' if locks[0] == locks[1] else 'different'}")


if __name__ == "__main__":
    main()
