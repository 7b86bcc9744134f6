"""Journals of runs that were made on other machines: they are sent by this one, with the git commit of its project."""

import shutil
import subprocess
from pathlib import Path

from neocog.tracking.journal import FOLDER, Journal, journals


def adopt(source: Path, root: Path) -> int:
    """Take the journals in `source` into the project `root`, where the next sender finds them. Returns how many there were."""
    found, target = journals(source), root / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    for journal in found:
        here = Journal(target, journal.run)
        here.delete()  # of an earlier start of the same run, which the new one contains
        if journal.files.exists():
            shutil.copytree(journal.files, here.files, dirs_exist_ok=True)
        shutil.copyfile(journal.path, here.path)
        here.append(tags=commit(root))
    return len(found)


def commit(root: Path) -> dict[str, str]:
    """Which code runs: the commit, and whether files other than what the pipeline writes differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock", ":!reports", ":!models")
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"git.commit": commit, "mlflow.source.git.commit": commit, "git.dirty": str(bool(changed)).lower()}
