"""Stage `train@<architecture>`: one architecture on the prepared data, from params to bundle."""

import sys
from functools import partial
from pathlib import Path

from neocog import architectures, tracking
from neocog.data import prepared
from neocog.errors import run
from pipelines import params


def train(architecture: str) -> None:
    """Train `architecture` as params.yaml says; writes models/trained/<architecture> and its history under reports/."""
    settings = params.for_stage(f"train@{architecture}")
    recipe, sizes = settings.recipe(architecture), settings.sizes(architecture)
    data = prepared.read("data/prepared")
    recipe.check_images(data.num_images("train"))

    from neocog.bundle import provenance, read, write  # torch from here on, after all that can be wrong cheaply
    from neocog.training import history
    from neocog.training.fit import claim, discard, fit, key

    resolved = {"train": recipe.asdict(), "architecture": {"name": architecture, **sizes}}
    code = provenance.code_digest(architecture)
    work = Path(".neocog/training") / f"{architecture}-{key(data=data.digest, code=code, **resolved)}"
    build = partial(
        architectures.build, architecture, channels=data.channels, size=data.size, classes=len(data.classes)
    )
    with (
        claim(work, architecture),
        tracking.start(
            f"train@{architecture}",
            experiment=settings.tracking.experiment,
            tags={"architecture": architecture, "data.digest": data.digest},
            config=resolved,
            resume=work / "run.json",
        ) as log,
    ):
        log.params(recipe.asdict() | {f"{architecture}.{name}": value for name, value in sizes.items()})
        log.dataset(name=data.name, digest=data.digest, source="data/prepared", context="train")
        fitted = fit(partial(build, sizes=sizes), data, recipe, name=architecture, work=work, run=log)
        if not fitted.is_writer:
            return
        bundle = write.write(
            Path("models/trained") / architecture,
            fitted.model,
            data,
            kind="trained",
            name=architecture,
            architecture=architecture,
            sizes=sizes,
            provenance=provenance.provenance(fitted, data_digest=data.digest, params=resolved, code_digest=code),
        )
        reports = Path("reports/trained") / architecture
        history.write(reports, fitted)
        log.metrics(history.summary(fitted), step=len(fitted.history))
        log.tags({"bundle.sha256": read.digest(bundle.folder)})
        log.artifact(bundle.folder, folder="bundle")
        log.artifact(reports / "history.csv")
    discard(work)


if __name__ == "__main__":
    run(train, sys.argv[1:])
