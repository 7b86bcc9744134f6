"""Stage `benchmark`: every bundle timed in one process on one thread, and its size counted."""

import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from neocog import tracking
from neocog.bundle import read
from neocog.core import csv_table
from neocog.core.errors import run
from neocog.data import prepared
from neocog.evaluation import complexity, latency, predictions
from neocog.params import load

COLUMNS = ("model", "params", "macs", "size_bytes", "latency_ms_p50", "latency_ms_p95", "throughput_ips")


def benchmark() -> None:
    """Time and measure every bundle, trained and tuned; writes reports/benchmark.csv."""
    settings = load.for_stage("benchmark")
    how = settings.benchmark
    data = prepared.read("data/prepared")
    bundles = [read.read(folder) for folder in settings.models]
    for bundle in bundles:
        predictions.match(bundle, data)
    with tracking.start(
        "benchmark",
        experiment=settings.tracking.experiment,
        tags={"data.digest": data.digest},
        config=settings.resolved(),
        resume=tracking.memory("benchmark"),
    ) as log:
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("benchmark", total=how.rounds)
            speeds = latency.measure(
                {bundle.model: latency.predictor(bundle) for bundle in bundles},
                data.split("test").images,
                rounds=how.rounds,
                batch_size=how.batch_size,
                seed=how.seed,
                on_round=lambda: progress.advance(task),
            )
        path = Path("reports/benchmark.csv")
        path.parent.mkdir(exist_ok=True)
        rows = []
        for bundle in bundles:
            measured = complexity.count(bundle) | asdict(speeds[bundle.model])
            rows.append({"model": bundle.model} | measured)
            name = bundle.model.replace("/", ".")
            log.metrics({f"benchmark/{name}/{score}": value for score, value in measured.items()})
            print(f"{bundle.model}: {speeds[bundle.model]}")
        csv_table.write_dicts(path, COLUMNS, rows)
        log.artifact(path)


if __name__ == "__main__":
    run(benchmark, sys.argv[1:])
