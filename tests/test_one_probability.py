"""predict, serve, inspect, explain, audit and the page tell one probability of an image: the calibrated one."""

import numpy as np
import pytest
import torch

from neocog import architectures
from neocog.bundle import write
from neocog.bundle.read import read
from neocog.evaluation import predictions
from neocog.inspect import activations
from neocog.inspect.explain import poster
from neocog.serving import predictor
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification.calibration import probabilities


@pytest.fixture(params=[1.0, 2.5])
def bundle(request, digits, tmp_path):
    """A network of random, loud weights, whose card says by what to divide its logits."""
    torch.manual_seed(0)
    model = architectures.build("lenet", channels=1, size=8, classes=10).eval()
    model.head[-1].weight.data *= 20
    about = {"kind": "trained", "name": "lenet", "architecture": "lenet", "sizes": {}, "provenance": {}}
    card = write.write(tmp_path / "lenet", model, digits, **about).card
    write.write_card(tmp_path / "lenet", card | {"temperature": request.param})
    return read(tmp_path / "lenet")


def test_all_that_tell_an_image_s_probability_tell_the_same(bundle, digits):
    part = digits.split("test")
    image = np.asarray(part.images[0])
    told = predictor.load(bundle).predictions(image[None])[0]  # predict, serve, MLflow
    logits = predictions.outputs(bundle, part.images, batch_size=256)
    judged = class_predictions.of(logits, ids=part.ids, targets=part.targets)
    shown = class_predictions.calibrated(judged, bundle.card["temperature"])  # the page and the audit
    np.testing.assert_allclose(activations.look(bundle, image).prediction, told, atol=1e-5)
    np.testing.assert_allclose(shown.probabilities[0], told, atol=1e-5)
    assert poster.explained(bundle, image, ["occlusion"]).probability == pytest.approx(told.max(), abs=1e-4)
    assert (shown.predicted == judged.predicted).all(), "no answer is another one"
    raw = probabilities(logits[:1], temperature=1.0)[0]
    assert np.allclose(raw, told, atol=1e-3) == (bundle.card["temperature"] == 1), (
        "the control: what the graph says is another number"
    )
