"""Weights that a network of timm begins with are loaded, all but the head, or refused: never silently left out."""

import hashlib
from functools import partial

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from neocog import architectures
from neocog.architectures.pretrained import fill, packages
from neocog.architectures.pretrained.source import FirstWeights
from neocog.core.errors import UserError


def build(*, classes=10, channels=1, name="timm", **sizes):
    return architectures.build(name, channels=channels, size=8, classes=classes, sizes=sizes)


@pytest.fixture(scope="module")
def known():
    torch.manual_seed(1)
    return build()


def save(folder, tensors, name="weights.safetensors"):
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / name)
    return folder / name


@pytest.mark.parametrize("how", ["bundle", "file of a bundle", "timm", "pth", "checkpoint"])
def test_all_weights_are_loaded_however_they_are_named(how, known, tmp_path, capfd):
    file = save(tmp_path, known.network.state_dict() if how == "timm" else known.state_dict())
    if how == "pth":
        torch.save({"state_dict": known.network.state_dict()}, file := tmp_path / "weights.pth")
    if how == "checkpoint":  # of a trainer, with more beside the network
        file = save(
            tmp_path, {f"model.{key}": value for key, value in known.state_dict().items()} | {"mean": torch.ones(1)}
        )
    begun = build(weights=str(tmp_path if how == "bundle" else file))
    assert all(torch.equal(value, known.state_dict()[key]) for key, value in begun.state_dict().items())
    assert "77 of 77 tensors loaded\n" in capfd.readouterr().err


def test_only_the_head_is_left_out_of_another_number_of_classes_and_that_is_said(known, tmp_path, capfd):
    begun = build(classes=7, weights=str(save(tmp_path, known.state_dict())))
    differ = [key for key, value in begun.state_dict().items() if not torch.equal(value, known.state_dict()[key])]
    assert differ == ["network.fc.weight", "network.fc.bias"]
    assert not begun.network.fc.weight.any() and not begun.network.fc.bias.any(), "what chance drew would stay"
    assert "75 of 77 tensors loaded; left out: fc (other number of classes)" in capfd.readouterr().err


@pytest.mark.parametrize("classes", [7, 10])  # timm is strict with as many classes as the file only
@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("all", r"0 of 77 tensors of test_resnet are in it, not conv1\.0\.weight.*; it holds features\.0\.weight"),
        ("a part", r"layer2\.0\.conv1\.weight, .*; name a file that was saved for test_resnet"),
        ("the shape", r"size mismatch for layer1\.0\.conv1\.weight"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(left, said, classes, known, tmp_path):
    tensors = known.state_dict()
    if left == "all":
        tensors = build(name="resnet").state_dict()
    elif left == "a part":
        tensors = {key: value for key, value in tensors.items() if "layer2" not in key}
    else:
        tensors["network.layer1.0.conv1.weight"] = torch.zeros(3, 3)
    with pytest.raises(UserError, match=rf"^timm\.weights \(='.*'\): .*{said}"):
        build(classes=classes, weights=str(save(tmp_path, tensors)))


def test_looking_at_the_names_draws_nothing(known, tmp_path):
    file = str(save(tmp_path, known.state_dict()))
    torch.manual_seed(3)
    build()
    after = torch.rand(1)
    torch.manual_seed(3)
    build(weights=file)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("kind", ["file", "bundle"])
def test_any_network_begins_with_a_file_or_a_bundle(kind, tmp_path, capfd):
    trained = build(name="resnet")
    file = save(tmp_path, trained.state_dict())
    begun = build(name="resnet", classes=7, weights=str(file if kind == "file" else tmp_path))
    differ = [key for key, value in begun.state_dict().items() if not torch.equal(value, trained.state_dict()[key])]
    assert differ and {key.rpartition(".")[0] for key in differ} == {fill.last_layer(begun)}
    total = len([key for key in trained.state_dict() if "num_batches" not in key])
    assert f"{total - 2} of {total} tensors loaded; left out: {fill.last_layer(begun)}" in capfd.readouterr().err
    assert begun.first_weights["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_any_network_refuses_a_file_of_another_in_a_sentence(tmp_path):
    other = str(save(tmp_path, build(name="vgg").state_dict()))
    with pytest.raises(
        UserError, match=r"^resnet\.weights \(='.*'\): .*not .*; it holds .*; name a file that was saved for resnet"
    ):
        build(name="resnet", weights=other)
    wide = str(save(tmp_path, build(name="resnet", widths=[8, 8, 8, 8]).state_dict()))
    with pytest.raises(UserError, match=r"size mismatch for .*set the keys that shape its network as they were"):
        build(name="resnet", weights=wide)


def test_colour_weights_see_gray_images_by_their_sum(tmp_path):
    colour = build(name="resnet", channels=3)
    begun = build(name="resnet", weights=str(save(tmp_path, colour.state_dict())))
    first = next(key for key, value in colour.state_dict().items() if value.ndim == 4)
    torch.testing.assert_close(begun.state_dict()[first], colour.state_dict()[first].sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("name", "form"), [("resnet", "resnet18"), ("shufflenet", "shufflenet_v2_x0_5"), ("mobilenet", "mobilenet_v2")]
)
def test_torchvisions_tensors_mean_the_same_in_our_published_forms(name, form):
    torch.manual_seed(0)
    paper = get_model(form).eval()
    ours = architectures.build(name, channels=3, size=64, classes=1000, sizes={"form": form}).eval()
    held = fill.renamed(FirstWeights("test", "", paper.state_dict()), form, ours)
    images = torch.randn(2, 3, 64, 64)
    wanted = paper(images)
    assert not torch.allclose(ours(images), wanted, atol=float(wanted.detach().std()))
    ours.load_state_dict(dict(held.tensors))
    torch.testing.assert_close(ours(images) / wanted.std(), wanted / wanted.std())


def test_weights_of_a_package_are_renamed_one_to_one(tmp_path, monkeypatch):
    """A package of the same layout as the real one, with weights drawn here under its names."""
    theirs = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
    back = {new: old for old, new in packages._lite0(theirs)}
    tensors = {f"{back[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": v for key, v in theirs.state_dict().items()}
    assert len(tensors) == len(theirs.state_dict())
    (tmp_path / "stand_in/models").mkdir(parents=True)
    (tmp_path / "stand_in/__init__.py").touch()
    torch.save(tensors, tmp_path / "stand_in/models/lite0.pth")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(packages.PACKAGES, "tf_efficientnet_lite0", ("stand_in", packages._lite0))
    begun = build(channels=3, classes=4, model="tf_efficientnet_lite0", pretrained=True)
    own = begun.network.state_dict()
    differ = [key for key, value in theirs.state_dict().items() if not torch.equal(value, own[key])]
    assert differ == ["classifier.weight", "classifier.bias"]
    assert begun.first_weights["origin"] == "stand_in/lite0.pth"


def test_normalization_is_that_of_the_weights():
    of = partial(architectures.normalization, channels=3)
    assert of("timm", {"model": "tf_efficientnet_lite0", "pretrained": True}) == ((0.5,) * 3, (0.5,) * 3)
    assert of("resnet", {"form": "resnet18", "pretrained": True})[0] == (0.485, 0.456, 0.406)
    assert of("timm", {"model": "tf_efficientnet_lite0"}) is None and of("resnet", {}) is None
    gray = architectures.normalization("resnet", {"form": "resnet18", "pretrained": True}, channels=1)
    assert gray[0] == pytest.approx((0.449,)) and len(gray[1]) == 1
