"""Entries of dvc.lock in the order in which plain `dvc repro` writes them, each written as soon as its stage is done.

DVC parses and writes the whole file anew for each stage, in place: 1.6 s for 176 stages, and a kill leaves half a file. Here the entry
alone is written by DVC's own dumper and put among the others, which are known as long as nobody else writes the file, and the file is
replaced at once. Where the file is not as DVC writes it (data sets, anchors, comments), DVC's own reader and writer do the whole.
"""

import bisect
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_HEAD = "schema: '2.0'\nstages:\n"
_ENTRY = re.compile(r"^  (?=\S)", re.MULTILINE)
_UNUSUAL = re.compile(r"(?:: |- )[&*]\w|^ *#|^\S", re.MULTILINE)  # anchors, comments, further keys of the top level
_NOTE = Path(".neocog/repro/appended.jsonl")  # a line a stage: [path of dvc.lock, name]


class LockEntries:
    """Writes entries of the stages of a plan, by (path of dvc.lock, name).

    A new entry goes to the end of the file, but before the new ones of stages that come later in the plan. Which ones are new is kept in a
    file until the plan is done, so that a killed or failed run, continued, ends with the same order.
    """

    def __init__(self, plan: list[tuple[str, str]], root: Path) -> None:
        self._rank = {stage: number for number, stage in enumerate(plan)}
        self._note = root / _NOTE
        self._new: set[tuple[str, str]] = set()
        self._known: dict[str, tuple[tuple[int, ...], _Entries]] = {}  # path -> state of the file, its entries
        self.writes = 0
        for path, name in read_lines(self._note):
            self._new.add((path, name))

    def done(self) -> None:
        """Forget which entries are new: the plan is done."""
        self._note.unlink(missing_ok=True)

    def write(self, path: str, name: str, data: Mapping[str, Any]) -> bool:
        """Put the entry of `name` into dvc.lock at `path`. Returns whether it says something new."""
        entry = _dumped(name, data)
        entries = self._entries(path)
        self._known.pop(path, None)
        if entries is None or not entry.endswith("\n") or _UNUSUAL.search(entry):
            return self._write_parsed(path, name, data)
        if entries.texts.get(name) == entry.encode():
            self._known[path] = _state(path), entries
            return False
        if name not in entries.texts:
            self._note_new(path, name)
            entries.insert(name, self._rank.get((path, name), len(self._rank)))
        entries.texts[name] = entry.encode()
        self._replace(path, _HEAD.encode() + b"".join(map(entries.texts.__getitem__, entries.names)))
        self._known[path] = _state(path), entries
        return True

    def _entries(self, path: str) -> "_Entries | None":
        """The entries in dvc.lock at `path`; None where it is not as DVC writes it."""
        if not Path(path).exists():
            return _Entries({}, [])
        if path in self._known and self._known[path][0] == _state(path):
            return self._known[path][1]
        text = Path(path).read_text(encoding="utf-8")
        if text and not _is_plain(text):
            return None
        texts = {_name(each): ("  " + each).encode() for each in _ENTRY.split(text[len(_HEAD) :])[1:]}
        return _Entries(texts, self._ranks(path, texts))

    def _ranks(self, path: str, names: Iterable[str]) -> list[int]:
        """The place in the plan of each new entry among `names`, -1 of the others, which stay before it."""
        return [self._rank.get((path, name), -1) if (path, name) in self._new else -1 for name in names]

    def _note_new(self, path: str, name: str) -> None:
        self._new.add((path, name))
        append_line(self._note, [path, name])

    def _write_parsed(self, path: str, name: str, data: Mapping[str, Any]) -> bool:
        from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

        text = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
        parsed = parse_yaml_for_update(text, path) or {"schema": "2.0"}
        stages = parsed.setdefault("stages", {})
        modified = stages.get(name) != data
        if name not in stages:
            self._note_new(path, name)
            entries = _Entries(dict(stages), self._ranks(path, stages))
            entries.insert(name, self._rank.get((path, name), len(self._rank)))
            stages = parsed["stages"] = {each: stages.get(each) for each in entries.names}
        stages[name] = data
        self._replace(path, dumps_yaml(parsed).encode())
        return bool(modified)

    def _replace(self, path: str, text: bytes) -> None:
        self.writes += 1
        replace(Path(path), text)


class _Entries:
    """Entries of one dvc.lock: their texts, their names in order, and the place of each in the plan if it is new (else -1)."""

    def __init__(self, texts: dict[str, Any], ranks: list[int]) -> None:
        self.texts, self.names, self.ranks = texts, list(texts), ranks
        self._is_sorted = ranks == sorted(ranks)

    def insert(self, name: str, rank: int) -> None:
        """A new name, before the first new one that comes later in the plan."""
        if self._is_sorted:
            place = bisect.bisect_right(self.ranks, rank)
        else:  # another process has added an entry meanwhile
            place = next((number for number, each in enumerate(self.ranks) if each > rank), len(self.ranks))
        self.names.insert(place, name)
        self.ranks.insert(place, rank)


def append_line(path: Path, value: Any) -> None:
    """Add `value` to a file of JSON lines, in a line of its own whatever a kill has left before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps(value))


def read_lines(path: Path) -> list[Any]:
    """What `append_line` has added; a line that a kill cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def replace(path: Path, text: str | bytes) -> None:
    """Replace the file `path` as a whole, on the disk before its old content goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
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


def _state(path: str) -> tuple[int, ...]:
    found = os.stat(path)  # noqa: PTH116
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_plain(text: str) -> bool:
    return text.startswith(_HEAD) and text.endswith("\n") and not _UNUSUAL.search(text, len(_HEAD))


def _dumped(name: str, data: Mapping[str, Any]) -> str:
    from dvc.utils.serialize import dumps_yaml

    return dumps_yaml({"stages": {name: data}}).removeprefix("stages:\n")


def _name(entry: str) -> str:
    return entry.partition(":")[0].strip("'\"")
