"""Before `dvc repro`: links below data.root that lead nowhere, on which DVC ends with a bare "[Errno 2]"."""

import os
from collections.abc import Iterator
from pathlib import Path

from neocog.core.errors import UserError, run
from neocog.data.sources.listing import spelt
from neocog.params import load


def links() -> None:
    """Raise UserError naming the links below data.root that lead nowhere, as far as DVC looks at them."""
    settings = load.for_stage("prepare").data
    root = Path(settings.root)
    found = [path for path in _broken(root) if not _ignored(path)]
    if found:
        some = ", ".join(spelt(str(path)) for path in found[:5]) + (" ..." if len(found) > 5 else "")
        raise UserError(
            f"data.root (={settings.root!r}) holds {len(found)} links to files that are not there, and DVC cannot read "
            f"them: {some}; remove them, bring their files back, or write their paths into .dvcignore"
        )


def _broken(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # `prepare` says so
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _broken(Path(entry.path))
        elif entry.is_symlink() and not Path(entry.path).exists():
            yield Path(entry.path)


def _ignored(path: Path) -> bool:
    """Whether .dvcignore names it: DVC then leaves it alone, and `prepare` says what it is."""
    from dvc.exceptions import DvcException  # half a second, and only where there is such a link
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return bool(repo.dvcignore.is_ignored_file(str(path)))
    except DvcException:
        return False


if __name__ == "__main__":
    run(links)
