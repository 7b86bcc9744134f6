"""Read-only git queries about a project: its working tree, index and branches stay as they are."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from neocog.core.errors import NeocogError, UserError


@dataclass(frozen=True)
class Project:
    """A folder with dvc.yaml inside a git repository; `prefix` is the folder's place in it, "" at the root."""

    folder: Path
    prefix: str

    def git(self, *arguments: str) -> str:
        """What git prints. Raises NeocogError with what it says when it fails."""
        command = ["git", "--no-optional-locks", *arguments]
        ended = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise NeocogError(f"git {arguments[0]}: {ended.stderr.strip()}")
        return ended.stdout

    def file(self, commit: str, name: str) -> str | None:
        """The text of a file of the project at a commit; None where it is not there."""
        try:
            return self.git("show", f"{commit}:{self.prefix}{name}")
        except NeocogError:
            return None

    def blob(self, commit: str, name: str) -> str:
        """The short id of a file's content at a commit; empty where it is not there."""
        try:
            return self.git("rev-parse", "--short=10", f"{commit}:{self.prefix}{name}").strip()
        except NeocogError:
            return ""

    def commit(self, name: str) -> str:
        """The full id of a commit. Raises UserError when there is none of that name."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
        except NeocogError:
            raise UserError(
                f"{name}: no commit of {self.folder} is called so; `git log --oneline` names them"
            ) from None

    def describe(self, commit: str) -> str:
        """`1a2b3c4d5e (2026-11-22, subject)`."""
        return self.git("show", "-s", "--abbrev=10", "--format=%h (%cs, %s)", commit).strip()


def project(folder: Path) -> Project:
    """The project in `folder`. Raises UserError when it is none."""
    if not (folder / "dvc.yaml").is_file():
        raise UserError(f"{folder}: no dvc.yaml is here; run neocog at the root of the project that made the model")
    try:
        prefix = Project(folder, "").git("rev-parse", "--show-prefix").strip()
    except (NeocogError, OSError) as error:
        raise UserError(
            f"{folder}: not in a git repository ({error}); only what git has kept can be run again"
        ) from None
    found = Project(folder, prefix)
    found.commit("HEAD")
    return found
