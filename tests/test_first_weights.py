"""Weights that a network of timm begins with are loaded, all but the head, or refused: never silently left out."""

import pytest
import torch
from safetensors.torch import save_file

from neocog import architectures
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
