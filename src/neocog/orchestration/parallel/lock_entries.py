"""Entries of dvc.lock in the order in which plain `dvc repro` writes them, each written as soon as its stage is done.

DVC parses and writes the whole file anew for each stage, in place: 1.6 s for 176 stages, and a kill leaves half a file. Here the entry
alone is written by DVC's own dumper and put into the text, and the file is replaced at once. Where the file is not as DVC writes it
(data sets, anchors, comments), DVC's own reader and writer do the whole.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_HEAD = "schema: '2.0'\nstages:\n"
_ENTRY = re.compile(r"^  (?=\S)", re.MULTILINE)
_UNUSUAL = re.compile(r"(?:: |- )[&*]\w|^ *#|^\S", re.MULTILINE)  # anchors, comments, further keys of the top level
_NOTE = Path(".neocog/repro/appended.json")


class LockEntries:
    """Writes entries of the stages of a plan, by (path of dvc.lock, name).

    A new entry goes to the end of the file, but before the new ones of stages that come later in the plan. Which ones are new is kept in a
    file until the plan is done, so that a killed or failed run, continued, ends with the same order.
    """

    def __init__(self, plan: list[tuple[str, str]], root: Path) -> None:
        self._rank = {stage: number for number, stage in enumerate(plan)}
        self._note = root / _NOTE
        self._new: set[tuple[str, str]] = set()
        self.writes = 0
        if self._note.exists():
            self._new = {(path, name) for path, name in json.loads(self._note.read_text(encoding="utf-8"))}

    def done(self) -> None:
        """Forget which entries are new: the plan is done."""
        self._note.unlink(missing_ok=True)

    def write(self, path: str, name: str, data: Mapping[str, Any]) -> bool:
        """Put the entry of `name` into dvc.lock at `path`. Returns whether it says something new."""
        text = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
        entry = _dumped(name, data)
        if not entry.endswith("\n") or _UNUSUAL.search(entry) or not (text == "" or _is_plain(text)):
            return self._write_parsed(path, name, data)
        entries = {_name(each): "  " + each for each in _ENTRY.split(text[len(_HEAD) :])[1:]}
        if entries.get(name) == entry:
            return False
        if name not in entries:
            self._note_new(path, name)
        self._replace(path, _HEAD + "".join(self._placed(path, name, entry, entries).values()))
        return True

    def _placed(self, path: str, name: str, entry: Any, entries: dict[str, Any]) -> dict[str, Any]:
        if name in entries:
            return entries | {name: entry}
        rank = self._rank.get((path, name), len(self._rank))
        placed: dict[str, Any] = {}
        for other, its in entries.items():
            if name not in placed and (path, other) in self._new and self._rank.get((path, other), -1) > rank:
                placed[name] = entry
            placed[other] = its
        return placed | {name: entry}

    def _note_new(self, path: str, name: str) -> None:
        self._new.add((path, name))
        self._replace(str(self._note), json.dumps(sorted(self._new)))

    def _write_parsed(self, path: str, name: str, data: Mapping[str, Any]) -> bool:
        from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

        text = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
        parsed = parse_yaml_for_update(text, path) or {"schema": "2.0"}
        stages = parsed.setdefault("stages", {})
        modified = stages.get(name) != data
        if name not in stages:
            self._note_new(path, name)
        parsed["stages"] = self._placed(path, name, data, dict(stages))
        self._replace(path, dumps_yaml(parsed))
        return bool(modified)

    def _replace(self, path: str, text: str) -> None:
        self.writes += path.endswith(".lock")
        replace(Path(path), text)


def replace(path: Path, text: str) -> None:
    """Replace the file `path` as a whole, on the disk before its old content goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def patched(write: Callable[[str, str, Mapping[str, Any]], bool]) -> Iterator[None]:
    """Let DVC write entries of dvc.lock by `write(path, name, entry)`."""
    from dvc.dvcfile import Lockfile
    from dvc.stage import serialize

    def dump_stages(self: Any, stages: list[Any], **kwargs: Any) -> None:
        written = [write(self.path, stage.name, serialize.to_lockfile(stage, **kwargs)[stage.name]) for stage in stages]
        if any(written):
            self.repo.scm_context.track_file(self.relpath)

    before, Lockfile.dump_stages = Lockfile.dump_stages, dump_stages
    try:
        yield
    finally:
        Lockfile.dump_stages = before


def _is_plain(text: str) -> bool:
    return text.startswith(_HEAD) and text.endswith("\n") and not _UNUSUAL.search(text, len(_HEAD))


def _dumped(name: str, data: Mapping[str, Any]) -> str:
    from dvc.utils.serialize import dumps_yaml

    return dumps_yaml({"stages": {name: data}}).removeprefix("stages:\n")


def _name(entry: str) -> str:
    return entry.partition(":")[0].strip("'\"")
