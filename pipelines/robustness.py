"""Stage `robustness`: every bundle on the same test images, corrupted in 15 ways of growing severity (ImageNet-C)."""

import json
import math
import sys
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import Progress

from neocog import tracking
from neocog.bundle import read
from neocog.core import image_size
from neocog.core.errors import run
from neocog.data import prepared
from neocog.evaluation import mce, predictions
from neocog.evaluation import robustness as corruption
from neocog.params import load
from neocog.tasks.task import task as task_named

REPORTS = Path("reports")
SLOW = 120.0  # seconds, from which on it is said how long it takes


def robustness() -> None:
    """Judge every bundle under every corruption; writes reports/robustness.csv and reports/robustness.json."""
    settings = load.for_stage("robustness")
    how = settings.robustness
    data = prepared.read("data/prepared")
    bundles = [read.read(folder) for folder in settings.models]
    for bundle in bundles:
        predictions.match(bundle, data)
    baseline = mce.choose_baseline(how.baseline, [bundle.model for bundle in bundles])
    with tracking.start(
        "robustness",
        experiment=settings.tracking.experiment,
        tags={"data.digest": data.digest},
        config=settings.resolved(),
        resume=tracking.memory("robustness"),
    ) as log:
        log.dataset(name=data.name, digest=data.digest, source="data/prepared", context="test")
        px = image_size.format_size(data.size)
        count = corruption.count(how.images, size=data.size, megapixels=how.megapixels)
        wanted = min(how.images, data.num_images("test"))
        if count < wanted:
            print(
                f"robustness: {count:,} of {wanted:,} test images of {px} px, which are {how.megapixels:g} megapixels; "
                f"robustness.megapixels: {math.ceil(wanted * math.prod(data.size) / 1e6)} takes them all",
                flush=True,
            )
        test = data.split("test", limit=count)
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal) as progress:
            task, began, done = progress.add_task("robustness", total=1), perf_counter(), [0.0]

            def on_part(part: float) -> None:
                progress.advance(task, part)
                done.append(done[-1] + part)
                seconds = (perf_counter() - began) / done[-1]
                if len(done) == 2 + len(bundles) and seconds > SLOW:  # once, after the first corruptions
                    print(
                        f"robustness: about {seconds / 60:.0f} min for {len(test.targets):,} images of {px} px; "
                        f"robustness.images: {max(1, round(len(test.targets) * SLOW / seconds))} takes {SLOW / 60:.0f}",
                        flush=True,
                    )

            rows = corruption.measure(
                bundles,
                test.images,
                test.targets,
                severities=how.severities,
                seed=how.seed,
                on_part=on_part,
            )
        REPORTS.mkdir(exist_ok=True)
        metric = task_named(data.task).primary
        found = mce.summary(rows, metric, baseline=baseline)
        corruption.write(REPORTS / "robustness.csv", rows, metric)
        content = {"baseline": baseline, "images": len(test.targets), "models": found}
        (REPORTS / "robustness.json").write_text(json.dumps(content, indent=2) + "\n")
        for model, scores in found.items():
            log.metrics({f"robustness/{model.replace('/', '.')}/{name}": value for name, value in scores.items()})
            print(f"{model}: {mce.sentence(scores, metric, baseline=baseline)}")
        for name in ("robustness.csv", "robustness.json"):
            log.artifact(REPORTS / name)


if __name__ == "__main__":
    run(robustness, sys.argv[1:])
