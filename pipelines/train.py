"""Stage `train@<architecture>`: one architecture on the prepared data, from params to bundle."""

import csv
import json
import sys
from pathlib import Path

from neocog import architectures, tracking
from neocog.data import prepared
from neocog.errors import UserError, run
from pipelines import params

PARITY_IMAGES = 1024


def train(architecture: str) -> None:
    """Train `architecture` as params.yaml says; writes models/trained/<architecture> and its history under reports/."""
    settings = params.for_stage(f"train@{architecture}")
    recipe, sizes = settings.recipe(architecture), settings.sizes(architecture)
    data = prepared.read("data/prepared")
    if data.task != "classification":
        raise UserError(f"data/prepared: task (={data.task!r}) is not one that `train` knows; known: classification")

    from neocog.bundle import provenance, read, write
    from neocog.training.fit import discard, fit, key

    resolved = {"train": recipe.asdict(), "architecture": {"name": architecture, **sizes}}
    code = provenance.code_digest(architecture)
    work = Path(".neocog/training") / f"{architecture}-{key(data=data.digest, code=code, **resolved)}"
    with tracking.start(
        f"train@{architecture}",
        experiment=settings.tracking.experiment,
        tags={"architecture": architecture, "data.digest": data.digest},
        config=resolved,
        resume=work / "run.json",
    ) as log:
        log.params(recipe.asdict() | {f"{architecture}.{name}": value for name, value in sizes.items()})
        log.dataset(name=data.name, digest=data.digest, source="data/prepared", context="training")
        fitted = fit(
            lambda: architectures.build(
                architecture, channels=data.channels, size=data.size, classes=len(data.classes), sizes=sizes
            ),
            data,
            recipe,
            name=architecture,
            work=work,
            run=log,
        )
        if not fitted.is_writer:
            return
        bundle = write.write(
            Path("models/trained") / architecture,
            fitted.model,
            kind="trained",
            name=architecture,
            architecture=architecture,
            year=architectures.card(architecture).year,
            task=data.task,
            classes=data.classes,
            size=data.size,
            mean=data.mean,
            std=data.std,
            build={"sizes": sizes},
            provenance=provenance.provenance(
                data_digest=data.digest, params=resolved, code_digest=code, seed=recipe.seed
            ),
            images=data.split("val").images[:PARITY_IMAGES],
        )
        reports = Path("reports/trained") / architecture
        reports.mkdir(parents=True, exist_ok=True)
        with (reports / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fitted.history[0])
            writer.writeheader()
            writer.writerows(fitted.history)
        kept = fitted.history[fitted.epoch - 1]
        summary = {
            "train/seconds": round(fitted.seconds, 2),
            "train/epochs": len(fitted.history),
            "train/images_per_second": round(fitted.images_per_second),
            "train/wait_share": round(fitted.wait_share, 4),
            "val/top1": kept["val/top1"],
            "val/loss": kept["val/loss"],
        }
        (reports / "training.json").write_text(json.dumps(summary, indent=2) + "\n")
        log.metrics({name: value for name, value in summary.items() if name not in kept}, step=len(fitted.history))
        log.tags({"bundle.sha256": read.digest(bundle.folder)})
        log.artifact(bundle.folder, folder="bundle")
        log.artifact(reports / "history.csv")
    discard(work)


if __name__ == "__main__":
    run(lambda: train(*sys.argv[1:]))
