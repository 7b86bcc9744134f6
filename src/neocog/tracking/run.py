"""MLflow run of a stage: calls append to a journal, which a sender process delivers to MLflow."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from neocog.core.errors import NeocogError, sigterm_raises
from neocog.core.fork_server import Lent, borrow
from neocog.tracking import address
from neocog.tracking import resume as resumption
from neocog.tracking.journal import COPY, FOLDER, WRITER, Journal, journals, waiting

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
PATIENCE = 5.0  # s, at the end of a run, for a server that does not answer
STARTING = 60.0  # s that a sender may take to say that it has started, on a very busy machine
JOURNAL = "NEOCOG_TRACKING_JOURNAL"  # in the environment of a stage whose journal is sent by another machine (adopt.py)
LEFT = 3  # the exit code of a sender that could not send everything
_LAUNCH = """
import sys
if sys.argv[1] not in sys.path:
    sys.path.insert(0, sys.argv[1])
from neocog.tracking.send import main
main(*sys.argv[2:])
"""


class Run:
    """One stage execution. Nothing here waits for the tracking server or fails because of it.

    `id` is the run's name in the journal and its tag `neocog.run` in MLflow. It is empty in a process that is not the
    first rank, where every method does nothing. Raises NeocogError when the journal cannot be written (a full disk).
    """

    def __init__(self, journal: Journal | None, begin: Mapping[str, object]) -> None:
        self.id = journal.run if journal else ""
        self._journal = journal
        self._begin = begin
        self._pid = os.getpid()

    def params(self, values: Mapping[str, object]) -> None:
        """Parameters by flat name. The first value of a name stays; another one later is the tag `changed.<name>`."""
        self._write(params=address.scrub({name: str(value) for name, value in values.items()}))

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Numbers at `step`, NaN and infinities included."""
        self._write(metrics={name: float(value) for name, value in values.items()}, step=int(step))

    def scores(self, digest: str, values: Mapping[str, float]) -> None:
        """Numbers about the bundle with this digest, for the run that made it: a reader of the training finds them there.

        Where MLflow knows no such run (yet), they stay in this one alone; the stage `register` shows them later.
        """
        self._write(scores={"digest": digest, "scores": {name: float(value) for name, value in values.items()}})

    def tags(self, values: Mapping[str, str]) -> None:
        """Tags by name; the last value of a name stays."""
        self._write(tags=address.scrub({name: str(value) for name, value in values.items()}))

    def dataset(self, *, name: str, digest: str, source: str, context: str) -> None:
        """A data set that goes into the run, for `context` (train, evaluate, ...)."""
        self._write(dataset=address.scrub({"name": name, "digest": digest, "source": source, "context": context}))

    def artifact(self, path: Path, *, folder: str = "") -> None:
        """Keep the file or folder `path` with the run, under `folder`.

        A small file is copied; a large one is linked: it may be deleted or replaced at once, as DVC does, but not changed in place
        before the run has ended. Raises FileNotFoundError.
        """
        if self._journal is None or os.getpid() != self._pid:
            return
        if not Path(path).exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        try:
            self._journal.attach(Path(path), folder)
        except OSError as error:
            raise _unwritable(error) from error

    def _write(self, **event: object) -> None:
        if self._journal is None or os.getpid() != self._pid:  # a forked worker has no say in its parent's run
            return
        try:
            if not self._journal.path.exists() and "begin" not in event:  # somebody cleaned up: begin once more
                self._journal.unlock(WRITER)
                self._journal.lock(WRITER)
                self._journal.append(begin={**self._begin, "resumed": True})
            self._journal.append(**event)
        except OSError as error:
            raise _unwritable(error) from error


def is_first_rank() -> bool:
    """Whether this process is the one of a distributed training that writes: logs, checkpoints and results."""
    return all(os.environ.get(rank, "") in ("", "0") for rank in RANKS)


@contextmanager
def start(
    stage: str,
    *,
    experiment: str,
    tags: Mapping[str, str] | None = None,
    config: Mapping[str, object] | None = None,
    resume: Path | None = None,
    parent: str | None = None,
) -> Iterator[Run]:
    """One MLflow run around a stage execution: FINISHED, FAILED (with the tag `error`) or KILLED, as the block ends.

    config: everything the stage was told, kept as the artifact params.yaml.
    resume: a file beside a working checkpoint, or `memory(stage)`; as long as it is there, the run that it names goes on. It goes when
    the run has finished; under DVC, when dvc.lock names what the stage made.
    parent: the id of the run of which this one is a part; while that one lives, its sender sends this one too.
    SIGTERM inside the block raises SystemExit(143).
    """
    if not is_first_rank():
        yield Run(None, {})
        return
    root = address.home()
    try:
        journal, begin = resumption.open_journal(root / FOLDER, _begin(stage, experiment, tags, config, parent), resume)
    except OSError as error:
        raise _unwritable(error) from error
    run = Run(journal, begin)
    run._write(begin=begin)
    mother = Journal(root / FOLDER, parent) if parent else None
    sender = None if mother and mother.written() else _sender(root, journal.run)
    end, error_tag = "FINISHED", {}
    try:
        with sigterm_raises():
            yield run
    except BaseException as raised:
        end = _ending(raised)
        error_tag = {"error": address.one_line(raised)} if end == "FAILED" else {}
        raise
    finally:
        if os.getpid() == run._pid:
            try:
                run._write(tags=error_tag, end=end)
                if end == "FINISHED" and resume is not None:
                    resumption.forget(resume, journal.run)
            except NeocogError as error:
                print(f"neocog: {error}", file=sys.stderr)
            journal.unlock(WRITER)
            if sender is None and not (mother and mother.written()):
                sender = _sender(root, journal.run)
            if sender is not None:
                _finish(sender, journal, root)


