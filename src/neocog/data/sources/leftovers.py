"""System files among images (Thumbs.db, .DS_Store, ...), which are neither class nor image."""

import re

_NAMES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler", "recycled"),  # Windows
    *("system volume information", "found.000", "picasa.ini"),
    *("__macosx", "icon\r", "lost.dir", "lost+found"),  # macOS, Android, ext4
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "@sharebin"),  # Synology, QNAP
    *("__pycache__", "node_modules"),
}
_POINTER = re.compile(r".\.dvc$")  # what `dvc add` writes beside a file or folder


def kind(name: str) -> str:
    """What is passed over, as it is counted: the name itself, `hidden` or `*.dvc`; empty for anything else."""
    if name.startswith("."):
        return "hidden"
    if name.lower() in _NAMES:
        return name.strip()
    return "*.dvc" if _POINTER.search(name) else ""
