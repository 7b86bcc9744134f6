"""Model registry of MLflow: versions found by their bundle's digest, aliases set last. With store.py the only file that imports mlflow.

A version is the last thing that is made of a model, in one transaction with the tag `bundle.sha256`; until then there is only a logged
model that is not READY. So whatever is killed half-way is found again by that tag, finished by the next attempt, and never doubled.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from neocog.core import atomic
from neocog.core.errors import NeocogError, UserError, nearest
from neocog.tracking import address
from neocog.tracking.store import DIGEST, Store

CHAMPION, PREVIOUS = "champion", "previous"
TIMEOUT = 60.0  # s a request
_FILE = "sqlite:///"
_FOLDER = Path(".neocog") / "registry"
_ALREADY, _GONE, _WRONG = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"


class Registry(Store):
    """The registry beside the runs of a tracking store. Used within `opened()`."""

    def commit_of(self, digest: str) -> str | None:
        """The git commit that stood there when the bundle was made, as its run is tagged."""
        run_id = self.run_of(digest)
        return self.client.get_run(run_id).data.tags.get("git.commit") if run_id else None

    def version(self, name: str, digest: str) -> str | None:
        """The version of the model `name` that holds the bundle, the first if there are several."""
        found = self._versions(name, digest)
        return str(found[0].version) if found else None

    def log_model(
        self, experiment: str, digest: str, *, run_id: str | None, tags: Mapping[str, str], write: Callable
    ) -> str:
        """The id of a READY logged model of the bundle: one that is there, or what a killed attempt left, filled again, or a new one.

        write: writes the model's folder, given that folder, `model_id` and `location`.
        """
        where = self.experiment(experiment)
        found = self.client.search_logged_models([where], f"tags.`{DIGEST}` = '{digest}'")
        for each in found:
            if each.status == "READY":
                return each.model_id
        name = tags["model"].replace("/", "-")
        tags = {**tags, DIGEST: digest}
        model = found[0] if found else self.client.create_logged_model(where, name, run_id, tags=tags)
        with tempfile.TemporaryDirectory(prefix="neocog-") as folder:
            write(Path(folder), model_id=model.model_id, location=model.artifact_location)
            self.client.log_model_artifacts(model.model_id, folder)
        if run_id and model.model_id not in self._made_by(run_id):  # a killed attempt may have got as far as here
            self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        self.client.finalize_logged_model(model.model_id, "READY")
        return model.model_id

    def publish(self, name: str, digest: str, *, model_id: str, run_id: str | None, tags: Mapping[str, str]) -> str:
        """A version of the registered model `name`, made where needed. Where another machine was as quick, the first one stays."""
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != _ALREADY:
                raise
        tags = {**tags, DIGEST: digest}
        own = self.client.create_model_version(name, f"models:/{model_id}", run_id, tags=tags, model_id=model_id)
        first = self._versions(name, digest)[0]
        if str(first.version) != str(own.version):
            self.client.delete_model_version(name, str(own.version))
        else:  # what the page of the logged model shows
            versions = json.dumps([{"name": name, "version": int(own.version)}])
            self.client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
        return str(first.version)

    def set_champion_alias(self, name: str, version: str) -> str | None:
        """Let @champion be `version`, and @previous what it was. Returns the version that was champion before, None without one.

        Where another machine sets an alias in the same moment, MLflow's database refuses one of the two; that one looks again.
        """
        before = self._aliases(name).get(CHAMPION)
        try:
            self._set_champion_alias(name, version, before=before)
        except MlflowException:
            self._set_champion_alias(name, version, before=self._aliases(name).get(CHAMPION))
        return before

    def named(self, name: str, which: str) -> ModelVersion:
        """The version `which` (/3, or @champion) of the model `name`. Raises UserError, with what there is, when it is none."""
        try:
            if which.startswith("@"):
                return self.client.get_model_version_by_alias(name, which[1:])
            return self.client.get_model_version(name, which[1:])
        except MlflowException as error:
            if error.error_code not in (_WRONG, _GONE):
                raise
            raise UserError(f"models:/{name}{which} is not registered; {self._there(name, which)}") from None

    def download(self, version: ModelVersion) -> Path:
        """The folder of a version's model: where it is, if that is a folder of this machine, else a copy of it."""
        source = self.client.get_model_version_download_uri(version.name, version.version)
        if source.startswith("file://") or "://" not in source:
            return Path(download_artifacts(artifact_uri=source, tracking_uri=self.uri))
        kept = self.root / _FOLDER / f"{version.name}-{version.version}"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        return Path(download_artifacts(artifact_uri=source, dst_path=str(kept), tracking_uri=self.uri))

    def _there(self, name: str, which: str) -> str:
        names = [each.name for each in self.client.search_registered_models()]
        if not names:
            return "no model is; `neocog register` makes one"
        if name not in names:
            return nearest(name, names)
        versions = [f"/{each.version}" for each in self.client.search_model_versions(f"name = '{name}'")]
        return nearest(which, [*(f"@{alias}" for alias in self.client.get_registered_model(name).aliases), *versions])

    def _set_champion_alias(self, name: str, version: str, *, before: str | None) -> None:
        if before == version:
            return
        if before is not None:
            self.client.set_registered_model_alias(name, PREVIOUS, before)
        self.client.set_registered_model_alias(name, CHAMPION, version)

    def _aliases(self, name: str) -> dict[str, str]:
        return {alias: str(each) for alias, each in self.client.get_registered_model(name).aliases.items()}

    def _made_by(self, run_id: str) -> list[str]:
        outputs = self.client.get_run(run_id).outputs
        return [each.model_id for each in outputs.model_outputs] if outputs else []

    def _versions(self, name: str, digest: str) -> list[ModelVersion]:
        found = self.client.search_model_versions(f"name = '{name}' and tags.`{DIGEST}` = '{digest}'")
        return sorted(found, key=lambda each: int(each.version))


