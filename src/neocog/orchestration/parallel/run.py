"""`neocog repro` and `neocog exp run`: DVC's own command with the coordinator in the place of its loop over stages."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from neocog.core import atomic, params_yaml
from neocog.core.errors import Busy, UserError
from neocog.orchestration import healing
from neocog.orchestration.parallel import timeline
from neocog.orchestration.parallel.coordinator import Coordinator
from neocog.orchestration.parallel.process import Watchdog
from neocog.orchestration.parallel.resources import Machine, machine
from neocog.orchestration.parallel.scratch import IsolatedStages
from neocog.orchestration.parallel.stage_loop import Executor, Settings

LOCK = Path(".neocog/repro/lock")
PARAMS, LOCAL = "params", "local"  # for `ray`: as ray.address says; a Ray on this machine
PAGE = Path("reports/pipeline.html")
OURS = "python -m pipelines."  # in the dvc.yaml of a project of neocog's, the clone or one of `neocog init`
_PLAIN = {"--dry", "-i", "--interactive"}  # nothing runs, or each stage is asked for: DVC's own loop does that


def run(command: list[str], *, jobs: int = 0, isolated: bool = False, ray: str = "") -> int:
    """Run DVC's `command` (`repro ...`, `exp run ...`), `jobs` stages at once (0: `repro.jobs`). Returns its exit code.

    isolated: each stage in a folder that holds its declared dependencies and nothing else. ray: the address of a cluster whose nodes run
    the stages, likewise; `params`: that of ray.address.
    """
    from dvc.cli import main
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo, reproduce

    if _PLAIN & set(command):
        return int(main(command) or 0)
    try:
        root = Path(Repo.find_root())
    except NotDvcRepoError:
        raise UserError(f"{Path.cwd()} is in no DVC project; run `dvc init` in the project's folder") from None
    settings = _settings(root, jobs)
    if isolated:
        settings.executor = IsolatedStages()
    with ExitStack() as stack:
        descriptor = stack.enter_context(_alone(root))
        _heal(root)
        if ray:
            settings.machine, settings.executor = stack.enter_context(_cluster(root, ray, jobs))
        watchdog = Watchdog(descriptor)
        coordinator = Coordinator(settings, watchdog, quiet=bool({"-q", "--quiet"} & set(command)))
        before, reproduce._reproduce = reproduce._reproduce, coordinator.reproduce
        try:
            code = int(main(["--wait-for-lock", *command]) or 0)
        finally:
            reproduce._reproduce = before
            watchdog.close()
        if coordinator.root == root:  # else it was a copy of the project, for `exp run --temp`, and is gone
            _report(coordinator, settings)
    return 128 + signal.SIGINT if code == 252 else code  # DVC's own for Ctrl-C


def _settings(root: Path, jobs: int) -> Settings:
    """The section `repro` of params.yaml, where there is one."""
    from neocog.core.validation import typed
    from neocog.params.sections import SECTIONS

    given: Any = {}
    if (root / "params.yaml").exists():
        with suppress(AttributeError):
            given = params_yaml.read(root / "params.yaml").get("repro") or {}
    section = typed(SECTIONS["repro"], "repro", given)
    return Settings(machine(jobs or section.jobs), section.resources, section.watts_per_core)


def _cluster(root: Path, address: str, jobs: int) -> AbstractContextManager[tuple[Machine, Executor]]:
    """The nodes of the cluster at `address`, and what runs stages there."""
    from dvc.repo import Repo

    from neocog.orchestration.cluster.executor import joined

    given: Any = params_yaml.read(root / "params.yaml") if (root / "params.yaml").exists() else {}
    if address == PARAMS:
        address = str((given.get("ray") or {}).get("address", LOCAL))
    return joined(
        address, Repo(str(root)), jobs=jobs, patience=float((given.get("repro") or {}).get("wait_for_nodes", 0.0))
    )


@contextmanager
def _alone(root: Path) -> Iterator[int]:
    """Hold the lock of this project's `neocog repro`, waiting for it if need be. The descriptor that holds it."""
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (ignored := root / LOCK.parts[0] / ".gitignore").exists():
        ignored.write_text("*\n")
    try:
        with atomic.lock(path, busy="{holder}") as file:
            yield _signed(file)
            return
    except Busy as busy:
        print(f"neocog: waits for {busy or 'another neocog repro'}", file=sys.stderr, flush=True)
    with atomic.lock(path) as file:
        yield _signed(file)


def _signed(file: Any) -> int:
    file.truncate(0)
    file.write(f"process {os.getpid()} (neocog {shlex.join(sys.argv[1:])}), at work since {time.strftime('%H:%M:%S')}")
    file.flush()
    return int(file.fileno())


def _heal(root: Path) -> None:
    before = Path.cwd()
    os.chdir(root)
    try:
        healing.heal()
    finally:
        os.chdir(before)


def _report(coordinator: Coordinator, settings: Settings) -> None:
    """The page and MLflow's run of a project of neocog's, after a run in which something was done."""
    root, ran = coordinator.root, [span for span in coordinator.spans if span.seconds > 0]
    pipeline = root / "dvc.yaml"
    if not ran or not pipeline.exists() or OURS not in pipeline.read_text(encoding="utf-8"):
        return
    page = root / PAGE
    timeline.write_page(page, ran, wall=coordinator.wall, jobs=settings.machine.jobs)
    tracking = params_yaml.read(root / "params.yaml").get("tracking") or {}
    timeline.log(ran, page, wall=coordinator.wall, experiment=str(tracking.get("experiment", "neocog")))
