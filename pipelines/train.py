"""Stage `train@<name>`: one block of `architectures`, from params to bundle; several times with `seeds: k`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog import architectures, tracking
from neocog.architectures.pretrained import digest
from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core import resume_state
from neocog.data import prepared
from neocog.data.prepared import Prepared
from neocog.orchestration.forked_stage import run
from neocog.params import load
from neocog.training.recipe import Recipe
from pipelines.item import arguments

if TYPE_CHECKING:
    from neocog.training.fit import Fitted

FINISHED = "finished"  # beside the bundle of a further seed: a training that is taken up again does not train it again


def train(name: str) -> None:
    """Train the block `name` as params.yaml says; writes models/trained/<name> and its history under reports/."""
    settings = load.for_stage(f"train@{name}")
    architecture, recipe, sizes = settings.architecture(name), settings.recipe(name), settings.sizes(name)
    data = prepared.read("data/prepared")
    recipe.check_images(data.num_images("train"))
    data = data.normalized(architectures.normalization(architecture, sizes, channels=data.channels))
    first, *further = (
        Training(name, architecture, replace(recipe, seed=seed), sizes, data, settings.tracking.experiment)
        for seed in settings.seeds(name)
    )
    with first.logged(f"train@{name}") as log:
        fitted = first.fit(log, name=name)
        for each in further:
            if not (each.work / FINISHED).exists():
                each.aside(log)
        if not fitted.is_writer:
            return
        bundle = first.keep(Path("models/trained") / name, fitted, log)
        for each in further:
            shutil.copytree(each.work / "bundle", bundle.folder / read.SEEDS / str(each.recipe.seed))
        first.report(Path("reports/trained") / name, fitted, log)
    for each in (first, *further):
        each.discard()


@dataclass(frozen=True)
class Training:
    """A block's network with one recipe, and so with one seed. Its methods import torch, after all that can be wrong cheaply."""

    name: str
    architecture: str
    recipe: Recipe
    sizes: dict[str, Any]
    data: Prepared
    experiment: str

    @property
    def resolved(self) -> dict[str, Any]:
        return {"train": self.recipe.asdict(), "architecture": {"name": self.architecture, **self.sizes}}

    @cached_property
    def code(self) -> str:
        from neocog.bundle import provenance

        return provenance.code_digest(self.architecture, task=self.data.task)

    @cached_property
    def work(self) -> Path:
        """Where it leaves what it needs to be continued."""
        from neocog.training.fit import key

        named = key(data=self.data.digest, code=self.code, **self.resolved, **digest.of_file(self.sizes))
        return Path(".neocog/training") / f"{self.name}-{named}"

    @contextmanager
    def logged(self, name: str, *, parent: str | None = None) -> Iterator[tracking.Run]:
        """The run of this training, a new one or the one in which it was cut off; raises Busy while another process is at it."""
        from neocog.training.fit import claim

        with (
            claim(self.work, self.name),
            tracking.start(
                name,
                experiment=self.experiment,
                tags={"architecture": self.architecture, "data.digest": self.data.digest},
                config=self.resolved,
                resume=self.work / "run.json",
                parent=parent,
            ) as log,
        ):
            sizes = {f"{self.architecture}.{name}": value for name, value in self.sizes.items()}
            log.params(self.recipe.asdict() | sizes)
            log.dataset(name=self.data.name, digest=self.data.digest, source="data/prepared", context="train")
            yield log

    def fit(self, log: tracking.Run, *, name: str) -> "Fitted":
        """Train, or go on where it was cut off; `name` is how its lines begin."""
        from neocog.training.fit import fit

        about: dict[str, Any] = {
            "channels": self.data.channels,
            "size": self.data.size,
            "classes": len(self.data.classes),
        }
        build = partial(architectures.build, self.architecture, **about, sizes=self.sizes)
        return fit(build, self.data, self.recipe, name=name, work=self.work, run=log)

    def keep(self, folder: Path, fitted: "Fitted", log: tracking.Run) -> Bundle:
        """Make the bundle in `folder`."""
        from neocog.bundle import provenance, write

        bundle = write.write(
            folder,
            fitted.model,
            self.data,
            kind="trained",
            name=self.name,
            architecture=self.architecture,
            sizes=self.sizes,
            provenance=provenance.provenance(
                fitted, data_digest=self.data.digest, params=self.resolved, code_digest=self.code
            ),
        )
        log.tags({"bundle.sha256": read.digest(bundle.folder)})
        log.artifact(bundle.folder, folder="bundle")
        return bundle

    def report(self, folder: Path, fitted: "Fitted", log: tracking.Run) -> None:
        """Write its history in `folder`."""
        from neocog.training import history

        history.write(folder, fitted)
        log.metrics(history.totals(fitted), step=len(fitted.history))
        log.artifact(folder / "history.csv")

    def aside(self, parent: tracking.Run) -> None:
        """Train in a run below `parent`; the bundle waits where the training worked, for those of the other seeds."""
        with self.logged(f"train@{self.name}/seed-{self.recipe.seed}", parent=parent.id) as log:
            fitted = self.fit(log, name=f"{self.name} seed {self.recipe.seed}")
            if fitted.is_writer:
                self.keep(self.work / "bundle", fitted, log)
                self.report(self.work / "reports", fitted, log)
        if fitted.is_writer:
            (self.work / FINISHED).touch()

    def discard(self) -> None:
        """Remove what it needed to be continued."""
        resume_state.remove(self.work)


if __name__ == "__main__":
    run(train, arguments())