@contextmanager
def opened(*, alone: bool = False) -> Iterator[Registry]:
    """The registry of this project; `alone`: one process of this project at a time. Raises NeocogError when it does not answer."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes
    root, uri = address.home(), _where()
    try:
        address.knock(uri, seconds=10.0)
        registry = Registry(uri, root)
        with (
            atomic.lock(root / ".neocog" / "register.lock") if alone else nullcontext(),
            _global(registry.uri),
            registry.open(TIMEOUT),
        ):
            yield registry
    except (OSError, MlflowException) as error:
        if isinstance(error, MlflowException) and error.error_code in (_WRONG, _GONE):
            raise UserError(f"MLflow at {uri}: {address.one_line(error)}") from error
        raise NeocogError(
            f"the model registry at {uri} fails ({address.one_line(error)}); run the same again when it answers"
        ) from error


def fetch(name: str, which: str) -> tuple[Path, str]:
    """The folder of the model `name` that `which` stands for (`@alias`, or `/version`), and the digest that its bundle should have.

    Raises UserError when there is none; a database that is not there is not made.
    """
    uri = _where()
    path = uri.removeprefix(_FILE)
    if path != uri and not Path(path).is_file():
        raise UserError(
            f"no model is registered here: no {path}; `neocog register` makes it, or set MLFLOW_TRACKING_URI"
        )
    with opened() as registry:
        version = registry.named(name, which)
        return registry.download(version), version.tags.get(DIGEST, "")


def _where() -> str:
    """The store's place; a database beside the project is there wherever this process is."""
    uri = address.place(address.configured())
    path = uri.removeprefix(_FILE)
    return uri if path == uri else address.sqlite(address.home() / path)


@contextmanager
def _global(uri: str) -> Iterator[None]:
    """MLflow's SQL registry looks up the logged model of a new version wherever this process's environment points."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        os.environ.pop("MLFLOW_TRACKING_URI")
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before
