"""A bundle is what was trained: the graph agrees with the network, it comes back without pickle, and equal trainings give equal bytes."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from neocog import architectures
from neocog.bundle import export as graphs
from neocog.bundle import parity, read, rebuild, session, write
from neocog.core import image_size
from neocog.core.errors import UserError
from neocog.data import prepared_writer

NAMES = architectures.names()


def make(folder, name="lenet", *, channels=1, size=8, classes=10, model=None, task="classification"):
    """A bundle of `name` with random weights, the network, and 64 images."""
    torch.manual_seed(0)
    height, width = size = image_size.pair(size)
    model = model or architectures.build(name, channels=channels, size=size, classes=classes)
    if hasattr(model, "drop_auxiliary"):
        model.drop_auxiliary()
    for parameter in model.parameters():  # a perceptron begins at 0, where every answer agrees
        torch.nn.init.normal_(parameter, std=0.1)
    images = np.random.default_rng(0).integers(0, 256, (96, height, width, channels), dtype=np.uint8)
    labels = np.arange(96) % classes
    samples = prepared_writer.Samples(
        rows=np.arange(96),
        targets=labels if task == "classification" else np.eye(classes, dtype=bool)[labels],
        splits=["train"] * 16 + ["val"] * 64 + ["test"] * 16,
        sha256=[f"{row:064x}" for row in range(96)],
        sources=[str(row) for row in range(96)],
    )
    names = [f"class {label}" for label in range(classes)]
    with tempfile.TemporaryDirectory() as temporary:
        data = prepared_writer.write(
            Path(temporary) / "prepared",
            name="noise",
            classes=names,
            images=images,
            samples=samples,
            source_digest="",
            task=task,
        )
        bundle = write.write(
            folder,
            model.eval(),
            data,
            kind="trained",
            name=name,
            architecture=name,
            sizes={},
            provenance={"data_digest": data.digest},
        )
    return bundle, graphs.Deployed(model, mean=data.mean, std=data.std, task=data.task).eval(), images[16:80]


@pytest.mark.parametrize("name", NAMES)
def test_graph_network_and_rebuilt_network_agree(name, tmp_path):
    bundle, deployed, images = make(tmp_path / name, name, channels=3, size=(28, 20))  # square ones: every other test
    assert sorted(path.name for path in bundle.folder.iterdir()) == ["bundle.json", "model.onnx", "weights.safetensors"]
    [logits] = bundle.session(threads=1).run(["logits"], {"images": images})
    deployed.model = rebuild.rebuild(read.read(bundle.folder))
    with torch.inference_mode():
        np.testing.assert_allclose(deployed(torch.from_numpy(images)).numpy(), logits, rtol=1e-3, atol=1e-3)
    assert bundle.session(threads=1).run(["logits"], {"images": images[:1]})[0].shape == (1, 10), "any batch size"
    assert bundle.card["parity"]["top1_agreement"] == 1.0
    assert bundle.card["parity"]["images"] == 64


def test_the_task_decodes_inside_the_graph_and_says_what_the_card_holds(tmp_path):
    labels, label = (make(tmp_path / task, "mlp", task=task) for task in ("multilabel", "classification"))
    (given, _, images), (plain, _, _) = labels, label
    probabilities, logits = (session.outputs(bundle.session(), images) for bundle in (given, plain))
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-4)
    names = [[output.name for output in bundle.session().get_outputs()] for bundle in (given, plain)]
    assert names == [["probabilities"], ["logits"]]
    assert given.card["parity"]["map_agreement"] == plain.card["parity"]["top1_agreement"] == 1.0
    assert [{"thresholds", "temperature"} & {*bundle.card} for bundle in (given, plain)] == [
        {"thresholds"},
        {"temperature"},
    ]


def test_equal_networks_give_equal_bytes_and_nobody_s_paths(tmp_path):
    first, _, _ = make(tmp_path / "a")
    second, _, _ = make(tmp_path / "b")
    assert read.digest(first.folder) == read.digest(second.folder)
    content = (first.folder / "model.onnx").read_bytes()
    assert b"/src/" not in content and b"site-packages" not in content
    onnx.checker.check_model(onnx.load(first.folder / "model.onnx"))


class Trickster(torch.nn.Module):
    """Answers otherwise when it is exported."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)

    def forward(self, images):
        sign = -1 if torch.compiler.is_exporting() else 1
        return sign * self.layer(images.flatten(1))


def test_a_graph_that_differs_is_refused_and_what_was_there_stays(tmp_path):
    bundle, _, _ = make(tmp_path / "lenet")
    before = read.digest(bundle.folder)
    with pytest.raises(parity.ParityError, match="top-1 agreement 0"):
        make(tmp_path / "lenet", model=Trickster())
    assert read.digest(bundle.folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["lenet"], "nothing half-made is left"


def test_a_graph_with_nan_is_refused(tmp_path):
    class Broken(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :10] * float("nan")

    with pytest.raises(parity.ParityError):
        make(tmp_path / "mlp", model=Broken())


@pytest.mark.parametrize("damage", ["missing", "truncated card", "newer", "pickle"])
def test_a_damaged_bundle_is_named_with_the_remedy(tmp_path, damage):
    bundle, _, _ = make(tmp_path / "lenet")
    card = bundle.folder / "bundle.json"
    if damage == "missing":
        (bundle.folder / "model.onnx").unlink()
    elif damage == "truncated card":
        card.write_text(card.read_text()[:100])
    elif damage == "newer":
        card.write_text(json.dumps(json.loads(card.read_text()) | {"format": 99}))
    else:
        torch.save({"x": torch.zeros(1)}, bundle.folder / "weights.safetensors")
    with pytest.raises(UserError, match=r"lenet"):
        rebuild.rebuild(read.read(bundle.folder))


def test_reading_and_asking_a_bundle_imports_no_torch(tmp_path):
    bundle, _, _ = make(tmp_path / "lenet")
    script = (
        "import sys, numpy; from neocog.bundle import read\n"
        "session = read.read(sys.argv[1]).session()\n"
        "print(session.run(['logits'], {'images': numpy.zeros((2, 8, 8, 1), numpy.uint8)})[0].shape, 'torch' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(bundle.folder)], capture_output=True, text=True, check=True
    )
    assert said.stdout.split("\n")[0] == "(2, 10) False"
