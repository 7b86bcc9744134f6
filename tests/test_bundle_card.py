"""A bundle says of itself what serving must know: how files became pixels, and by what its logits are divided to be honest."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import class_folders

from neocog import architectures
from neocog.bundle import session, write
from neocog.bundle.read import Bundle
from neocog.core import image_size
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared
from neocog.evaluation import predictions
from neocog.evaluation.preparation import preparation
from neocog.serving import predictor
from neocog.tasks.classification import temperature
from neocog.tasks.classification.calibration import negative_log_likelihood


def bundle_of(folder: Path, data: Prepared, *, boast: float = 1.0) -> Bundle:
    """A perceptron fitted to the training images in closed form, `boast` times as sure as that makes it."""
    train = data.split("train")
    flat = (train.images.reshape(len(train.targets), -1) / 255 - data.mean[0]) / data.std[0]
    wanted = np.eye(len(data.classes))[train.targets]
    weights = np.linalg.solve(flat.T @ flat + 10 * np.eye(flat.shape[1]), flat.T @ wanted).T
    model = architectures.build("perceptron", channels=data.channels, size=data.size, classes=len(data.classes))
    state = model.state_dict()
    matrix = next(name for name, value in state.items() if value.ndim == 2)
    model.load_state_dict(state | {matrix: torch.tensor(boast * weights, dtype=torch.float32)})
    told = {"kind": "trained", "name": "p", "architecture": "perceptron", "sizes": {}, "provenance": {}}
    return write.write(folder, model.eval(), data, **told)


@pytest.mark.parametrize(
    ("size", "resize", "interpolation"), [(8, "pad", "bicubic"), (8, "stretch", "bilinear"), ([6, 10], "pad", "box")]
)
def test_files_are_served_as_prepare_made_pixels_of_them(tmp_path, size, resize, interpolation):
    root = class_folders(tmp_path / "raw", images=12)
    how = {"resize": resize, "interpolation": interpolation, "max_pixels": 5000, "background": "gray", "bits": 12}
    data = prepare(tmp_path / "prepared", source="folder", root=root, size=size, channels=1, workers=1, **how)
    bundle = bundle_of(tmp_path / "bundle", data)
    assert bundle.card["input"]["size"] == json.loads((data.folder / "dataset.json").read_text())["size"] == size
    assert ("interpolation" in bundle.card["preprocessing"]) == (interpolation != "bicubic")  # older cards say none
    assert preparation(bundle) == {"size": image_size.pair(size), "channels": 1, "padding": "gray", **how}


def test_sources_without_files_say_nothing_of_files(digits, tmp_path):
    assert not digits.preparation
    assert set(bundle_of(tmp_path / "p", digits).card["preprocessing"]) == {"scale", "mean", "std", "layout"}


@pytest.mark.parametrize("boast", [1.0, 20.0])
def test_served_probabilities_are_calibrated_however_a_model_boasts(digits, tmp_path, boast):
    bundle = bundle_of(tmp_path / "p", digits, boast=boast)
    test = digits.split("test")
    raw = predictions.outputs(bundle, test.images, batch_size=256)
    served = np.log(predictor.load(bundle).predictions(test.images))
    assert negative_log_likelihood(served, test.targets) < 0.9 * negative_log_likelihood(raw, test.targets)
    assert (served.argmax(axis=1) == raw.argmax(axis=1)).all(), "no answer changes"
    val = digits.split("val")
    own = temperature.fit(predictions.outputs(bundle, val.images, batch_size=256), val.targets)
    assert bundle.card["temperature"] == pytest.approx(own, abs=1e-4)


def test_images_that_are_all_right_cannot_tell_how_sure_is_too_sure(digits, tmp_path):
    bundle = bundle_of(tmp_path / "p", digits)
    val = digits.split("val")
    right = predictions.scores(bundle, val)
    logits = session.outputs(bundle.session(), val.images)
    assert 0 < right.mean() < 1
    assert temperature.of(logits[right], val.targets[right]) == 1.0 != temperature.of(logits, val.targets)
