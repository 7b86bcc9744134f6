"""Run trials with Ray Tune: it asks for values, trains, stops the poor ones; each result is kept trial by trial.

A sweep that was cut off is not restored from Ray's own state, which a kill can leave torn: the same command asks for the same trials
again, those that had ended answer from their record, and the others go on after their last epoch.
"""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from neocog.core.errors import NeocogError
from neocog.tuning.callbacks import Listener, RecordTrials
from neocog.tuning.cluster import slots_for
from neocog.tuning.schedule import PAUSING, STOPPING, scheduler
from neocog.tuning.space import Method, Scheduler, Space, grid
from neocog.tuning.suggest import Suggest, study
from neocog.tuning.trial import Job, run
from neocog.tuning.trials import Trial, TrialStore

RETRIES = 5  # workers or machines that a trial may lose


def search(
    job: Job,
    space: Space,
    *,
    trials: int,
    seed: int,
    defaults: Mapping[str, Any] | None = None,
    points: Sequence[Mapping[str, Any]] = (),
    searcher: Method = "random",
    schedule: Scheduler = "none",
    listeners: Sequence[Listener] = (),
) -> list[Trial]:
    """Run the trials of `job`, each for at most `job.recipe.epochs` epochs; all of them, by number. Ray must be connected.

    Trial 0 has the `defaults`, unless `points` name the values of all. Raises NeocogError when every trial failed.
    """
    from ray import tune

    _quiet()
    store = TrialStore(job.storage)
    store.remove("ray")  # what Ray kept of an earlier start
    epochs = job.recipe.epochs
    job = replace(job, hands_over=schedule in PAUSING)
    if not points and searcher == "grid":
        points = [defaults or {}, *grid(space)]
    asked = Suggest(
        space,
        defaults=defaults or {},
        trials=trials,
        seed=seed,
        metric=job.metric,
        store=store,
        points=points,
        study=study(searcher, seed=seed) if searcher.startswith("optuna") else None,
    )
    record = RecordTrials(store, job, stops=schedule in STOPPING, listeners=listeners)
    resources: dict[str, float] = (
        {"cpu": job.cpus, "gpu": job.gpus, **(job.custom or {})} if job.processes == 1 else {"cpu": 0, "memory": 1}
    )
    every_at_once = schedule == "pbt"
    tune.run(
        tune.with_parameters(run, job=job),
        name="ray",
        storage_path=job.storage,
        config=_all(asked, space) if every_at_once else {},
        search_alg=None if every_at_once else asked,
        num_samples=1 if every_at_once else trials,
        scheduler=scheduler(schedule, space, metric=job.metric, epochs=epochs, seed=seed),
        resources_per_trial=resources,
        max_concurrent_trials=None if schedule in PAUSING else job.at_once or _fitting(job),
        max_failures=RETRIES,
        raise_on_failed_trial=False,
        reuse_actors=True,
        trial_name_creator=_name,
        trial_dirname_creator=_name,
        callbacks=[record],
        verbose=0,
        _remote=False,  # through a Ray Client too the driver stays here, where its records are
    )
    found = list(store.trials())
    if cut_off := [trial.name for trial in found if not trial.ended]:
        raise NeocogError(
            f"tune@{job.block}: the sweep was cut off before trial {', '.join(cut_off)} ended; the same command continues it"
        )
    if not any(trial.rows and trial.status != "failed" for trial in found):
        why = next((trial.error for trial in found if trial.error), "none of them began")
        raise NeocogError(f"tune@{job.block}: all {len(found)} trials failed: {why}")
    return found


def _all(asked: Suggest, space: Space) -> dict[str, Any]:
    """All trials at once, for population-based training, which asks nobody."""
    from ray import tune

    values = [asked.number(number) for number in range(asked.trials)]
    looked_up = {key: tune.sample_from(partial(_value, values, key)) for key in space}
    return {"trial": tune.grid_search(list(range(asked.trials))), **looked_up}


def _fitting(job: Job) -> int:
    """How many trials fit now. Were Tune not told, it would start a trial's worker, with all its imports, when the one before has begun."""
    one = {"CPU": job.cpus, "GPU": job.gpus, **(job.custom or {})}
    return max(1, slots_for(one) // job.processes)


def _value(values: Sequence[Mapping[str, Any]], key: str, config: Mapping[str, Any]) -> Any:
    return values[config["trial"]][key]


def _name(trial: Any) -> str:
    return f"{trial.config['trial']:03d}"


def _quiet() -> None:
    """Ray Tune's tables and advice stay away: one line a trial says what matters."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "1000000"  # of its own state, which nobody reads
    for name in ("ray.tune", "ray.train", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"ray")
