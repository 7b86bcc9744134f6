"""One architecture with several seeds: the first is the bundle as ever, the others lie in it; mean and spread are those of all."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import yaml
from projects import killed, runs, set_up, stage

from neocog.bundle import read
from neocog.core.errors import UserError
from neocog.evaluation import predictions, seeds
from neocog.params import load
from neocog.tasks.classification import accuracy
from neocog.tasks.classification.metrics import PRIMARY


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.digits(tmp_path_factory.mktemp("data") / "prepared")


@pytest.fixture(scope="module")
def bundle(data, tmp_path_factory):
    """A small network, and in it two more that were trained longer, as with the seeds 3 and 12."""
    root = tmp_path_factory.mktemp("root")
    bundle = tiny.train(root, data, "mlp", hidden=40, epochs=1)
    for seed, epochs in ((12, 2), (3, 4)):
        further = tiny.train(root / str(seed), data, "mlp", hidden=40, epochs=epochs)
        shutil.copytree(further.folder, bundle.folder / "seeds" / str(seed))
    return bundle


def test_every_seed_is_judged_on_the_same_images_and_mean_and_spread_are_numpys(bundle, data, tmp_path):
    test = data.split("test")
    logits = predictions.outputs(bundle, test.images, batch_size=256)
    rows = seeds.judge(bundle, logits, test, bins=15, batch_size=100)
    assert [row.seed for row in rows] == [0, 3, 12]
    folders = [bundle.folder, bundle.folder / "seeds/3", bundle.folder / "seeds/12"]
    right = [float(predictions.scores(read.read(folder), test).mean()) for folder in folders]
    assert [row.scores["top1"] for row in rows] == pytest.approx(right, abs=1e-6) and len(set(right)) == 3
    told = seeds.summary(rows, PRIMARY)
    assert told == pytest.approx({"top1_mean": np.mean(right), "top1_std": np.std(right, ddof=1)}, abs=1e-6)
    predicted = logits.argmax(axis=1)
    assert rows[0].scores["macro_f1"] == pytest.approx(
        accuracy.macro_f1(test.targets, predicted, num_classes=10), abs=1e-6
    )
    seeds.write(tmp_path / "seeds.csv", rows)
    with (tmp_path / "seeds.csv").open() as file:
        back = list(csv.DictReader(file))
    assert list(back[0]) == ["seed", "top1", "top5", "macro_f1", "nll", "ece"]
    assert [float(row["top1"]) for row in back] == [row.scores["top1"] for row in rows]


def test_a_single_seed_has_a_row_but_no_spread(data, tmp_path):
    bundle, test = tiny.train(tmp_path, data, "perceptron", epochs=1), data.split("test")
    rows = seeds.judge(bundle, predictions.outputs(bundle, test.images, batch_size=256), test, bins=15, batch_size=256)
    assert len(rows) == 1 and seeds.summary(rows, PRIMARY) == {} == seeds.further(bundle)


def test_what_lies_in_a_bundle_beside_its_three_files_does_not_change_its_digest(data, tmp_path):
    folder = tiny.train(tmp_path, data, "perceptron", epochs=1).folder
    before = read.digest(folder)
    shutil.copytree(folder, tmp_path / "other")
    shutil.copytree(tmp_path / "other", folder / "seeds" / "1")
    assert read.digest(folder) == before


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "two", True, None])
def test_what_is_no_number_of_trainings_is_refused_by_name(project, wrong):
    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["architectures"]["lenet"]["seeds"] = wrong
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(UserError, match=rf"architectures.lenet.seeds \(={wrong!r}\)"):
        load.for_stage("train@lenet")


def test_the_seeds_follow_that_of_the_recipe_and_are_no_part_of_it(project):
    settings = yaml.safe_load((project / "params.yaml").read_text())
    before = load.for_stage("train@lenet")
    assert before.seeds("lenet") == [0], "the control: once, where nothing is said"
    settings["architectures"]["lenet"] |= {"seeds": 3, "seed": 5}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    after = load.for_stage("train@lenet")
    assert after.seeds("lenet") == [5, 6, 7]
    assert after.recipe("lenet").asdict() == before.recipe("lenet").asdict() | {"seed": 5}
    assert after.sizes("lenet") == before.sizes("lenet")
    settings["architectures"]["lenet"] = {"seed_": 3}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(UserError, match=r"lenet.seed_ \(=3\): unknown key; did you mean 'seeds?'"):
        load.for_stage("train@lenet")


def small(folder: Path, *, seeds: int, **recipe: object) -> Path:
    """A project of digits with a small mlp, prepared."""
    block = {"widths": [16], "optimizer": "adamw", "lr": 0.01, "label_smoothing": 0.0, "threads": 1, "epochs": 2}
    blocks = {"mlp": {**block, "channels_last": False, **recipe, **({"seeds": seeds} if seeds > 1 else {})}}
    set_up(folder, architectures=blocks, compress={}, tune={"architectures": []}, evaluate={"bootstrap": 20})
    stage(folder, "pipelines.prepare")
    return folder


def content(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_two_seeds_give_two_bundles_of_which_the_first_is_as_if_it_were_alone(tmp_path):
    both = small(tmp_path / "both", seeds=2)
    alone = shutil.copytree(both, tmp_path / "alone")
    (alone / "params.yaml").write_text((both / "params.yaml").read_text().replace("seeds: 2", "seeds: 1"))
    stage(alone, "pipelines.train", "mlp")
    for name in ("train", "evaluate"):
        stage(both, f"pipelines.{name}", "mlp")
    found = content(both / "models/trained/mlp")
    first = {name: digest for name, digest in found.items() if not name.startswith("seeds/")}
    assert first == content(alone / "models/trained/mlp") and len(found) == 2 * len(first) == 6
    assert found["seeds/1/weights.safetensors"] != found["weights.safetensors"]
    assert read.read(both / "models/trained/mlp/seeds/1").card["provenance"]["seed"] == 1

    with (both / "reports/trained/mlp/tables/seeds.csv").open() as file:
        rows = list(csv.DictReader(file))
    metrics = json.loads((both / "reports/trained/mlp/metrics.json").read_text())
    top1 = [float(row["top1"]) for row in rows]
    assert [row["seed"] for row in rows] == ["0", "1"] and top1[0] == metrics["test/top1"]
    assert metrics["test/top1_mean"] == pytest.approx(np.mean(top1), abs=1e-6)
    assert metrics["test/top1_std"] == pytest.approx(np.std(top1, ddof=1), abs=1e-6)

    of = {run.info.run_name: run for run in runs(both, of="train@mlp")}
    assert set(of) == {"train@mlp", "train@mlp/seed-1"}
    child = of["train@mlp/seed-1"]
    assert child.data.tags["mlflow.parentRunId"] == of["train@mlp"].info.run_id and child.data.params["seed"] == "1"
    assert child.data.tags["bundle.sha256"] == read.digest(both / "models/trained/mlp/seeds/1")
    assert child.info.status == "FINISHED" and "val/top1" in child.data.metrics


@pytest.mark.slow
def test_killed_in_its_third_seed_it_goes_on_there_and_ends_with_the_same_bits(tmp_path):
    project = small(tmp_path / "project", seeds=3, epochs=12)
    third = "len({path.parent for path in target.parent.parent.glob('mlp-*/epoch-*.ckpt')}) == 3"
    killed(project, "pipelines.train", "mlp", when=third)
    work = project / ".neocog/training"
    assert len(list(work.glob("mlp-*/finished"))) == 1, "the second is finished, its bundle waits"
    assert not (project / "models/trained/mlp").exists(), "it was killed on the way"
    said = stage(project, "pipelines.train", "mlp")
    assert "mlp seed 2 12/12" in said and "mlp seed 2 1/12" not in said, "it goes on"
    assert "mlp seed 1 12/12" not in said, "a finished seed is not trained again"
    interrupted = content(project / "models/trained/mlp")
    names = sorted(run.info.run_name for run in runs(project, of="train@mlp"))
    assert names == ["train@mlp", "train@mlp/seed-1", "train@mlp/seed-2"], "each in the one run that it has"
    assert not list(work.glob("mlp-*")), "working checkpoints are cleared away"
    said = stage(project, "pipelines.train", "mlp")
    assert "mlp seed 1 12/12" in said and "mlp seed 2 1/12" in said
    assert content(project / "models/trained/mlp") == interrupted, "the control: never killed"
