"""Sweeps with real Ray: every searcher and scheduler, failures, killed workers, lost machines."""

import signal
import uuid
from contextlib import suppress
from dataclasses import replace
from itertools import product

import psutil
import pytest
from pyarrow import fs
from waiting import ray_workers

from neocog.core.errors import NeocogError, UserError
from neocog.training import checkpoint
from neocog.training.recipe import Recipe
from neocog.tuning import cluster, trial
from neocog.tuning.search import search
from neocog.tuning.space import Method, Scheduler, space
from neocog.tuning.trials import Trial, TrialStore

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=3, optimizer="adamw", lr=0.005, flip=0.0, crop=0, label_smoothing=0.0)
SPACE = {"lr": {"log_uniform": [0.001, 0.05]}, "weight_decay": {"choice": [0.0, 0.01]}}
DEFAULTS = {"lr": 0.005, "weight_decay": 0.0}


@pytest.fixture(scope="module")
def ray_here():
    with cluster.connected("local"):
        yield


def job(digits, place, *, epochs=3, architecture="lenet", **other) -> trial.Job:
    recipe = replace(RECIPE, epochs=epochs)
    return replace(trial.job(architecture, recipe, {}, digits, name="x"), storage=str(place), **other)


def run(one: trial.Job, *, sides=SPACE, trials=4, **how) -> list[Trial]:
    return search(one, space(sides, where="tune.space.lenet"), defaults=DEFAULTS, trials=trials, seed=0, **how)


class Heard:
    """A listener that remembers."""

    def __init__(self, on_epoch=None):
        self.began_, self.rows, self.ended_, self.on_epoch = [], [], [], on_epoch

    def began(self, one):
        self.began_.append(one.number)

    def epoch(self, one):
        self.rows.append((one.number, len(one.rows)))
        if self.on_epoch:
            self.on_epoch(one)

    def ended(self, one):
        self.ended_.append((one.number, one.status))


def told(found: list[Trial]) -> list[tuple]:
    """What must not depend on how often something was killed."""
    return [(each.number, each.values, each.status, each.rows) for each in found]


def test_a_sweep_holds_its_values_and_tells_each_epoch_once(digits, tmp_path, ray_here):
    heard = Heard()
    found = run(job(digits, tmp_path / "place"), listeners=[heard])
    assert [each.number for each in found] == [0, 1, 2, 3]
    assert found[0].values == DEFAULTS
    assert len({each.values["lr"] for each in found}) == 4
    for each in found:
        assert each.status == "finished" and [row["epoch"] for row in each.rows] == [1, 2, 3]
        assert each.effective["optimizer.lr"] == each.values["lr"]
        assert each.effective["optimizer.weight_decay"] == each.values["weight_decay"]
    assert sorted(heard.rows) == sorted(product(range(4), (1, 2, 3)))
    assert sorted(heard.ended_) == [(number, "finished") for number in range(4)]
    again = Heard()
    assert told(run(job(digits, tmp_path / "place"), listeners=[again])) == told(found), "answered from the record"
    assert again.rows == [] and again.began_ == []


@pytest.mark.parametrize("scheduler", Scheduler.__args__)
def test_every_scheduler_runs_every_trial_to_an_end(digits, tmp_path, ray_here, scheduler):
    found = run(job(digits, tmp_path, epochs=4, at_once=1), trials=5, schedule=scheduler)  # one worker imports torch
    assert len(found) == 5 and all(each.status in ("finished", "stopped") for each in found)
    assert any(each.status == "finished" for each in found)
    stopped = sum(each.status == "stopped" for each in found)
    assert stopped > 0 if scheduler in ("asha", "hyperband") else stopped == 0 or scheduler == "median"


