"""Every detector: builds over backbones, learns, and its graph answers as the network does."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from neocog import architectures
from neocog.bundle import export
from neocog.core.errors import UserError
from neocog.evaluation import complexity
from neocog.tasks.detection import metrics, objective

NAMES = architectures.names("detection")
SMALL = {"width": 16, "backbone_sizes": {"widths": [8, 8, 16, 16]}}


def built(name: str, **sizes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return architectures.build(
        name, channels=3, size=(40, 48), classes=3, sizes=architectures.sizes(name, SMALL | sizes)
    )


def test_detectors_are_found_and_no_classifier_is_one() -> None:
    assert {"yolo", "ssd"} <= {*NAMES}
    assert not {*NAMES} & {*architectures.names()}
    assert {"resnet", "mobilenet", "vit", "timm"} <= {*architectures.backbones()}
    assert "perceptron" not in architectures.backbones()


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_learns_two_images_by_heart(name: str) -> None:
    network = built(name)
    images = torch.randn(2, 3, 40, 48)
    targets = torch.tensor([[[4, 4, 24, 28, 0], [28, 10, 46, 30, 2]], [[10, 2, 30, 22, 1], [0, 0, 0, 0, -1]]]).float()
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss = objective.loss(network(images), targets)
        loss.backward()
        optimizer.step()
    first = objective.means(objective.sums(built(name)(images), targets))
    last = objective.means(objective.sums(network(images), targets))
    assert last["map"] > 0.5 > first["map"]
    assert last["loss"] < first["loss"] / 3


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_answers_as_the_network_does(name: str, tmp_path: Path) -> None:
    network = built(name)
    for layer in network.head["classes"][-1:]:  # type: ignore[index]
        torch.nn.init.normal_(layer.weight, std=1.0)
    deployed = export.Deployed(network, mean=(0.5,) * 3, std=(0.2,) * 3, task="detection").eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 48, 3), np.uint8)
    export.export(deployed, tmp_path / "model.onnx", images=images)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 3):
        answered, counted = session.run(["detections", "count"], {"images": images[:count]})
        with torch.no_grad():
            expected, found = deployed(torch.from_numpy(images[:count]))
        assert metrics.difference(expected.numpy(), answered) < 1e-3
        assert metrics.agreement(expected.numpy(), answered).mean() > 0.999
        assert counted.tolist() == found.tolist()
        assert counted.min() > 0, "a control: something is found"
        assert answered[..., :4].min() >= 0
        assert (answered[..., :4] <= [48, 40, 48, 40]).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_small_form_has_the_parameters_and_operations_that_its_file_says(name: str, tmp_path: Path) -> None:
    network = architectures.build(name, channels=1, size=(28, 28), classes=10, sizes=architectures.sizes(name, {}))
    params, macs = architectures.card(name).forms["small"]
    assert sum(each.numel() for each in network.parameters()) == params
    images = np.zeros((2, 28, 28, 1), np.uint8)
    export.export(
        export.Deployed(network, mean=(0.5,), std=(0.2,), task="detection").eval(), tmp_path / "m.onnx", images=images
    )
    assert complexity.macs(tmp_path / "m.onnx") == macs


@pytest.mark.parametrize("backbone", ["mobilenet", "densenet", "efficientnet", "shufflenet"])
def test_any_architecture_with_maps_is_a_backbone(backbone: str) -> None:
    network = architectures.build(
        "yolo",
        channels=3,
        size=(32, 32),
        classes=2,
        sizes=architectures.sizes("yolo", {"backbone": backbone, "width": 8}),
    )
    assert network(torch.randn(2, 3, 32, 32)).shape[2] == 8 + 2


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"backbone": "resnett"}, "did you mean 'resnet'"),
        ({"backbone": "perceptron"}, "has no feature maps"),
        ({"backbone_sizes": {"width": [8]}}, "backbone_sizes.width: resnet has no such key"),
        ({"backbone_sizes": {"widths": "many"}}, "backbone_sizes.widths"),
        ({"backbone_sizes": {"stem_stride": 4, "widths": [8, 8, 8, 8]}, "stride": 2}, "stride .=2.* set stride: 4"),
    ],
)
def test_what_no_backbone_can_be_is_told(sizes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        architectures.build("yolo", channels=3, size=(32, 32), classes=2, sizes=architectures.sizes("yolo", sizes))
