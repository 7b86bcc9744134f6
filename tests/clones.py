"""Repositories of their own, as a user's clone is: neocog's files with other params, and this environment's programs at work in them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from imports import ROOT


def params_on_digits() -> dict[str, Any]:
    """The params of a pipeline on digits that trains one architecture of each test's choice, and neither tunes nor compresses."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["source"] = "digits"
    params["benchmark"]["rounds"] = 3
    params["evaluate"]["bootstrap"] = 50
    params["robustness"] |= {"images": 20, "severities": [1]}
    params["explain"]["images"] = 2
    params["tune"] |= {"architectures": [], "space": {}}
    return params | {"architectures": {}, "compress": {}}


def set_up(folder: Path, params: dict[str, Any]) -> Path:
    """A repository with what git tracks or would track here but tests, docs and results; nothing is committed yet."""
    for name in run(ROOT, "git", "ls-files", "-co", "--exclude-standard").splitlines():
        result = name.startswith("reports/") and Path(name).name not in (".gitignore", ".gitkeep")
        if (ROOT / name).is_file() and not result and name != "dvc.lock" and not name.startswith(("tests/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    write_params(folder, params)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "config", "user.name", "test")
    return folder


def write_params(folder: Path, params: dict[str, Any]) -> None:
    """Its params.yaml anew."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def environment(folder: Path) -> dict[str, str]:
    """This environment's programs with the code in `folder`, caching as Python does for most users: DVC must not mind."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {**os.environ, "PATH": path, "PYTHONPATH": str(folder / "src"), "DVC_NO_ANALYTICS": "1"}
    for name in ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI"):
        own.pop(name, None)
    return own


def run(folder: Path, *command: str) -> str:
    """What `command` says in `folder`; a failure shows all it said."""
    ended = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout + ended.stderr


def commit(folder: Path, message: str) -> str:
    """Commit all there is. Returns the commit."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", message)
    return run(folder, "git", "rev-parse", "HEAD").strip()
