"""A project on digits, in which `make repro` is started and watched: what it has started, and how often its files changed."""

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[1]
MAKE = ("make", "-o", ".venv/.locked", "repro")  # the environment is as it is
WATCHED = ("models", "reports", "data", ".neocog", ".dvc/tmp", ".dvc/cache/runs")
MARK = "NEOCOG_KILLS"  # in the environment of every process of a round
# Stages that are over within few changes
LATE = ("evaluate", "benchmark", "robustness", "audit", "explain", "report", "register")
STARTED = re.compile(r"^\[([a-z_]+)[^\]]*\] started$", re.MULTILINE)  # said by `neocog repro`
DONE = re.compile(r"^  ([a-z_]+)[^ ]*:$", re.MULTILINE)  # the stage of an entry of dvc.lock


class Project:
    """A clone of this repository on digits in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        names = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in names.stdout.splitlines():
            result = name.startswith(("reports/", "models/")) and Path(name).name not in (".gitignore", ".gitkeep")
            if (ROOT / name).is_file() and not result and not name.startswith(("tests/", "docs/", "dvc.lock")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / "params.yaml").write_text(yaml.safe_dump(_params(), sort_keys=False))
        for command in (
            "init -q -b main",
            "config user.email kills@example.org",
            "config user.name kills",
            "add -A",
            "commit -qm start",
        ):
            subprocess.run(["git", *command.split()], cwd=folder, check=True)

    def start(self) -> subprocess.Popen[str]:
        """`make repro` in a process group of its own, what it says going to a file."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {**os.environ, "PATH": path, "PYTHONPATH": str(self.folder / "src"), MARK: self.mark}
        own.pop("MLFLOW_TRACKING_URI", None)
        with self.said.open("w") as said:
            return subprocess.Popen(
                MAKE, cwd=self.folder, env=own, stdout=said, stderr=said, text=True, start_new_session=True
            )

    @property
    def said(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"

    def started(self) -> list[str]:
        """The stages that the command has started, without the names of their items."""
        return ["repro", *STARTED.findall(self.said.read_text(errors="replace"))]

    def not_done(self) -> list[str]:
        """Those of LATE that dvc.lock does not name yet."""
        lock = self.folder / "dvc.lock"
        names = DONE.findall(lock.read_text(encoding="utf-8")) if lock.exists() else []
        return [stage for stage in LATE if stage not in names]

    def processes(self) -> list[psutil.Process]:
        """All that belong to the round, whoever started them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def changes(self) -> Iterator[int]:
        """The number of changes on its disk so far, again and again."""
        seen, count = self._look(), 0
        while True:
            now = self._look()
            count += len(now.items() ^ seen.items())
            seen = now
            yield count

    def lock_writes(self) -> Iterator[int]:
        """How often dvc.lock was written so far, again and again."""
        lock, seen, count = self.folder / "dvc.lock", None, -1
        while True:
            now = lock.stat().st_mtime_ns if lock.exists() else 0
            count += now != seen
            seen = now
            yield count

    def _look(self) -> dict[str, tuple[int, int]]:
        found = {}
        folders = [self.folder / name for name in WATCHED]
        for path in (self.folder / "dvc.lock", self.folder / "mlflow.db"):
            with suppress(OSError):
                found[str(path)] = (path.stat().st_size, path.stat().st_mtime_ns)
        while folders:
            with suppress(OSError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    with suppress(OSError):
                        found[entry.path] = (entry.stat().st_size, entry.stat().st_mtime_ns)
        return found


def _params() -> dict[str, Any]:
    """Every stage, as small as it gets."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["source"] = "digits"
    params["train"] |= {"epochs": 5, "threads": 1}
    params["architectures"] = {"mlp": {"widths": [16]}, "lenet": {"epochs": 5}}
    params["tune"] |= {"architectures": [], "space": {}}
    params["compress"] = {
        "lenet-pruned": {
            "model": "trained/lenet",
            "steps": [{"method": "prune_structured", "ratio": 0.5, "train": {"epochs": 3}}],
            "goals": {"max_top1_drop": 1.0},
        }
    }
    params["benchmark"]["rounds"] = 3
    params["robustness"] |= {"images": 20, "severities": [1]}
    params["explain"]["images"] = 1
    return params
