"""Sensitivity: each layer is changed alone, what is reported is what the changed network scores, and fragile layers are named."""

import copy
import csv
import dataclasses
import subprocess
import sys
from functools import partial
from xml.etree import ElementTree

import pytest
import safetensors.torch
import torch

from neocog import architectures, compression
from neocog.bundle import write
from neocog.bundle.read import Bundle
from neocog.bundle.rebuild import rebuild
from neocog.compression.chain import channels
from neocog.core.errors import UserError
from neocog.data import prepared
from neocog.inspect.sensitivity import fragile, measure, picture
from neocog.inspect.sensitivity.changes import BITS, RATIOS, changes, rounded
from neocog.inspect.sensitivity.measure import Sensitivity, Tried
from neocog.tasks.classification.metrics import PRIMARY
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

IMAGES = 100
SIZES = {"widths": [8, 16], "depths": [1, 1]}


@pytest.fixture(scope="module")
def bundle(digits, tmp_path_factory):
    """A small ResNet that has learned digits."""
    folder = tmp_path_factory.mktemp("trained")
    build = partial(architectures.build, "resnet", channels=1, size=8, classes=10, sizes=SIZES)
    recipe = Recipe(epochs=2, batch_size=64, lr=0.05, flip=0.0, crop=0, label_smoothing=0.0, threads=1)
    model = fit(build, digits, recipe, name="resnet", work=folder / "work").model
    card = {"kind": "trained", "name": "resnet", "architecture": "resnet", "sizes": SIZES}
    return write.write(folder / "resnet", model, digits, **card, provenance={"data_digest": digits.digest, "seed": 0})


@pytest.fixture(scope="module")
def found(bundle, digits):
    return measure.measure(bundle, digits, images=IMAGES)


def params(network):
    return sum(parameter.numel() for parameter in network.parameters())


def scored(network, data, images):
    """Top-1 by the whole network at once, in the plain layout."""
    val = data.split("val", limit=images)
    pixels = torch.from_numpy(val.images.copy()).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (data.mean, data.std))
    with torch.inference_mode():
        answers = network(((pixels - mean) / std).contiguous()).argmax(1)
    return float((answers == torch.from_numpy(val.targets)).float().mean())


def test_every_layer_is_narrowed_and_rounded_at_every_amount(bundle, digits, found):
    network = rebuild(bundle)
    layers = [name for name, module in network.named_modules() if isinstance(module, channels.WEIGHTED)]
    groups = channels.groups(network, channels.example(digits))
    assert [(each.layers, each.amount) for each in found.of("bits")] == [
        ((name,), bits) for name in layers for bits in BITS
    ]
    assert len(found.of("ratio")) == len(groups) * len(RATIOS)
    narrowed = [name for each in found.of("ratio")[:: len(RATIOS)] for name in each.layers]
    assert len(narrowed) == len(set(narrowed)) and set(narrowed) == {*layers} - {layers[-1]}, "the classes stay"
    assert found.images == IMAGES and found.score == pytest.approx(scored(network, digits, IMAGES))


def test_what_is_reported_is_what_the_changed_network_scores(bundle, digits, found):
    wanted = changes(rebuild(bundle), digits)
    assert len(wanted) == len(found.tried) > 20
    for change, tried in zip(wanted, found.tried, strict=True):
        assert (change.kind, change.layers, change.amount) == (tried.kind, tried.layers, tried.amount)
        assert tried.score == pytest.approx(scored(change.network(), digits, IMAGES), abs=1.01 / IMAGES), change.layers
    assert len({tried.score for tried in found.tried}) > 3


def test_a_change_touches_nothing_but_its_layers(bundle, digits):
    network = rebuild(bundle)
    before = copy.deepcopy(network.state_dict())
    for change in changes(network, digits):
        after = change.network()
        if change.kind == "ratio":
            assert params(after) < params(network)
        state = after.state_dict()
        changed = {name for name, value in before.items() if not torch.equal(state[name].float(), value.float())}
        assert changed and {name.rpartition(".")[0] for name in changed} <= change.touched
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_layers_before_any_normalization_can_be_tried(digits, norm):
    sizes = {"stem": 8, "growth": 4, "depths": [1, 1], "norm": norm}
    network = architectures.build("densenet", channels=1, size=16, classes=10, sizes=sizes).eval()
    images = torch.rand(2, 1, 16, 16)
    larger = dataclasses.replace(digits, size=(16, 16))
    tried = [change for change in changes(network, larger) if change.kind == "ratio"]
    assert len(tried) >= 2 * len(RATIOS)
    for change in tried:
        assert params(change.network()) < params(network)
        assert change.network()(images).shape == (2, 10)


