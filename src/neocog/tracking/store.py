"""Tracking store: runs by MlflowClient with explicit ids. With registry.py the only file that imports mlflow."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from getpass import getuser
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import (
    MAX_DATASET_DIGEST_SIZE,
    MAX_ENTITY_KEY_LENGTH,
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
    MAX_TAG_VAL_LENGTH,
)

from neocog.core import atomic
from neocog.tracking import address

RUN_TAG = (
    "neocog.run"  # a run's local id: by it a run is found again, whoever created it and whether or not we were told
)
DIGEST = "bundle.sha256"
MAKERS = ("train", "tune", "compress")  # stages whose run made the bundle; others only looked at it
KIND = {"mlflow.experimentKind": "custom_model_development"}  # or MLflow takes it for one of prompts and traces
_REMOTE = ("http://", "https://", "databricks")
_ALREADY, _GONE, _REFUSED = (
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"),
)


class UnknownRunError(Exception):
    """The store does not know the run (any more)."""


class Store:
    """The tracking server or database at `place`. Every call may raise whatever the network or the database raises."""

    def __init__(self, place: str, root: Path) -> None:
        self.place = place
        self.refused: list[str] = []  # what MLflow will never take, as sentences
        self.root = root
        self.uri, self._credentials = address.resolve(place)
        self.remote = self.uri.startswith(_REMOTE)
        self._experiments: dict[str, str] = {}
        self._connected: MlflowClient | None = None

    @contextmanager
    def open(self, timeout: float) -> Iterator["Store"]:
        """Within the block this store's credentials and a `timeout` (s) for each request hold."""
        changes = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(round(timeout)), **self._credentials}
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update({name: value for name, value in changes.items() if value})
        for name in (name for name, value in changes.items() if not value):
            os.environ.pop(name, None)
        try:
            if self._connected is None:
                self._connected = self._connect()
            yield self
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)

    @property
    def client(self) -> MlflowClient:
        """MLflow's own, as long as the store is open."""
        assert self._connected is not None, "used outside open()"
        return self._connected

    def _connect(self) -> MlflowClient:
        """A client; a database that is not there yet is made first.

        Its schema takes 4-10 s. A process that looks at it meanwhile fails, and so does every later one when its maker was
        killed: so one process at a time makes it, under another name.
        """
        _allow_percent()
        database = self.uri.partition("?")[0].removeprefix("sqlite:///")
        if not self.uri.startswith("sqlite:///") or not database:
            return MlflowClient(self.uri, registry_uri=self.uri)
        path = self.root / database
        with atomic.lock(path.with_name(f"{path.name}.lock")):
            if not path.exists() or path.stat().st_size == 0:
                part = path.with_name(f"{path.name}.part")
                part.unlink(missing_ok=True)
                MlflowClient(address.sqlite(part)).search_experiments()
                part.replace(path)
            client = MlflowClient(self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)  # it looks at the schema now
            return client

    @contextmanager
    def _known(self) -> Iterator[None]:
        try:
            yield
        except MlflowException as error:
            binned = error.error_code in _REFUSED and "'active' state" in str(error)  # how MLflow names a deleted run
            if error.error_code != _GONE and not binned:
                raise
            self._experiments.clear()
            raise UnknownRunError(str(error)) from error

    def experiment(self, name: str) -> str:
        """Its id; created, or brought back from the bin, where needed."""
        if name not in self._experiments:
            self._experiments[name] = self._experiment(name)
        return self._experiments[name]

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            folder = self.root / "mlartifacts" / quote(name, safe="")
            try:
                location = None if self.remote else folder.as_uri()
                return self.client.create_experiment(name, artifact_location=location, tags=KIND)
            except MlflowException as error:
                if error.error_code != _ALREADY:
                    raise
            found = self.client.get_experiment_by_name(name)
            assert found is not None
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        for tag, value in KIND.items():
            if tag not in found.tags:  # made by an earlier neocog, or by hand
                self.client.set_experiment_tag(found.experiment_id, tag, value)
        return found.experiment_id

    def latest(self) -> str | None:
        """The id of the experiment in which a run began last; None without any run."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        found = self.client.search_runs(experiments, max_results=1, order_by=["attributes.start_time DESC"])
        return found[0].info.experiment_id if found else None

    def find(self, experiment: str, run: str) -> list[str]:
        """Ids of the runs tagged with the local id `run`, the first started first."""
        where = f"tags.`{RUN_TAG}` = '{run}'"
        found = self.client.search_runs([self.experiment(experiment)], where, order_by=["attributes.start_time ASC"])
        return [each.info.run_id for each in found]

    def create(self, begin: Mapping) -> str:
        """A new run for a journal's `begin`."""
        with self._known():
            created = self.client.create_run(
                self.experiment(begin["experiment"]),
                start_time=begin["begun"],
                run_name=begin["stage"],
                tags={RUN_TAG: begin["run"], "mlflow.user": _user()},
            )
        return created.info.run_id

    def run_of(self, digest: str) -> str | None:
        """The id of the run that made the bundle, the first if several did."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        found = self.client.search_runs(
            experiments, f"tags.`{DIGEST}` = '{digest}'", order_by=["attributes.start_time ASC"]
        )
        made = [run for run in found if run.data.tags.get("stage", "").partition("@")[0] in MAKERS]
        return made[0].info.run_id if made else None

    def score(self, digest: str, scores: Mapping[str, float]) -> bool:
        """Let the run that made the bundle, and the models logged of it, show `scores`, with the run's data. Twice is once.

        False where no run made it.
        """
        run_id = self.run_of(digest)
        if run_id is None:
            return False
        run = self.client.get_run(run_id)
        data = next((each.dataset for each in run.inputs.dataset_inputs), None) if run.inputs else None
        about = {"dataset_name": data.name, "dataset_digest": data.digest} if data else {}
        models = self.client.search_logged_models([run.info.experiment_id], f"tags.`{DIGEST}` = '{digest}'")
        known: dict[str | None, dict[str, float]] = {
            each.model_id: {metric.key: metric.value for metric in each.metrics or ()} for each in models
        }
        new = [
            Metric(name, value, self._shown(run, name, value), 0, model_id=model_id, run_id=run_id, **about)
            for model_id, shown in (known or {None: dict(run.data.metrics)}).items()
            for name, value in scores.items()
            if shown.get(name) != value
        ]
        if new:
            self.client.log_batch(run_id, metrics=new, synchronous=True)
        return True

    def _shown(self, run: Run, name: str, value: float) -> int:
        """When (ms) the run was given this value, or now: a model that is given it too does not double it in the run."""
        if run.data.metrics.get(name) != value:
            return int(time.time() * 1000)
        return int(self.client.get_metric_history(run.info.run_id, name)[-1].timestamp)

    def status(self, run_id: str, status: str, ended: int | None = None) -> None:
        """RUNNING again, or terminated at `ended` (ms)."""
        with self._known():
            if ended is None:
                self.client.update_run(run_id, status=status)
            else:
                self.client.set_terminated(run_id, status=status, end_time=ended)

    def remove(self, run_id: str) -> None:
        """Put a run into MLflow's bin."""
        self.client.delete_run(run_id)

    def log(self, run_id: str, *, metrics: list[tuple[str, float, int, int]], params: dict, tags: dict) -> None:
        """Metrics (name, value, ms, step), params whose first value stays, tags whose last value stays.

        Sending the same again changes nothing. Values longer than MLflow takes are cut.
        """
        if params:
            with self._known():
                known = self.client.get_run(run_id).data.params
            params = {name[:MAX_ENTITY_KEY_LENGTH]: value[:MAX_PARAM_VAL_LENGTH] for name, value in params.items()}
            changed = {name: value for name, value in params.items() if known.get(name, value) != value}
            tags = {**{f"changed.{name}": value for name, value in changed.items()}, **tags}
            params = {name: value for name, value in params.items() if name not in known}
        entities: list[Metric | Param | RunTag] = [Metric(*metric) for metric in metrics]
        others: list[Metric | Param | RunTag] = [Param(name, value) for name, value in params.items()]
        others += [RunTag(name[:MAX_ENTITY_KEY_LENGTH], value[:MAX_TAG_VAL_LENGTH]) for name, value in tags.items()]
        most = MAX_METRICS_PER_BATCH - MAX_PARAMS_TAGS_PER_BATCH
        while entities or others:
            part = entities[:most] + others[:MAX_PARAMS_TAGS_PER_BATCH]
            entities, others = entities[most:], others[MAX_PARAMS_TAGS_PER_BATCH:]
            self._log(run_id, part)

    def logged(self, run_id: str, names: list[str]) -> dict[tuple[str, int], int]:
        """The steps at which the run has a value of these metrics, and when (ms) that was logged."""
        with self._known():
            histories = [self.client.get_metric_history(run_id, name) for name in names]
        return {(each.key, each.step): each.timestamp for history in histories for each in history}

    def _log(self, run_id: str, part: list[Metric | Param | RunTag]) -> None:
        try:
            with self._known():
                self.client.log_batch(
                    run_id,
                    metrics=[each for each in part if isinstance(each, Metric)],
                    params=[each for each in part if isinstance(each, Param)],
                    tags=[each for each in part if isinstance(each, RunTag)],
                    synchronous=True,
                )
        except MlflowException as error:
            if error.error_code not in _REFUSED:
                raise
            if len(part) > 1:  # one bad apple: find it
                for each in part:
                    self._log(run_id, [each])
            else:
                self.refused.append(f"MLflow does not take {part[0].key!r}: {address.one_line(error)}")

    def dataset(self, run_id: str, *, name: str, digest: str, source: str, context: str) -> None:
        """A data set as the run's input: the column "Datasets used"."""
        dataset = Dataset(
            name, digest[:MAX_DATASET_DIGEST_SIZE], source_type="local", source=json.dumps({"uri": source})
        )
        with self._known():
            self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])

    def artifacts(self, run_id: str, folder: Path) -> None:
        """What lies in `folder`, laid out as it lies there."""
        with self._known():
            self.client.log_artifacts(run_id, str(folder))


def load(uri: str) -> None:
    """Import what the store at `uri` imports when it is first used; nothing is opened."""
    if not uri.startswith(_REMOTE):
        import_module("mlflow.store.tracking.sqlalchemy_store")


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):
        return "unknown"


def _allow_percent() -> None:
    """MLflow hands the path of its migrations to a configparser, which takes a % in it for an interpolation."""
    from alembic.config import Config

    if getattr(Config.set_main_option, "escapes", False):
        return
    plain = Config.set_main_option

    def set_main_option(self: Config, name: str, value: str) -> None:
        plain(self, name, value.replace("%", "%%") if name == "script_location" else value)

    set_main_option.escapes = True  # type: ignore[attr-defined]
    Config.set_main_option = set_main_option  # type: ignore[method-assign]
