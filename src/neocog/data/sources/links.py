"""Symbolic links in a folder of images: files, links to files inside it and links into DVC's cache may be opened.

A link that leads elsewhere could show any file of the machine, so it is refused; DVC's own cache holds the same images
that `dvc add` found here (`cache.type symlink`), wherever `dvc cache dir` puts it.
"""

import os
import stat
from functools import lru_cache
from pathlib import Path


def why_not(root: Path, entry: os.DirEntry[str]) -> str:
    """Why the file `entry` below `root` must not be opened, as `kind: detail`; empty if it may."""
    try:
        if not entry.is_symlink():
            return "" if stat.S_ISREG(entry.stat().st_mode) else "no file: a device, pipe or socket"
        target = Path(os.path.realpath(entry.path))
        if not (target.is_relative_to(root) or any(target.is_relative_to(cache) for cache in dvc_cache(root))):
            return "link leaves the folder: it points outside data.root and DVC's cache; put the file itself there"
        if entry.is_dir():
            return "linked folder: links to folders are not followed"
        if not target.exists():
            return "broken link: what it points to is not there; remove it, or bring its file back"
        return "" if target.is_file() else "no file: a device, pipe or socket"
    except OSError as error:
        return f"unreadable: {error.strerror}"


@lru_cache(maxsize=1)
def dvc_cache(folder: Path) -> tuple[Path, ...]:
    """The cache of the DVC project that `folder` lies in, as DVC's configuration says; none outside of a project."""
    if not any((parent / ".dvc").is_dir() for parent in (folder, *folder.parents)):
        return ()
    from dvc.exceptions import DvcException  # half a second, and only where a link leaves the folder
    from dvc.repo import Repo

    try:
        with Repo(Repo.find_root(str(folder))) as repo:
            return (Path(os.path.realpath(repo.cache.local_cache_dir)),)
    except DvcException:  # a project that DVC itself cannot read
        return ()