@pytest.mark.parametrize("searcher", Method.__args__)
def test_every_searcher_begins_with_the_defaults_and_stays_inside(digits, tmp_path, ray_here, searcher):
    sides = {"lr": {"choice": [0.002, 0.01, 0.03]}} if searcher == "grid" else SPACE
    if searcher == "optuna-cmaes":
        sides = {"lr": SPACE["lr"], "momentum": {"uniform": [0.1, 0.9]}}
    found = search(
        job(digits, tmp_path, epochs=1, at_once=1),
        space(sides, where="x"),
        defaults={key: {"lr": 0.005, "weight_decay": 0.0, "momentum": 0.9}[key] for key in sides},
        searcher=searcher,
        trials=4,
        seed=0,
    )
    assert len(found) == 4 and found[0].values["lr"] == 0.005
    inside = space(sides, where="x")
    assert all(dimension.contains(each.values[key]) for each in found[1:] for key, dimension in inside.items())
    assert len({each.values["lr"] for each in found}) == 4


def test_a_trial_that_fails_says_why_and_spares_the_others(digits, tmp_path, ray_here):
    sides = {"lr": {"choice": [1e30, 0.01]}}
    heard = Heard()
    found = search(
        job(digits, tmp_path, at_once=1),
        space(sides, where="x"),
        points=[{"lr": 1e30}, {"lr": 0.01}],
        trials=2,
        seed=0,
        listeners=[heard],
    )
    assert [each.status for each in found] == ["failed", "finished"]
    assert "training diverged" in found[0].error
    assert found[0].score("val/top1") == float("-inf")
    with pytest.raises(NeocogError, match="all 1 trials failed: training diverged"):
        search(job(digits, tmp_path / "b"), space(sides, where="x"), points=[{"lr": 1e30}], trials=1, seed=0)


def test_population_based_training_goes_on_with_the_changed_values(digits, tmp_path, ray_here):
    """What a trial holds in the end is what it was told last, though its weights and its checkpoint were another's."""
    sides = {"lr": {"log_uniform": [0.00001, 0.05]}}
    points = [{"lr": lr} for lr in (0.00001, 0.00002, 0.01, 0.02)]
    where = space(sides, where="x")
    found = search(job(digits, tmp_path, epochs=8), where, points=points, schedule="pbt", trials=4, seed=3)
    changed = [each for each in found if each.values != points[each.number]]
    assert changed, "the poor ones took over from the good ones"
    for each in found:
        newest = checkpoint.load(checkpoint.latest(tmp_path / each.name))
        assert newest["optimizer_states"][0]["param_groups"][0]["initial_lr"] == each.values["lr"]
        assert where["lr"].contains(each.values["lr"])


def test_a_killed_worker_changes_nothing(digits, tmp_path, ray_here):
    calm = run(job(digits, tmp_path / "calm", epochs=12, at_once=1), trials=3)
    killed = []

    def kill(one):
        if one.number == 1 and len(one.rows) == 4 and not killed:
            for process in ray_workers():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
                    killed.append(process.pid)

    heard = Heard(on_epoch=kill)
    found = run(job(digits, tmp_path / "killed", epochs=12, at_once=1), trials=3, listeners=[heard])
    assert killed, "the control: somebody died"
    assert told(found) == told(calm), "bit for bit"
    assert sorted(heard.rows) == sorted(product(range(3), range(1, 13))), "no epoch lost, none told twice"


def test_no_cluster_at_an_address_is_said_in_a_sentence():
    with (
        pytest.raises(UserError, match=r"ray\.address \(='127\.0\.0\.1:1'\): no cluster answers"),
        cluster.connected("127.0.0.1:1"),
    ):
        pass


def test_checkpoints_kept_far_away_come_back_whole(tmp_path):
    store = TrialStore(str(tmp_path / "far"))
    store.files, store.root, store.local = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "far", False
    store.files.create_dir("far/003")
    here = store.work("003", here=tmp_path / "here")
    buffer = checkpoint.AtomicCheckpointIO()
    for epoch in (1, 2):
        buffer.save_checkpoint({"epoch": epoch}, here / f"epoch-{epoch}.ckpt")
        store.keep("003", here)
    assert len(list((tmp_path / "far/003").iterdir())) == 1, "one checkpoint a trial"
    back = store.work("003", here=tmp_path / "other")
    assert checkpoint.load(checkpoint.latest(back)) == {"epoch": 2}
    known = Trial(3, {"lr": 0.1}, 0, driver=uuid.uuid4().hex)
    store.write(known)
    assert store.read("003") == known and [each.name for each in store.trials()] == ["003"]
    store.remove()
    assert list(store.trials()) == []
