"""From a run's journal into MLflow: what has not been sent yet, in order, so that a second attempt doubles nothing."""

import shutil
import time

import yaml

from neocog.tracking.journal import Journal, Sent
from neocog.tracking.store import Store, UnknownRunError

GATHERED = 900  # metrics, params and tags that make a request
DATABASE = 30.0  # s that one operation on a database may take while others write to it
Metric = tuple[str, float, int, int]  # name, value, ms, step
SLOWEST = 1e6  # bytes/s of an upload that is still waited for


class ParentPendingError(Exception):
    """Not now, and nobody's fault: the run that this one is a part of is not in MLflow yet."""


def deliver(journal: Journal, store: Store, *, timeout: float) -> bool:
    """Send what is new. True when the run has ended and all of it is in MLflow. A request may take `timeout` s.

    Raises ParentPendingError and what the store raises; what was sent by then is marked as sent. A run that the store
    has lost is sent anew.
    """
    try:
        return _Pass(journal, store, timeout).run()
    except UnknownRunError:
        journal.mark(Sent())
        return _Pass(journal, store, timeout).run()


class _Pass:
    def __init__(self, journal: Journal, store: Store, timeout: float) -> None:
        self._journal = journal
        self._store = store
        self._operation = timeout + 2.0 if store.remote else DATABASE
        self._sent = journal.sent()
        self._offset = self._sent.offset
        self._ended = self._sent.ended
        self._clear()

    def run(self) -> bool:
        for event, after in self._journal.events(self._offset):
            if "begin" in event:
                self._flush()
                self._begin(event["begin"])
            if self._sent.run_id:
                self._gather(event)
            self._offset = after
            self._ended = "" if "begin" in event else event.get("end", self._ended)
            if len(self._metrics) + len(self._params) + len(self._tags) >= GATHERED:
                self._flush()
        self._flush()
        if self._sent.run_id:
            self._artifacts()
        return bool(self._ended) and self._offset == self._journal.size() and not self._journal.attached()

    def _gather(self, event: dict) -> None:
        self._metrics += [(name, value, event["t"], event["step"]) for name, value in event.get("metrics", {}).items()]
        for name, value in event.get("params", {}).items():
            if self._params.setdefault(name, value) != value:
                self._tags[f"changed.{name}"] = value
        self._tags |= event.get("tags", {})
        if "dataset" in event:
            self._at_work()
            self._store.dataset(self._sent.run_id, **event["dataset"])
        if "scores" in event:
            self._at_work()
            self._store.score(**event["scores"])
        if "end" in event:
            self._flush()
            self._end(event["end"], event["t"])

    def _begin(self, begin: dict) -> None:
        self._at_work()
        if self._sent.run_id:
            if begin["resumed"]:
                self._store.status(self._sent.run_id, "RUNNING")
        else:
            self._create(begin)
        if begin["resumed"]:
            self._sent = self._journal.mark(self._sent, resumed=True)
        tags = {"stage": begin["stage"], "mlflow.source.name": begin["source"], "mlflow.source.type": "LOCAL"}
        if begin["exp"]:
            tags["dvc.exp"] = begin["exp"]
        if begin["parent"]:
            tags["mlflow.parentRunId"] = self._parent(begin)
        self._tags |= {**tags, **begin["tags"]}
        if begin["config"]:
            folder = self._journal.files / "000000"
            folder.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(begin["config"], sort_keys=False, allow_unicode=True)
            (folder / "params.yaml").write_text(text, encoding="utf-8")

    def _create(self, begin: dict) -> None:
        found = self._store.find(begin["experiment"], begin["run"])  # by an earlier session, or an attempt unanswered
        if found:
            self._sent = self._journal.mark(self._sent, run_id=found[0])
            self._store.status(found[0], "RUNNING")
            return
        before = self._sent.uncertain
        self._sent = self._journal.mark(self._sent, uncertain=True)  # until there is an answer, there may be a run
        run_id = self._store.create(begin)
        self._sent = self._journal.mark(self._sent, run_id=run_id, uncertain=before)

    def _parent(self, begin: dict) -> str:
        parent = Journal(self._journal.folder, begin["parent"])
        run_id = parent.sent().run_id or next(iter(self._store.find(begin["experiment"], parent.run)), "")
        if not run_id and parent.size():
            raise ParentPendingError
        return run_id

    def _end(self, status: str, ended: int) -> None:
        trouble = None
        try:
            self._artifacts()
        except UnknownRunError:
            raise
        except Exception as error:  # whatever is the matter with the artifacts, the run has ended
            trouble = error
        self._at_work()
        if self._sent.uncertain:  # an attempt without an answer may have created a second run
            begin = self._journal.begin()
            for other in self._store.find(begin["experiment"], begin["run"]):
                if other != self._sent.run_id:
                    self._store.remove(other)
        self._store.status(self._sent.run_id, status, ended)
        if trouble is not None:
            raise trouble

    def _artifacts(self) -> None:
        for folder in self._journal.attached():
            self._at_work(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / SLOWEST)
            self._store.artifacts(self._sent.run_id, folder)
            shutil.rmtree(folder)

    def _flush(self) -> None:
        gathered = bool(self._metrics or self._params or self._tags)
        if gathered:
            self._at_work()
            metrics = self._new(self._metrics) if self._sent.resumed else self._metrics
            self._store.log(self._sent.run_id, metrics=metrics, params=self._params, tags=self._tags)
            self._clear()
        if gathered or self._offset > self._sent.offset:  # the store has answered
            self._sent = self._journal.mark(self._sent, offset=self._offset, ended=self._ended, failing=False)

    def _new(self, metrics: list[Metric]) -> list[Metric]:
        """Those of which the run has no value at their step yet: what was cut off between logging and saving does both again."""
        logged = self._store.logged(self._sent.run_id, sorted({name for name, *_ in metrics}))
        first: dict[tuple[str, int], Metric] = {}
        for metric in metrics:
            name, _, at, step = metric
            if logged.get((name, step), at) == at:  # the same again is an attempt that got no answer
                first.setdefault((name, step), metric)
        return list(first.values())

    def _clear(self) -> None:
        self._metrics: list[Metric] = []
        self._params: dict[str, str] = {}
        self._tags: dict[str, str] = {}

    def _at_work(self, longer: float = 0.0) -> None:
        self._sent = self._journal.mark(self._sent, until=time.time() + self._operation + longer)
