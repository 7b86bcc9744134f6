"""A run's journal: what happened, on the caller's own disk, in the order it happened.

    .neocog/tracking/<run>.jsonl   one event a line; a line that is torn or unreadable is skipped
    .neocog/tracking/<run>.sent    how much of it is in MLflow (replaced atomically)
    .neocog/tracking/<run>.files/  artifacts not in MLflow yet; each folder in it is laid out as it will be there
    .neocog/tracking/locks         one byte a run for its writer, one for its sender

Events: `begin` {...}, `params` {...}, `metrics` {...} with `step`, `tags` {...}, `dataset` {...}, `end` status; `t` is
the time in ms. All of it is what a stranger may read: places without credentials, values without secrets.
"""

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from neocog.core import integrity

FOLDER = Path(".neocog") / "tracking"
WRITER, SENDER = 0, 1
COPY = "sender"  # what a sender is called among what is left warm
_COPIED = 1 << 20  # bytes: smaller artifacts are copied, since the next run may write into the same file
_held: dict[tuple[Path, int], int] = {}  # byte -> the process that holds it: a fork inherits this, but not the lock
_lock_files: dict[Path, int] = {}  # one descriptor a folder, never closed: closing any would drop this process's locks


@dataclass(frozen=True)
class Sent:
    """How far a journal has been sent.

    offset: bytes of it that are in MLflow. ended: the status it had ended with by then. run_id: its run there.
    uncertain: a run may have been created without an answer. until: unix time to which its sender may be silent and yet
    be at work. failing: the last attempt failed. resumed: it was cut off and goes on, so that it may log what it has logged.
    """

    offset: int = 0
    ended: str = ""
    run_id: str = ""
    uncertain: bool = False
    until: float = 0.0
    failing: bool = False
    resumed: bool = False


class Journal:
    """The journal of one run. `folder` is absolute; nothing is touched on disk before the first `append`."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run
        self.path = folder / f"{run}.jsonl"
        self.files = folder / f"{run}.files"
        self._sent = folder / f"{run}.sent"

    def append(self, **event: object) -> None:
        """Add one event, which from then on survives the death of the process. Raises OSError, on a full disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"t": int(time.time() * 1000), **event}, separators=(",", ":")).encode() + b"\n"
        with self.path.open("a+b", buffering=0) as file:
            if _torn(file.fileno()):
                line = b"\n" + line
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def size(self) -> int:
        """Bytes written so far, 0 where there is no journal."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def events(self, offset: int = 0) -> Iterator[tuple[dict, int]]:
        """(event, offset behind it) for each whole line from `offset` on."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {}
                yield event if isinstance(event, dict) else {}, offset

    def begin(self) -> dict:
        """The first `begin` event's content, empty where there is none."""
        return next((event["begin"] for event, _ in self.events() if "begin" in event), {})

    def ended(self) -> str:
        """The status it ended with, empty while it goes on."""
        sent = self.sent()
        status = sent.ended
        for event, _ in self.events(sent.offset):
            status = "" if "begin" in event else event.get("end", status)
        return status

    def sent(self) -> Sent:
        """How far it has been sent; from the beginning where that is not known, which doubles nothing in MLflow."""
        try:
            return Sent(**json.loads(self._sent.read_bytes()))
        except (OSError, ValueError, TypeError):
            return Sent()

    def mark(self, sent: Sent, **changes: object) -> Sent:
        """Write down `sent` with `changes`, atomically."""
        sent = replace(sent, **changes)  # type: ignore[arg-type]
        integrity.write(self._sent, json.dumps(asdict(sent)))
        return sent

    def attach(self, path: Path, folder: str) -> None:
        """Keep `path`, a file or a folder, until it is sent; a large one is linked where the disk allows.

        Who writes a large file again must replace it, since writing into it would change what is kept here.
        """
        self.files.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(entry.stem) for entry in self.files.iterdir() if entry.stem.isdigit()), default=0)
        part = self.files / f"{number:06d}.part"
        _link(path.resolve(strict=True), part / folder / path.absolute().name)
        part.rename(part.with_suffix(""))

    def attached(self) -> list[Path]:
        """What `attach` kept and has not been sent, oldest first."""
        with suppress(FileNotFoundError):
            return sorted(entry for entry in self.files.iterdir() if entry.suffix != ".part")
        return []

    def lock(self, part: int, *, seconds: float = 0.0) -> bool:
        """Hold the run as its WRITER or SENDER until `unlock` or death; False if another holds it after `seconds`."""
        deadline = time.monotonic() + seconds
        while not self._try(part):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def unlock(self, part: int) -> None:
        """Give up what `lock` holds."""
        if _held.pop((self.folder, self._byte(part)), None) == os.getpid():
            fcntl.lockf(_lock_file(self.folder), fcntl.LOCK_UN, 1, self._byte(part))

    def written(self) -> bool:
        """Whether its writer lives, in this process or another."""
        if not self._try(WRITER):
            return True
        self.unlock(WRITER)
        return False

    def _try(self, part: int) -> bool:
        key = (self.folder, self._byte(part))
        if _held.get(key) == os.getpid():
            return False
        try:
            fcntl.lockf(_lock_file(self.folder), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._byte(part))
        except (BlockingIOError, PermissionError):
            return False
        _held[key] = os.getpid()
        return True

    def _byte(self, part: int) -> int:
        return 2 * int(self.run[:15], 16) + part

    def delete(self) -> None:
        """Remove the journal and all that belongs to it."""
        shutil.rmtree(self.files, ignore_errors=True)
        self.path.unlink(missing_ok=True)
        self._sent.unlink(missing_ok=True)


def journals(folder: Path) -> list[Journal]:
    """Every journal in `folder`, oldest first."""
    found = []
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError, ValueError):
            int(path.stem, 16)
            found.append((path.stat().st_mtime, Journal(folder, path.stem)))
    return [journal for _, journal in sorted(found, key=lambda pair: pair[0])]


def waiting(place: str, reason: str = "does not answer") -> str:
    """What is said, once, when the records for `place` cannot be sent."""
    return f"neocog: tracking: {place} {reason}; the work goes on, its records wait in {FOLDER} for the next run"


def _torn(descriptor: int) -> bool:
    """Whether the file does not end with a whole line."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _link(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for inner in source.iterdir():
            _link(inner.resolve(strict=True), target / inner.name)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.stat().st_size >= _COPIED:
        with suppress(OSError):  # another file system, or one without links
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)


def _lock_file(folder: Path) -> int:
    if folder not in _lock_files or os.fstat(_lock_files[folder]).st_nlink == 0:
        folder.mkdir(parents=True, exist_ok=True)
        _lock_files[folder] = os.open(folder / "locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    return _lock_files[folder]
