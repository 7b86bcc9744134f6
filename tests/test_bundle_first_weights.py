"""A bundle holds its own weights: what filled its network before training is told in its provenance, and not asked for again."""

import pytest
import torch
from safetensors.torch import save_file

from neocog import architectures
from neocog.bundle import rebuild, write
from neocog.compression.chain import candidate, export
from neocog.training.fit import fit
from neocog.training.recipe import Recipe
from pipelines.train import Training

NAMES = architectures.names()


@pytest.fixture
def trained(digits, tmp_path):
    """A bundle of a network of timm that began with a file of weights, which is gone; and what its training was."""
    file = tmp_path / "first.safetensors"
    known = architectures.build("timm", channels=3, size=32, classes=1000).network.state_dict()
    save_file({key: value.contiguous() for key, value in known.items()}, file)
    sizes = {"model": "test_resnet", "pretrained": False, "weights": str(file)}
    training = Training("timm", "timm", Recipe(epochs=1, images=256), sizes, digits, "neocog")
    fitted = fit(
        lambda: architectures.build("timm", channels=1, size=8, classes=10, sizes=sizes),
        digits,
        training.recipe,
        name="timm",
        work=tmp_path / "work",
    )
    told = {"kind": "trained", "name": "timm", "architecture": "timm", "sizes": sizes}
    bundle = write.write(
        tmp_path / "models/trained/timm", fitted.model, digits, **told, provenance={"params": training.resolved}
    )
    file.unlink()
    return bundle, fitted.model


def test_a_bundle_is_rebuilt_without_the_file_it_began_with(trained):
    bundle, model = trained
    assert bundle.card["build"]["sizes"] == {"model": "test_resnet"}
    assert bundle.card["provenance"]["params"]["architecture"]["weights"].endswith("first.safetensors")
    images = torch.randn(32, 1, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(rebuild.rebuild(bundle)(images), model(images))


def test_so_is_what_compression_makes_of_it(trained, digits, tmp_path):
    begun = candidate.begin(trained[0])
    made = export.ship(
        tmp_path / "models/compressed/same", begun, digits, name="same", steps=[], provenance={}, verdict={}
    )
    assert rebuild.rebuild(made).network is not None
    assert made.card["build"]["sizes"] == {"model": "test_resnet"}


def test_a_card_of_before_that_still_names_the_file_is_rebuilt_too(trained):
    bundle, _ = trained
    bundle.card["build"]["sizes"] |= {"weights": "gone.safetensors", "pretrained": True}
    rebuild.rebuild(bundle)


def test_nothing_else_is_left_out_of_a_card():
    for name in NAMES:
        sizes = architectures.sizes(name, {})
        left = {"pretrained", "weights"} if name == "timm" else set()
        assert set(sizes) - set(architectures.empty(name, sizes)) == left
        assert architectures.empty(name, {**sizes, "pretrained": True, "weights": "a"}).keys() & {
            "weights"
        } == set() or (architectures.card(name).own_rule)
