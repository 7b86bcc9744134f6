"""Networks in two parts, backbone and head, so that a task can put a head of its own on the backbone's maps."""

from collections.abc import Callable, Iterator
from math import log2
from typing import Any

from torch import Tensor, nn
from torchvision.models import get_model

from neocog.core import image_size
from neocog.core.errors import UserError
from neocog.core.image_size import Size


class Network(nn.Module):
    """A backbone and its head: images [N, C, H, W] -> features [N, F, h, w] -> logits [N, classes]."""

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward_features(self, images: Tensor) -> Tensor:
        """The maps [N, F, h, w] that the head decides by."""
        return self.features(images)

    def feature_maps(self, images: Tensor) -> dict[int, Tensor]:
        """The backbone's last maps [N, F, h, w] of every stride that it has, by stride: 1, 2, 4, ... from fine to coarse."""
        maps, stride, features = {1: images}, 1, images
        for layer in _layers(self.features):
            before, features = max(features.shape[2:]), layer(features)
            stride *= max(1, 2 ** round(log2(before / max(features.shape[2:]))))  # a border that is lost is no stride
            maps[stride] = features
        return {stride: features for stride, features in maps.items() if features is not images}

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.forward_features(images))


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """The layers and blocks that plain sequences inside `module` run one after the other."""
    if type(module) is nn.Sequential:
        for each in module:
            yield from _layers(each)
    else:
        yield module


def from_torchvision(form: str, *, channels: int, classes: int) -> Any:
    """The network that torchvision builds by that name, its first convolution fitted to `channels`, its head to `classes`."""
    network = get_model(form, num_classes=classes)
    take_channels(network, channels)
    return network


def exchange(model: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module]) -> int:
    """Replace every module of `kinds` inside `model` by `make(module)`; return how many there were."""
    found = [(name, module) for name, module in model.named_modules() if name and type(module) in kinds]
    for name, module in found:
        model.set_submodule(name, make(module))
    return len(found)


def check_multiple(form: str, size: Size, *, of: int) -> None:
    """Raise UserError unless both sides of the image are multiples `of` so many pixels."""
    if any(side % of for side in size):
        height, width = (side // of * of or of for side in size)
        nearest = image_size.short((height, width))
        raise UserError(
            f"{form} takes images whose side is a multiple of {of}, not {image_size.format_size(size)}; set data.size: {nearest}"
        )


def take_channels(network: nn.Module, channels: int) -> None:
    """Give the first convolution of `network`, built for RGB, an input of `channels` maps."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != channels:
                network.set_submodule(name, _like(module, channels))
            return


def _like(convolution: nn.Conv2d, channels: int) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        convolution.stride,  # type: ignore[arg-type]
        convolution.padding,  # type: ignore[arg-type]
        bias=convolution.bias is not None,
    )
