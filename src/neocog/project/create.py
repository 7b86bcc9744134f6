"""Create a project: a folder with its files, git and DVC, and a first commit."""

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neocog.core.errors import NeocogError, UserError
from neocog.core.integrity import write
from neocog.data.sources.listing import spelt
from neocog.project import params, template
from neocog.project.survey import Survey, survey
from neocog.tasks.task import Task

KEPT = ("README.md", "requirements.txt", ".github/workflows/neocog.yml")  # where there is one, it stays as it is
GITIGNORE = ".gitignore"  # where there is one, lines are added


@dataclass(frozen=True)
class Created:
    """A new project: what was found in the folder of images, if one was named, and whether git is a repository of its own."""

    folder: Path
    found: Survey | None
    own_repository: bool


def create(folder: Path, task: Task, *, images: Path | None) -> Created:
    """Make a project in `folder`, which may hold other files. Raises UserError before anything is written, else leaves nothing behind."""
    folder = _resolved(folder)
    root = _root(folder, images)
    found = survey(_resolved(images), task) if images is not None else None
    above = _repository(folder)
    inside = root if root is not None and not Path(root).is_absolute() else None
    files = template.files(folder.name, images=inside, data=_where(root, inside))
    files["params.yaml"] = params.text(task, root=root, found=found)
    if above is not None and above != folder:
        del files[".github/workflows/neocog.yml"]  # which is read at the root of a repository only
    _check_free(folder, files, above)
    kept = [name for name in KEPT if (folder / name).exists()]
    for name in kept:
        del files[name]
    if (folder / GITIGNORE).is_file():
        files[GITIGNORE] = f"{(folder / GITIGNORE).read_text('utf-8').rstrip()}\n\n{files[GITIGNORE]}".lstrip()
    with _nothing_left(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if above is None:
            _call(folder, "git", "init", "--quiet", "-b", "main")
        _init_dvc(folder, below=above not in (None, folder))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write(folder / name, text)
        if root is None:
            (folder / template.RAW).mkdir(parents=True, exist_ok=True)  # as stage `code` does in a clone
        committed = [*files, ".dvc/.gitignore"]
        _call(folder, "git", "add", "--", *committed)
        _call(folder, "git", "commit", "--quiet", "-m", "Begin with neocog init", "--", *committed)
    return Created(folder, found, own_repository=above is None)


def update(folder: Path) -> list[str]:
    """Write dvc.yaml, DVC's plot templates and missing lines of .gitignore, as this version has them; the names of what changed."""
    if not (folder / "dvc.yaml").is_file():
        raise UserError(f"{folder / 'dvc.yaml'} is not there; `neocog init FOLDER` begins a project")
    new = {"dvc.yaml": template.pipeline()} | {
        f"{template.PLOTS}/{name}": text for name, text in template.plots().items()
    }
    there = (folder / GITIGNORE).read_text("utf-8").splitlines() if (folder / GITIGNORE).is_file() else []
    if missing := [line for line in template.ignored() if line.startswith(("/", "!")) and line not in there]:
        new[GITIGNORE] = "\n".join([*there, *missing, ""])
    changed = [
        name
        for name, text in new.items()
        if not (folder / name).is_file() or (folder / name).read_text("utf-8") != text
    ]
    for name in changed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, new[name])
    return changed


def _resolved(path: Path) -> Path:
    """The whole path. Raises UserError where it cannot be written into a text file."""
    found = path.expanduser().resolve()
    if spelt(str(found)) != str(found):
        raise UserError(f"{spelt(str(found))}: the name holds bytes that are no text, or control characters; rename it")
    return found


def _root(folder: Path, images: Path | None) -> str | None:
    """`data.root`: from the project's folder where the images lie in it, else their whole path."""
    if images is None:
        return None
    found = _resolved(images)
    if folder.is_relative_to(found):
        raise UserError(f"{folder} lies in the folder of images {found}; make the project beside it")
    root = found.relative_to(folder).as_posix() if found.is_relative_to(folder) else str(found)
    if "${" in root:
        raise UserError(f"--data {root}: DVC takes ${{...}} for a variable; rename the folder")
    return root


def _where(root: str | None, inside: str | None) -> str:
    if root is None:
        return "For images of your own set `data.source: folder` and `data.root` in params.yaml."
    if inside is None:
        return f"The images lie in `{root}`, outside: others need them at the same place, or `data.root` set to theirs."
    return f"The images in `{inside}` are not in git: `dvc add '{inside}'` and `dvc push` share them."


def _repository(folder: Path) -> Path | None:
    """The root of the git repository that `folder` lies in. Raises UserError without git, and where it does not know who commits."""
    english = {**os.environ, "LC_ALL": "C"}
    here = next(path for path in (folder, *folder.parents) if path.is_dir())
    try:
        top = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=here, env=english, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise UserError(
            "git is not installed, and keeps the project's history; on Debian: apt-get install git"
        ) from None
    if top.returncode and "not a git repository" not in top.stderr:
        raise UserError(f"{here}: {' '.join(top.stderr.split())}")
    who = subprocess.run(["git", "var", "GIT_COMMITTER_IDENT"], cwd=here, capture_output=True, text=True, check=False)
    if who.returncode:
        raise UserError(
            "git does not know who you are; git config --global user.name 'Your Name'; "
            "git config --global user.email you@example.org"
        )
    return None if top.returncode else Path(top.stdout.rstrip("\n"))


def _check_free(folder: Path, files: dict[str, str], above: Path | None) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a new folder for the project")
    own = {*files, ".dvc"} - {*KEPT, GITIGNORE}
    there = sorted({name.partition("/")[0] for name in own if (folder / name).exists()})
    if there:
        hint = "; `neocog init --update` renews the dvc.yaml of a project" if "dvc.yaml" in there else ""
        raise UserError(f"{folder} already holds {', '.join(there)}; name a new folder for the project{hint}")
    ignored = (
        above is not None and folder != above and not _call(above, "git", "check-ignore", "-q", str(folder), may=1)
    )
    if ignored:
        raise UserError(f"{folder} is ignored by the git repository {above}; name a folder that it keeps")


@contextmanager
def _nothing_left(folder: Path) -> Iterator[None]:
    """Take away again what was begun in a `folder` that was not there, or was empty, when it cannot be finished."""
    was_there = folder.exists()
    was_empty = not was_there or not any(folder.iterdir())
    try:
        yield
    except BaseException:
        if was_empty and folder.is_dir():
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not was_there:
                folder.rmdir()
        raise


def _init_dvc(folder: Path, *, below: bool) -> None:
    """`dvc init`, `below` the root of a git repository or at it."""
    from dvc.exceptions import DvcException  # half a second, and only once all else is right
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)  # no welcome
    try:
        Repo.init(str(folder), subdir=below).close()
    except DvcException as error:
        raise NeocogError(f"{folder}: dvc init failed: {error}") from error


def _call(folder: Path, *command: str, may: int = 0) -> int:
    """The exit code of a command. Raises NeocogError with what it says where that is neither 0 nor `may`."""
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, may):
        raise NeocogError(
            f"{folder}: {' '.join(command[:2])} failed: {' '.join((ended.stderr or ended.stdout).split())}"
        )
    return ended.returncode