@pytest.mark.parametrize("shape", [(6, 3, 3, 3), (5, 7)])
def test_rounding_leaves_so_many_values_and_the_largest_of_each_channel(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    errors = []
    for bits in BITS:
        coarse = rounded(weight, bits=bits).flatten(1)
        assert max(len(row.unique()) for row in coarse) <= 2**bits - 1
        assert torch.allclose(coarse.abs().amax(1), weight.flatten(1).abs().amax(1))
        errors.append(float((coarse - weight.flatten(1)).square().mean()))
    assert errors == sorted(errors) and errors[0] < 1e-4 < errors[-1]
    assert torch.equal(rounded(torch.zeros(shape), bits=2), torch.zeros(shape))


def made(*drops, kind="ratio", amount=0.5):
    return tuple(Tried(kind, (f"layer{i}",), amount, 0.9 - drop) for i, drop in enumerate(drops))


def test_fragile_layers_are_named_the_worst_first():
    tried = made(0.001, 0.05, 0.3) + made(0.01, 0.003, kind="bits", amount=4)
    first, second = fragile.sentences(Sensitivity("trained/x", "x", 2000, PRIMARY, 0.9, tried))
    assert first == (
        "Fragile without half of its channels: layer2 (30.0 points), layer1 (5.0 points); the other 1 loses at most 0.1 points."
    )
    assert second == "No layer loses more than 2.0 points with weights of 4 bits; most, layer0 (1.0 points)."
    many = Sensitivity("trained/x", "x", 2000, PRIMARY, 0.9, made(*[0.1] * 7))
    assert fragile.sentences(many)[0].endswith("layer3 (10.0 points) and 3 more.")


def test_the_table_holds_every_change(found, tmp_path):
    measure.write_csv(tmp_path / "s.csv", found)
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.tried)
    for row, tried in zip(rows, found.tried, strict=True):
        assert (row["layer"], *row["with_it"].split()) == tried.layers
        assert float(row["drop"]) == pytest.approx(found.score - float(row["top1"]), abs=1e-5)


def test_every_change_is_in_every_picture(found, tmp_path):
    for suffix in picture.FORMATS:
        picture.write(tmp_path / f"s{suffix}", found)
    root = ElementTree.parse(tmp_path / "s.svg").getroot()
    cells = [element for element in root.iter() if element.tag.endswith("rect")]
    assert len(cells) == len(found.tried) and all(
        next(iter(cell)).text for cell in cells
    )  # each tells itself to a pointer
    darkest = [float(cell.get("fill-opacity")) for cell in cells]
    drops = [found.drop(each) for each in found.tried]
    by_drop = [depth for _, depth in sorted(zip(drops, darkest, strict=True))]
    assert by_drop == sorted(darkest) and len(set(darkest)) > 3
    page = (tmp_path / "s.html").read_text()
    assert (
        page.count("<rect") == len(cells)
        and "prefers-color-scheme: dark" in page
        and "http" not in page.replace("http://www.w3.org", "")
    )
    assert all(sentence in page for sentence in fragile.sentences(found))
    image = picture.png(found)
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG" and image.width > image.height / 2
    assert len(image.getcolors(1 << 20)) > len(set(drops))


def test_a_network_without_hidden_layers_is_only_rounded(digits, tmp_path, monkeypatch):
    network = architectures.build("perceptron", channels=1, size=8, classes=10)
    safetensors.torch.save_file(write.tensors(network), tmp_path / "weights.safetensors")
    names = ("perceptron", "perceptron", digits.task, digits.classes, 1, 8)
    bundle = Bundle(tmp_path, "trained", *names, {"build": {"sizes": {}}})
    found = measure.measure(bundle, digits, images=IMAGES)
    assert not found.of("ratio") and [each.amount for each in found.of("bits")] == list(BITS)
    assert len(fragile.sentences(found)) == 1 and "nothing to remove" in picture.figure(found)
    monkeypatch.setattr(measure, "changes", lambda network, data: [])
    with pytest.raises(UserError, match=r"perceptron has neither convolutions nor linear layers"):
        measure.measure(bundle, digits, images=IMAGES)


def test_every_architecture_is_the_sum_of_its_parts_and_has_something_to_change(digits):
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    several = 0
    for name in architectures.names():
        network = architectures.build(name, channels=1, size=8, classes=10).eval()
        with torch.inference_mode():
            maps = images
            for _, part in measure.parts(network):
                maps = part(maps)
            assert torch.equal(maps, network(images)), name
        several += len(measure.parts(network)) > 1
        found = changes(network, digits)
        assert any(change.kind == "bits" for change in found), name
        refuses = compression.card("prune_structured").refuses
        assert any(change.kind == "ratio" for change in found) == (name not in refuses), name
    assert several >= 7


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path):
    assert picture.checked(tmp_path / "s.png") == tmp_path / "s.png"
    with pytest.raises(UserError, match=r"s.jpg\): a picture ends with .svg, .html, .png"):
        picture.checked(tmp_path / "s.jpg")
    with pytest.raises(UserError, match=r"the folder .*nowhere does not exist"):
        picture.checked(tmp_path / "nowhere" / "s.svg")


@pytest.mark.slow
def test_the_verb_draws_and_names_the_fragile(bundle, digits, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "prepared").symlink_to(digits.folder)
    command = [sys.executable, "-m", "neocog.cli.main", "sensitivity", str(bundle.folder), "--images", "60"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data", "resnet-sensitivity.svg", "resnet-sensitivity.csv"}
    told = ended.stdout.splitlines()
    assert told[0] == "resnet-sensitivity.svg and resnet-sensitivity.csv: trained/resnet on 60 validation images"
    assert "channels" in told[1] and "4 bits" in told[2] and "variants" in ended.stderr


def test_more_images_than_there_are_is_all_of_them(bundle, digits, monkeypatch):
    monkeypatch.setattr(measure, "changes", lambda network, data: changes(network, data)[:1])
    total = prepared.read(digits.folder).num_images("val")
    assert measure.measure(bundle, digits, images=10**6).images == total


def test_maps_too_large_to_keep_are_calculated_anew(bundle, digits, found, monkeypatch):
    monkeypatch.setattr(measure, "HELD", 0)
    assert measure.measure(bundle, digits, images=IMAGES) == found
