"""Bundles are asked right: only about data they know, whatever the batch size, without torch, and nothing is lost."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny

from neocog.bundle.read import Bundle
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.evaluation import predictions
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification import tables


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Prepared:
    return tiny.digits(tmp_path_factory.mktemp("data") / "prepared")


@pytest.fixture(scope="module")
def bundle(data, tmp_path_factory) -> Bundle:
    return tiny.train(tmp_path_factory.mktemp("root"), data, "perceptron")


@pytest.fixture(scope="module")
def judged(data, bundle) -> class_predictions.Predictions:
    test = data.split("test")
    return class_predictions.of(
        predictions.outputs(bundle, test.images, batch_size=64), ids=test.ids, targets=test.targets
    )


def test_real_digits_are_mostly_recognised(judged):
    assert (judged.predicted == judged.labels).mean() > 0.85


def test_the_batch_size_changes_nothing(data, bundle):
    images = data.split("test").images
    together, alone = (predictions.outputs(bundle, images, batch_size=size) for size in (1000, 7))
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("side", "sizes"), [(28, [256, 44]), (64, [256, 44]), (128, [64, 64, 64, 64, 44])])
def test_a_batch_of_large_images_holds_fewer_of_them(side, sizes):
    asked = []

    def run(_, given):
        asked.append(len(given["images"]))
        return [np.zeros((asked[-1], 2), np.float32)]

    bundle = SimpleNamespace(session=lambda: SimpleNamespace(run=run))
    images = np.broadcast_to(np.zeros((), np.uint8), (300, side, side, 1))
    assert predictions.outputs(bundle, images, batch_size=256).shape == (300, 2)
    assert asked == sizes


def test_predictions_come_back_from_disk_as_they_were(judged, tmp_path):
    class_predictions.write(tmp_path / "predictions.parquet", judged)
    back = class_predictions.read(tmp_path / "predictions.parquet")
    for name in ("ids", "labels", "predicted", "probabilities", "confidence"):
        np.testing.assert_array_equal(getattr(back, name), getattr(judged, name))
    table = pq.read_table(tmp_path / "predictions.parquet")
    assert table.column_names == ["id", "label", "predicted", "confidence", "probabilities"]
    assert str(table.schema.field("probabilities").type) == "list<element: float>"
    assert table["confidence"].to_pylist() == [max(p) for p in table["probabilities"].to_pylist()]


@pytest.mark.parametrize(
    ("what", "value", "words"),
    [
        ("classes", tuple("9876543210"), "in another order"),
        ("classes", tuple("012345678"), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9;.*0, 1, 2, 3, 4, 5, 6, 7, 8[.]"),
        ("channels", 3, "trained with 1;.*has 3"),
        ("size", (28, 28), "trained with 8;.*has 28"),
        ("size", (8, 10), "trained with 8;.*has 8 x 10"),
    ],
)
def test_data_of_another_kind_are_refused_naming_both(data, bundle, what, value, words):
    predictions.match(bundle, data)  # the control: its own data are welcome
    with pytest.raises(UserError, match=f"{what}: .*{words}"):
        predictions.match(bundle, replace(data, **{what: value}))


def test_logits_that_are_no_numbers_are_refused(data, tmp_path):
    weights = np.zeros((64, 10), np.float32)
    weights[20, 3] = np.nan
    folder = tiny.write(tmp_path / "trained" / "broken", data, weights, np.zeros(10, np.float32))
    from neocog.bundle.read import read

    with pytest.raises(UserError, match=r"trained.broken: outputs of \d+ of \d+ images are NaN"):
        predictions.outputs(read(folder), data.split("test").images, batch_size=64)


def test_a_split_without_images_is_refused(data, bundle):
    with pytest.raises(UserError, match="no images"):
        predictions.outputs(bundle, data.split("test").images[:0], batch_size=64)


def test_tables_hold_every_class_and_every_image(judged, tmp_path):
    classes = ["a,b", *"123456789"]
    tables.per_class(tmp_path / "per_class.csv", judged, classes)
    tables.confusion(tmp_path / "confusion.csv", judged, classes)
    lines = (tmp_path / "per_class.csv").read_text().splitlines()
    assert lines[0] == "class,precision,recall,f1,support"
    assert len(lines) == 11 and lines[1].startswith('"a,b",')
    rows = (tmp_path / "confusion.csv").read_text().splitlines()
    assert rows[0] == "actual,predicted,images"
    assert sum(int(row.rpartition(",")[2]) for row in rows[1:]) == len(judged.labels)


def test_of_many_classes_only_those_that_met_are_in_the_confusion(tmp_path):
    labels = np.arange(300)
    said = np.where(labels % 3, labels, (labels + 1) % 300)
    judged = class_predictions.Predictions(labels.astype(object), labels, said, np.full((300, 1), 1.0, np.float32))
    tables.confusion(tmp_path / "confusion.csv", judged, [f"species {label}" for label in labels])
    rows = [row.split(",") for row in (tmp_path / "confusion.csv").read_text().splitlines()[1:]]
    assert len(rows) == 400, "300 that met, and the 100 of the diagonal that did not"
    assert sum(int(images) for _, _, images in rows) == 300
    assert {row[0] for row in rows} == {row[1] for row in rows} == {f"species {label}" for label in labels}


@pytest.mark.parametrize("stage", ["evaluate", "benchmark", "report"])
def test_judging_and_reporting_load_neither_torch_nor_scikit_learn(stage):
    code = f"import sys, pipelines.{stage}; print({{'torch', 'sklearn', 'mlflow', 'pandas'}} & set(sys.modules))"
    root = Path(__file__).parents[1]
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
    control = code.replace("import sys,", "import sys, pandas,")
    told = subprocess.run([sys.executable, "-c", control], cwd=root, capture_output=True, text=True, check=True)
    assert "pandas" in told.stdout


def test_predictions_go_to_disk_and_back_without_pandas(judged, tmp_path):
    class_predictions.write(tmp_path / "predictions.parquet", judged)
    code = (
        "import sys; from pathlib import Path; from neocog.tasks.classification import predictions as class_predictions;"
        "path = Path(sys.argv[1]); class_predictions.write(path, class_predictions.read(path));"
        "print('pandas' in sys.modules); import pyarrow.parquet; pyarrow.parquet.read_table(path);"
        "print('pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "predictions.parquet")]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "True"]  # the control: what is usual imports it
    np.testing.assert_array_equal(class_predictions.read(tmp_path / "predictions.parquet").ids, judged.ids)


def test_test_time_augmentation_shows_every_image_as_it_is_flipped_and_shifted():
    images = np.arange(2 * 32 * 48 * 1, dtype=np.uint8).reshape(2, 32, 48, 1)
    flip, shifted = ([view[:] for view in predictions.views(images, kind)] for kind in ("flip", "flip_shift"))
    assert len(flip) == 2 and len(shifted) == 10
    assert np.array_equal(flip[0], images) and np.array_equal(flip[1], images[:, :, ::-1])
    assert np.array_equal(shifted[2][:, :-2], images[:, 2:]) and np.array_equal(shifted[2][:, -1], images[:, -1])
    assert all(each.shape == images.shape for each in shifted)
    assert len({each.tobytes() for each in shifted}) == 10


def test_its_answer_is_the_mean_over_the_views(bundle, data):
    images = data.split("test").images[:5]
    mean, passes = predictions.averaged(bundle, images, "flip", batch_size=2)
    plain, flipped = (predictions.outputs(bundle, each, batch_size=2) for each in (images, images[:, :, ::-1].copy()))
    np.testing.assert_allclose(mean, (plain + flipped) / 2, rtol=1e-5)
    assert passes == 2 and not np.allclose(mean, plain)
    whole, _ = predictions.averaged(bundle, images, "flip", batch_size=5)
    np.testing.assert_allclose(whole, mean, rtol=1e-5)
