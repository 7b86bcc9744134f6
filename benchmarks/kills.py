"""Nothing is lost when anything is killed: `make repro` ended at random moments, over and over, and what came out.

    python -m benchmarks.kills [--count 200] [--seed 0] [--folder DIRECTORY] [--by int term kill full] [--tiny]

A project on digits (two small networks, one recipe, every stage) is made anew for each round. A round gives `make repro` again and
again and ends it after some number of changes on its disk: Ctrl-C or SIGTERM to its process group, SIGKILL to every process of it, or
no space left on its disk (`full`, with --folder on a small file system of its own). When it ends by itself, the round is compared with
one that nobody disturbed: the same bundles to the last bit, one finished MLflow run a stage, each metric once at each step, and no
`make repro` that failed by itself. Two minutes for the first round, then about 15 s a kill on two quiet cores.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import parser
from benchmarks._watched_project import MAKE, Project
from neocog.bundle import read

SIGNALS = {"int": signal.SIGINT, "term": signal.SIGTERM, "kill": signal.SIGKILL}
WAYS = (*SIGNALS, "full")
PATIENCE = 900.0  # s that a `make repro` may take on a busy machine
CHANGES = 400  # after which a run is ended at the latest
ON_LOCK, LOCKING = -1, 0.15  # how often it is ended in the moment in which dvc.lock is written
LATELY, LATE_SECONDS = (
    0.35,
    4.0,
)  # how often it is ended in a stage that is soon over, and within how many seconds of it
FILLER = "filler"


@dataclass
class Outcome:
    """What rounds came to. `faults` are sentences."""

    kills: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)  # that were cut off
    rounds: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ways = ", ".join(f"{count} {way}" for way, count in sorted(self.kills.items()))
        stages = ", ".join(f"{name} {count}" for name, count in self.stages.most_common())
        lines = [f"{self.kills.total()} kills ({ways}) in {self.rounds} rounds; cut off: {stages}"]
        return "\n".join([*lines, *(f"FAULT: {fault}" for fault in self.faults), f"{len(self.faults)} faults"])


def results(project: Project) -> tuple[dict[str, str], dict[str, list[tuple[str, int]]], list[str]]:
    """Digests of the bundles, (metric, step) of each run by its name, and what is wrong whatever the others did."""
    from mlflow import MlflowClient

    bundles = {
        str(card.parent.relative_to(project.folder)): read.digest(card.parent)
        for card in sorted((project.folder / "models").glob("*/*/bundle.json"))
    }
    client = MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("neocog")
    assert experiment is not None
    rows: dict[str, list[tuple[str, int]]] = {}
    faults = []
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        name = run.info.run_name
        if name == "pipeline":  # what the stages of one command took: of one that was ended there is none
            continue
        if run.info.status != "FINISHED":
            faults.append(f"run {name} is {run.info.status}")
        if name in rows:
            faults.append(f"run {name} is there twice")
        keys = [key for key in run.data.metrics if not key.startswith("system/")]
        rows[name] = sorted(
            (key, each.step) for key in keys for each in client.get_metric_history(run.info.run_id, key)
        )
        faults += [f"{name}: {row} is there {times} times" for row, times in Counter(rows[name]).items() if times > 1]
    return bundles, rows, faults


def disturb(project: Project, by: str, *, after: int, late: tuple[str, float] | None = None) -> int | None:
    """Give the command and end it `by` that way after so many changes; its exit code when it ended before.

    after ON_LOCK: as soon as dvc.lock is written.
    late: instead of `after`, so many seconds after this stage begins.
    """
    process = project.start()
    deadline = time.monotonic() + PATIENCE
    if late is not None:
        after = 0
        while late[0] not in project.started():
            if (code := process.poll()) is not None:
                return code
            time.sleep(0.01)
        time.sleep(late[1])
    for count in project.lock_writes() if after == ON_LOCK else project.changes():
        if (code := process.poll()) is not None:
            return code
        if count >= (1 if after == ON_LOCK else after):
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"{' '.join(MAKE)} hangs:\n{project.said.read_text()}")
        time.sleep(0.001 if after == ON_LOCK else 0.01)
    if by == "full":
        _fill(project.folder / FILLER)
        process.wait(PATIENCE)
        (project.folder / FILLER).unlink()
    elif by == "kill":
        for each in [process, *project.processes()]:
            with suppress(psutil.Error, ProcessLookupError):
                each.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGNALS[by])
    process.wait(PATIENCE)
    return None


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass


def campaign(folder: Path, *, count: int, seed: int, ways: Sequence[str], tell: bool = True) -> Outcome:
    """`count` kills, in as many rounds as that takes. The first round is not disturbed."""
    chance, outcome = random.Random(seed), Outcome()
    whole = Project(folder / "undisturbed")
    if code := disturb(whole, "none", after=sys.maxsize):
        outcome.faults.append(f"undisturbed, it ended with {code}:\n{whole.said.read_text()}")
        return outcome
    expected = results(whole)
    outcome.faults += expected[2]
    shutil.rmtree(whole.folder)
    while outcome.kills.total() < count:
        project = Project(folder / f"round-{outcome.rounds}")
        code = None
        while code is None:
            by = chance.choice(ways)
            after = ON_LOCK if chance.random() < LOCKING else int(CHANGES ** chance.uniform(0, 1))
            left = project.not_done() if chance.random() < LATELY else []
            late = (chance.choice(left), chance.uniform(0, LATE_SECONDS)) if left else None
            if outcome.kills.total() >= count:
                after, late = sys.maxsize, None
            code = disturb(project, by, after=after, late=late)
            if code is None:
                outcome.kills[by] += 1
                outcome.stages[project.started()[-1]] += 1
                if tell:
                    when = "while dvc.lock is written" if after == ON_LOCK else f"after {after} changes"
                    when = when if late is None else f"{late[1]:.1f} s into {late[0]}"
                    print(f"{outcome.kills.total()}: {by} {when}, in {project.started()[-1]}", flush=True)
        outcome.rounds += 1
        found = (
            [f"it ended with {code}:\n{project.said.read_text()[-3000:]}"] if code else differences(project, expected)
        )
        outcome.faults += [f"round {outcome.rounds - 1}: {each}" for each in found]
        if tell:
            print(f"round {outcome.rounds - 1}: {'; '.join(found) or 'as undisturbed'}", flush=True)
        if not found:
            shutil.rmtree(project.folder)
    return outcome


def differences(
    project: Project, expected: tuple[dict[str, str], dict[str, list[tuple[str, int]]], list[str]]
) -> list[str]:
    """What is wrong with a round, as sentences."""
    bundles, rows, faults = results(project)
    faults = list(faults)
    faults += [f"{name} has other bits" for name in expected[0] if bundles.get(name) != expected[0][name]]
    for name in expected[1].keys() | rows.keys():
        lost = set(expected[1].get(name, [])) ^ set(rows.get(name, []))
        faults += [f"{name}: rows lost or strange: {sorted(lost)[:5]}"] if lost else []
    return faults


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was survived; exit 1 on any fault. A round with faults stays where it is, to be looked at."""
    given = parser("kills", __doc__)
    given.add_argument("--count", type=int, default=200, help="how many kills")
    given.add_argument("--seed", type=int, default=0, help="of the moments and ways")
    given.add_argument("--folder", type=Path, help="where the projects are made; default: a temporary folder")
    given.add_argument("--by", nargs="+", choices=WAYS, default=list(SIGNALS), help="how; default: all but full")
    asked = given.parse_args(arguments)
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    outcome = campaign(folder, count=6 if asked.tiny else asked.count, seed=asked.seed, ways=asked.by)
    print(outcome)
    if asked.folder is None and not outcome.faults:
        shutil.rmtree(folder)
    sys.exit(bool(outcome.faults))


if __name__ == "__main__":
    main()