def sync() -> int:
    """Send what earlier runs could not, each to the place it was meant for. Returns how many of them are still left."""
    root = address.home()
    if journals(root / FOLDER):
        sender = _start(root)
        if sender is not None:
            sender.communicate()
    return sum(not journal.written() for journal in journals(root / FOLDER))


def _begin(
    stage: str,
    experiment: str,
    tags: Mapping[str, str] | None,
    config: Mapping[str, object] | None,
    parent: str | None,
) -> dict:
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path("-")
    return {
        "stage": stage,
        "experiment": experiment,
        "place": address.place(address.configured()),
        "tags": address.scrub({name: str(value) for name, value in (tags or {}).items()}),
        "config": address.scrub(dict(config or {})),
        "parent": parent or "",
        "source": str(script.relative_to(Path.cwd())) if script.is_relative_to(Path.cwd()) else script.name,
        "exp": os.environ.get("DVC_EXP_NAME", ""),
    }


def _finish(sender: subprocess.Popen | Lent, journal: Journal, root: Path) -> None:
    """Wait while the rest is sent, by another sender if this one was killed on the way or is killed meanwhile."""
    for _ in range(2):
        if sender.poll() not in (None, LEFT) and journal.size():
            again = _sender(root, journal.run)
            if again is None:
                return
            sender = again
        if not _ended(sender, journal):
            return


def _ended(sender: subprocess.Popen | Lent, journal: Journal) -> bool:
    """Wait for the sender's end; False, with the rest left in the journal, when the server does not answer for PATIENCE seconds."""
    began = time.time()
    assert sender.stdin is not None
    sender.stdin.close()
    while sender.poll() is None:
        sent = journal.sent()
        allowed = PATIENCE if sent.failing or sent.until else STARTING
        if time.time() > (began + allowed if sent.failing else max(sent.until, began + allowed)):
            sender.kill()
            sender.wait()
            left = journal.begin()  # nothing, once all of it is in MLflow
            if left and not sent.failing:
                print(waiting(left["place"]), file=sys.stderr)
            return not left
        time.sleep(0.02)
    return True


def _sender(root: Path, run: str) -> subprocess.Popen | Lent | None:
    """The process that sends `run`; None where no process can be started, or none is wanted."""
    if JOURNAL in os.environ:
        return None
    arguments = run, str(Path.cwd())
    return _borrowed(root, *arguments) or _start(root, *arguments)


def _borrowed(root: Path, *arguments: str) -> Lent | None:
    """One from the copy that an earlier stage has left."""
    theirs, ours = os.pipe()
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        lent = borrow(COPY, *arguments, root=root, descriptors=(theirs, nowhere.fileno(), 2))
    os.close(theirs)
    if lent is None:
        os.close(ours)
    else:
        lent.stdin = os.fdopen(ours, "wb")
    return lent


def _start(root: Path, *arguments: str) -> subprocess.Popen | None:
    """A process that sends the run it is told, or every run left behind.

    A process, not a thread: importing mlflow holds the interpreter for 2-4 s, while the caller imports libraries of its
    own, forks workers and is measured.
    """
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _LAUNCH, str(Path(__file__).parents[2]), *arguments],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is meant for the caller
        )
    except OSError as error:
        print(f"neocog: tracking: no process to send with ({error}); records wait in {FOLDER}", file=sys.stderr)
        return None


def _ending(raised: BaseException) -> str:
    if isinstance(raised, Exception):
        return "FAILED"
    signals = (128 + signal.SIGTERM, 128 + signal.SIGINT)
    interrupted = isinstance(raised.__context__, KeyboardInterrupt)  # Lightning turns Ctrl-C into sys.exit(1)
    if not isinstance(raised, SystemExit) or raised.code in signals or interrupted:
        return "KILLED"
    return "FINISHED" if not raised.code else "FAILED"


def _unwritable(error: OSError) -> NeocogError:
    return NeocogError(
        f"cannot write the run's records in {FOLDER}: {error.strerror or error}; "
        "with that put right, the same command continues where it stopped"
    )
