"""Train one trial in a Ray Tune worker, which takes one after the other in the same process."""

import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from ray import tune

from neocog import architectures
from neocog.core.errors import NeocogError
from neocog.data import prepared
from neocog.tasks import task as tasks
from neocog.training import checkpoint
from neocog.training.fit import Fitted, fit
from neocog.training.recipe import KEYS, Recipe
from neocog.tuning.trials import Trial, TrialStore


@dataclass(frozen=True)
class Job:
    """What all trials of a sweep have in common; it travels to every worker. Paths are absolute.

    `block` is its name in params.yaml; `metric` is wanted high; `driver` names the process that runs the sweep now; with `hands_over`
    the scheduler gives a trial's checkpoint to another one; `processes` train one trial together, each with `cpus`, `gpus` and the
    `custom` resources; `at_once` run beside each other (0: as many as fit when the sweep begins).
    """

    block: str
    architecture: str
    recipe: Recipe
    sizes: Mapping[str, Any]
    data: str
    digest: str
    metric: str
    storage: str
    driver: str
    hands_over: bool = False
    processes: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    custom: Mapping[str, float] | None = None
    at_once: int = 0

    def settings(self, values: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
        """The recipe and the sizes with a trial's values in them. Raises UserError where these do not go together."""
        own = {key: value for key, value in values.items() if key in KEYS}
        threads = self.recipe.threads or max(1, int(self.cpus))
        sizes = dict(self.sizes) | {key: value for key, value in values.items() if key not in own}
        return replace(self.recipe, threads=threads, **own), sizes


def job(
    architecture: str,
    recipe: Recipe,
    sizes: Mapping[str, Any],
    data: prepared.Prepared,
    *,
    name: str,
    block: str | None = None,
    storage_path: str | None = None,
    trials_at_once: int = 0,
    processes_per_trial: int = 1,
    cpus_per_trial: float = 1.0,
    gpus_per_trial: float = 0.0,
    resources_per_trial: Mapping[str, float] | None = None,
) -> Job:
    """The job of a sweep called `name`; `block` (None: named as the architecture) is its block in params.yaml, the others keys of `ray`."""
    storage = f"{storage_path.rstrip('/')}/{name}" if storage_path else str(Path(".neocog/tuning").resolve() / name)
    return Job(
        block=block or architecture,
        architecture=architecture,
        recipe=recipe,
        sizes=dict(sizes),
        data=str(data.folder.resolve()),
        digest=data.digest,
        metric=f"val/{tasks.task(data.task).primary.name}",
        storage=storage,
        driver=uuid.uuid4().hex,
        processes=processes_per_trial,
        cpus=cpus_per_trial,
        gpus=gpus_per_trial,
        custom=dict(resources_per_trial or {}),
        at_once=trials_at_once,
    )


def run(config: Mapping[str, Any], job: Job) -> None:
    """Train one trial, reporting each epoch to Ray Tune.

    What had ended before is reported from its record, without training. An error of the training ends the trial as failed; when its
    worker is killed, Ray starts it again and it goes on after its last epoch.
    """
    name = str(tune.get_context().get_trial_name())
    store = TrialStore(job.storage)
    known = store.read(name) or Trial(int(name), {}, 0)
    report = Reporter(job, name, reported=known.reported if known.driver == job.driver else 0)
    if known.ended:
        for row in known.rows:
            report.epoch(row, known.seconds, row is known.rows[-1] and known.status == "finished")
        if known.status == "failed":
            report.failure(known.error)
        return
    values = {key: value for key, value in config.items() if key != "trial"}
    with tempfile.TemporaryDirectory() as here:
        report.work = store.work(name, here=Path(here))
        if job.hands_over:
            _take_over(report.work)
        try:
            if job.processes > 1:
                from neocog.tuning.distributed_trial import train_distributed

                train_distributed(values, job, name=name, reported=report.reported)
            else:
                train(values, job, work=report.work, report=report)
        except NeocogError as error:
            report.failure(str(error))
        except Exception as error:
            report.failure(f"{type(error).__name__}: {error}")


class Reporter:
    """Tells Ray Tune of one trial what it has not `reported` yet, after the trial's checkpoint in `work` is safe."""

    def __init__(self, job: Job, name: str, *, reported: int) -> None:
        self.job, self.name, self.reported = job, name, reported
        self.work: Path | None = None
        self.effective: dict[str, Any] = {}

    def params(self, values: Mapping[str, object]) -> None:
        """What the optimizer really holds; it travels with the next epoch."""
        self.effective = dict(values)

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """An epoch is told when its checkpoint is safe, by `epoch`."""

    def epoch(self, row: Mapping[str, float], seconds: float, last: bool) -> None:
        """One row of the history."""
        if row["epoch"] <= self.reported:
            return
        self.reported = int(row["epoch"])
        if self.work:
            TrialStore(self.job.storage).keep(self.name, self.work)
        self.send({**row, "seconds": seconds, "last": last, "effective": self.effective})

    def failure(self, why: str) -> None:
        """The training ended by an error."""
        self.send({"epoch": self.reported + 1, self.job.metric: 0.0, "error": why})

    def send(self, result: dict[str, Any]) -> None:
        """Send `result` to Ray Tune, with the checkpoint where the scheduler hands it over."""
        newest = checkpoint.latest(self.work) if self.work and self.job.hands_over else None
        if newest is None:
            tune.report(result)
            return
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy2(newest, folder)
            tune.report(result, checkpoint=tune.Checkpoint.from_directory(folder))


def train(
    values: Mapping[str, Any],
    job: Job,
    *,
    work: Path,
    report: Reporter | None = None,
    trainer: Mapping[str, Any] | None = None,
) -> Fitted:
    """One training with a trial's values, in `work`. `report` hears of every epoch, also of those trained before."""
    data = _data(job.data, job.digest)
    recipe, sizes = job.settings(values)
    last = checkpoint.latest(work)
    if last and report:
        before = checkpoint.load(last)["callbacks"]["epochs"]
        for row in before["history"]:
            report.epoch(row, before["seconds"], before["finished"] and row is before["history"][-1])
    data = data.normalized(architectures.normalization(job.architecture, sizes, channels=data.channels))
    shape: dict[str, Any] = {"channels": data.channels, "size": data.size, "classes": len(data.classes)}
    return fit(
        partial(architectures.build, job.architecture, **shape, sizes=sizes),
        data,
        recipe,
        name=f"{job.block} {work.name}",
        work=work,
        run=report,
        on_epoch=report.epoch if report else None,
        trainer=trainer,
    )


@cache
def _data(folder: str, digest: str) -> prepared.Prepared:
    """The prepared data, opened once a process; the images are mapped into memory, never copied for a trial."""
    data = prepared.read(folder)
    if data.digest != digest:
        raise NeocogError(f"{folder} holds other data ({data.digest[:12]}) than the sweep began with ({digest[:12]})")
    return data


def _take_over(work: Path) -> None:
    """Go on from the checkpoint that Tune hands over, which may be another trial's."""
    given = tune.get_checkpoint()
    if given is None:
        return
    with given.as_directory() as folder:
        newest = checkpoint.latest(Path(folder))
        own = checkpoint.found(work)
        if newest and newest.name not in {path.name for path in own}:
            checkpoint.write(work / newest.name, newest.read_bytes())
            for path in own:
                path.unlink()
