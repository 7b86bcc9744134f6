"""A bundle tells what it began with, its graph normalizes as those weights were trained, and a changed file is another training."""

from types import SimpleNamespace

import numpy as np
import pytest

from neocog import architectures
from neocog.architectures.pretrained import digest
from neocog.bundle import provenance, read, write
from neocog.bundle.session import outputs, session
from neocog.core.errors import UserError
from neocog.reproduce.plan import Plan, check, first_weights_file
from neocog.training.fit import fit
from neocog.training.recipe import Recipe
from pipelines.train import Training

RECIPE = Recipe(epochs=1, images=256, threads=1)


def train(digits, folder, name, sizes):
    sizes = architectures.sizes("lenet", sizes)
    data = digits.normalized(architectures.normalization("lenet", sizes, channels=1))
    training = Training(name, "lenet", RECIPE, sizes, data, "neocog")
    fitted = fit(
        lambda: architectures.build("lenet", channels=1, size=8, classes=10, sizes=sizes),
        data,
        RECIPE,
        name=name,
        work=folder / "work" / name,
    )
    made = provenance.provenance(fitted, data_digest=data.digest, params=training.resolved, code_digest="")
    told = {"kind": "trained", "name": name, "architecture": "lenet", "sizes": sizes, "provenance": made}
    return write.write(folder / "models/trained" / name, fitted.model, data, **told)


@pytest.fixture(scope="module")
def bundles(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    other = digits.normalized(((0.9,), (0.05,)))
    first = train(other, folder, "first", {})
    return first, train(digits, folder, "second", {"weights": str(first.folder)})


def test_its_provenance_tells_file_and_sha256(bundles):
    first, second = bundles
    begun = second.card["provenance"]["first_weights"]
    assert begun == {"origin": str(first.folder), "sha256": first.card["sha256"]["weights.safetensors"]}
    assert "first_weights" not in first.card["provenance"]
    assert "weights" not in second.card["build"]["sizes"]


def test_graph_and_card_normalize_as_the_first_weights_were_trained(bundles, digits):
    first, second = bundles
    assert second.normalization == first.normalization == ([0.9], [0.05])
    assert second.normalization != (list(digits.mean), list(digits.std))
    assert np.isfinite(outputs(session(second.folder / read.GRAPH), digits.split("val").images)).all()


def test_a_file_that_changes_is_another_training(bundles, digits, tmp_path):
    first, _ = bundles
    copied = tmp_path / "weights.safetensors"
    copied.write_bytes((first.folder / read.WEIGHTS).read_bytes())
    sizes = architectures.sizes("lenet", {"weights": str(copied)})
    before = Training("a", "lenet", RECIPE, sizes, digits, "neocog").work
    assert Training("a", "lenet", RECIPE, sizes, digits, "neocog").work == before
    copied.write_bytes(copied.read_bytes() + b" ")
    assert Training("a", "lenet", RECIPE, sizes, digits, "neocog").work != before
    assert digest.of_file({"weights": str(tmp_path / "none")}) == digest.of_file({}) == {}


def test_a_reproduction_asks_for_the_same_file(bundles):
    first, second = bundles
    project = SimpleNamespace(folder=first.folder.parent, file=lambda commit, name: "architectures: {second: {}}")
    plan = Plan(second, project, SimpleNamespace(committed=True, commit="0123456789"))
    assert first_weights_file(check(plan)) == first.folder
    file = first.folder / read.WEIGHTS
    held = file.read_bytes()
    try:
        file.write_bytes(held + b" ")
        with pytest.raises(
            UserError, match=r"began with the weights of .*no longer has SHA-256 [0-9a-f]{12}; put it there again"
        ):
            check(plan)
    finally:
        file.write_bytes(held)
