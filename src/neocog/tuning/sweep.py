"""A sweep: many short trials, then the best of them trained in full, with several seeds if asked for."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neocog.core import resume_state
from neocog.tuning import trial as trials_work
from neocog.tuning.child_runs import Children
from neocog.tuning.cluster import cpus_for
from neocog.tuning.live_table import LiveTable
from neocog.tuning.search import search
from neocog.tuning.space import Method, Scheduler, Space
from neocog.tuning.trial import Job
from neocog.tuning.trials import Trial, TrialStore


@dataclass(frozen=True)
class Finalist:
    """A trial whose values were trained in full, once a seed: `runs` of `job`."""

    job: Job
    number: int
    values: Mapping[str, Any]
    runs: Sequence[Trial]
    scores: Sequence[float]

    @property
    def mean(self) -> float:
        """The mean score over the seeds."""
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds, None for one seed."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class SweepBudget:
    """What a sweep may spend: `trials` of at most `epochs` on `images` (None: all), then `finalists` x `seeds` trainings in full."""

    trials: int
    epochs: int
    images: int | None
    finalists: int
    seeds: int


def explore(
    job: Job,
    space: Space,
    budget: SweepBudget,
    *,
    searcher: Method,
    scheduler: Scheduler,
    seed: int,
    children: Callable[[str], Children],
) -> list[Trial]:
    """The trials, by number; 0 has today's settings."""
    images = job.recipe.images if budget.images is None else min(budget.images, job.recipe.images or budget.images)
    job = replace(job, recipe=replace(job.recipe, epochs=budget.epochs, images=images), storage=f"{job.storage}/trials")
    defaults = {key: value for key, value in {**job.sizes, **job.recipe.asdict()}.items() if key in space}
    name = f"tune@{job.block}"
    with (
        LiveTable(name, trials=budget.trials, epochs=budget.epochs, metric=job.metric) as live,
        children("trials") as logged,
    ):
        return search(
            job,
            space,
            defaults={key: defaults[key] for key in space},
            searcher=searcher,
            schedule=scheduler,
            trials=budget.trials,
            seed=seed,
            listeners=[logged, live],
        )


def confirm(
    job: Job, found: Sequence[Trial], budget: SweepBudget, *, children: Callable[[str], Children]
) -> list[Finalist]:
    """The best trials trained in full, best mean first; none of today's settings, which are trained already."""
    ranked = sorted(found, key=lambda trial: -trial.score(job.metric))[: budget.finalists]
    chosen = [trial for trial in ranked if trial.number and trial.status != "failed"]
    seeds = range(job.recipe.seed, job.recipe.seed + budget.seeds)
    points = [{**trial.values, "seed": seed} for trial in chosen for seed in seeds]
    if not points:
        return []
    job = replace(job, storage=f"{job.storage}/full")
    if not job.gpus and job.processes == 1:  # fewer trainings than trials: there are CPUs left
        job = replace(job, cpus=max(job.cpus, cpus_for(len(points))))
    name = f"tune@{job.block} in full"
    with (
        LiveTable(name, trials=len(points), epochs=job.recipe.epochs, metric=job.metric) as live,
        children("full") as logged,
    ):
        done = search(job, {}, points=points, trials=len(points), seed=0, listeners=[logged, live])
    finalists = []
    for index, trial in enumerate(chosen):
        runs = done[index * len(seeds) : (index + 1) * len(seeds)]
        finalists.append(Finalist(job, trial.number, trial.values, runs, [each.score(job.metric) for each in runs]))
    return sorted(finalists, key=lambda finalist: -finalist.mean)


def trained(finalist: Finalist, *, here: Path) -> trials_work.Fitted:
    """The finalist's training with its first seed, from its last checkpoint: nothing is trained here."""
    first = finalist.runs[0]
    return trials_work.train(
        first.values, finalist.job, work=TrialStore(finalist.job.storage).work(first.name, here=here)
    )


def remove(job: Job) -> None:
    """Remove the working files of a sweep whose result is safe."""
    store = TrialStore(job.storage)
    if store.local:
        resume_state.remove(Path(store.root))
    else:
        store.remove()
