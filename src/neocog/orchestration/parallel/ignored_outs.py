"""Lines that DVC adds to .gitignore for outs, in the order of the plan: the file counts in the hash of a folder that a stage depends on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neocog.orchestration.parallel.lock_entries import append_line, read_lines, replace

_NOTE = Path(".neocog/repro/ignored.jsonl")  # a line each: [.gitignore, line, stage]


class IgnoredOuts:
    """Puts the lines that this run adds into the order of the plan, in which plain `dvc repro` adds them."""

    def __init__(self, plan: list[str], root: Path) -> None:
        self._rank = {name: number for number, name in enumerate(plan)}
        self._note = root / _NOTE
        self._new: dict[str, dict[str, str]] = {}  # .gitignore -> line -> stage
        for path, line, stage in read_lines(self._note):
            self._new.setdefault(path, {})[line] = stage

    def done(self) -> None:
        """Forget which lines are new: the plan is done."""
        self._note.unlink(missing_ok=True)

    @contextmanager
    def ordered(self, stage: Any) -> Iterator[None]:
        """Around what saves the outs of `stage`."""
        paths = dict.fromkeys(Path(out.fs_path).parent / ".gitignore" for out in stage.outs if out.protocol == "local")
        before = {path: set(_lines(path)) for path in paths}
        yield
        for path, known in before.items():
            lines = _lines(path)
            added = [line for line in lines if line not in known]
            if not added:
                continue
            new = self._new.setdefault(str(path), {})
            new.update(dict.fromkeys(added, stage.addressing))
            for line in added:
                append_line(self._note, [str(path), line, stage.addressing])
            stage.repo.scm._reset()  # has read the file as it was
            moving = [line for line in lines if line in new]
            sorted_lines = iter(sorted(moving, key=lambda line: self._rank.get(new[line], -1)))
            placed = [next(sorted_lines) if line in new else line for line in lines]
            if placed != lines:
                replace(path, "\n".join(placed) + "\n")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
