"""Every network for segmentation: builds over backbones, learns, and its graph answers as the network does."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from neocog import architectures
from neocog.bundle import export
from neocog.core.errors import UserError
from neocog.evaluation import complexity
from neocog.tasks.segmentation import objective

NAMES = architectures.names("segmentation")
SMALL = {"backbone_sizes": {"widths": [8, 8, 16, 16]}}


def built(name: str, **sizes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    width = {} if name == "fcn" else {"width": 8}
    return architectures.build(
        name, channels=3, size=(40, 48), classes=3, sizes=architectures.sizes(name, SMALL | width | sizes)
    )


def test_networks_for_segmentation_are_found_and_no_classifier_or_detector_is_one() -> None:
    assert {*NAMES} == {"fcn", "unet", "deeplab"}
    assert not {*NAMES} & {*architectures.names(), *architectures.names("detection")}


@pytest.mark.parametrize("name", NAMES)
def test_a_network_learns_two_images_by_heart(name: str) -> None:
    network = built(name)
    targets = torch.zeros(2, 40, 48, dtype=torch.uint8)
    targets[0, 8:30, 6:28], targets[1, 4:24, 20:44] = 1, 2
    images = torch.randn(2, 3, 40, 48) + targets[:, None]
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(50):
        optimizer.zero_grad()
        loss = objective.loss(network(images), targets)
        loss.backward()
        optimizer.step()
    found = objective.means(objective.sums(network(images), targets))
    assert objective.means(objective.sums(built(name)(images), targets))["miou"] < 0.5
    assert found["miou"] > 0.85


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_answers_as_the_network_does(name: str, tmp_path: Path) -> None:
    network = built(name)
    deployed = export.Deployed(network, mean=(0.5,) * 3, std=(0.2,) * 3, task="segmentation").eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 48, 3), np.uint8)
    export.export(deployed, tmp_path / "model.onnx", images=images)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 3):
        (answered,) = session.run(["mask"], {"images": images[:count]})
        with torch.no_grad():
            expected = deployed(torch.from_numpy(images[:count])).numpy()
        assert (answered.shape, answered.dtype) == ((count, 40, 48), np.uint8)
        assert (answered == expected).mean() > 0.999
    assert len(np.unique(answered)) > 1, "a control: not all pixels are of one class"


@pytest.mark.parametrize("name", NAMES)
def test_the_small_form_has_the_parameters_and_operations_that_its_file_says(name: str, tmp_path: Path) -> None:
    network = architectures.build(name, channels=1, size=(28, 28), classes=10, sizes=architectures.sizes(name, {}))
    params, macs = architectures.card(name).forms["small"]
    assert sum(each.numel() for each in network.parameters()) == params
    deployed = export.Deployed(network, mean=(0.5,), std=(0.2,), task="segmentation").eval()
    export.export(deployed, tmp_path / "m.onnx", images=np.zeros((2, 28, 28, 1), np.uint8))
    assert complexity.macs(tmp_path / "m.onnx") == macs


@pytest.mark.parametrize("backbone", ["mobilenet", "densenet", "efficientnet", "vit"])
def test_any_architecture_with_maps_is_a_backbone(backbone: str) -> None:
    sizes = architectures.sizes("unet", {"backbone": backbone, "width": 4})
    network = architectures.build("unet", channels=3, size=(32, 48), classes=2, sizes=sizes)
    assert network(torch.randn(2, 3, 32, 48)).shape == (2, 2, 32, 48)


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("unet", {"backbone": "resnett"}, "did you mean 'resnet'"),
        ("unet", {"backbone_sizes": {"width": [8]}}, "backbone_sizes.width: resnet has no such key"),
        ("fcn", {"stride": 3}, "stride .=3.* set stride: 2"),
        ("deeplab", {"fine_stride": 1}, "fine_stride .=1.* set fine_stride: 2"),
    ],
)
def test_what_no_network_can_be_is_told(name: str, sizes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        architectures.build(name, channels=3, size=(32, 32), classes=2, sizes=architectures.sizes(name, sizes))
