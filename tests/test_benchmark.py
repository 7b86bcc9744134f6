"""Timing: models take turns, the numbers are those of the clock, and the stage writes a row for every architecture."""

import csv
import time

import numpy as np
import pytest
import tiny

from neocog.core.errors import UserError
from neocog.evaluation import latency
from pipelines import benchmark

IMAGES = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(4, axis=1)


def sleeper(seconds: float, calls: list[str], name: str):
    """A model that takes so long for each image, and writes its name down."""

    def predict(images):
        calls.append(name)
        time.sleep(seconds * len(images))

    return predict


def test_a_slower_model_is_found_slower_by_as_much_as_it_is():
    calls: list[str] = []
    models = {name: sleeper(seconds, calls, name) for name, seconds in (("quick", 0.001), ("slow", 0.004))}
    speeds = latency.measure(models, IMAGES, rounds=3, batch_size=8, seed=0)
    quick, slow = speeds["quick"], speeds["slow"]
    assert 1 <= quick.latency_ms_p50 <= quick.latency_ms_p95
    assert quick.latency_ms_p50 < slow.latency_ms_p50 <= slow.latency_ms_p95
    assert slow.latency_ms_p50 >= 4
    assert 0 < slow.throughput_ips <= 250  # what it sleeps; a busy machine only makes it less
    assert "images/s in batches" in str(slow)


def test_models_take_turns_in_changing_order_and_each_has_the_same_calls():
    calls: list[str] = []
    models = {name: sleeper(0, calls, name) for name in "abc"}
    rounds = []
    latency.measure(models, IMAGES, rounds=8, batch_size=2, seed=0, on_round=lambda: rounds.append(len(calls)))
    each = latency.CALLS + 2  # one that is not timed, the single ones, one batch
    assert rounds == [3 + 3 * each * (i + 1) for i in range(8)]
    turns = ["".join(calls[end - 3 * each : end : each]) for end in rounds]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in turns)
    assert len(set(turns)) > 1


@pytest.mark.slow
def test_the_stage_writes_a_row_for_every_architecture_and_counts_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.project(tmp_path))
    benchmark.benchmark()
    with (tmp_path / "reports" / "benchmark.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["trained/perceptron", "trained/mlp"]
    assert int(rows["trained/perceptron"]["params"]) == 650
    assert int(rows["trained/perceptron"]["macs"]) == 640
    assert int(rows["trained/mlp"]["macs"]) == 64 * 32 + 32 * 10
    for row in rows.values():
        assert 0 < float(row["latency_ms_p50"]) <= float(row["latency_ms_p95"])
        assert float(row["throughput_ips"]) > 0


def test_a_missing_bundle_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.project(tmp_path, architectures=("perceptron", "mlp", "lenet")))
    with pytest.raises(UserError, match=r"models.trained.lenet is not a bundle"):
        benchmark.benchmark()
    assert not (tmp_path / "reports" / "benchmark.csv").exists()
