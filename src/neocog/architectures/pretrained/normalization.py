"""The input normalization that first weights were trained with: the network goes on seeing images as it always did."""

from collections.abc import Mapping
from typing import Any

from neocog.architectures.pretrained.source import Normalization, bundle_normalization, in_channels

IMAGENET: Normalization = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of all that torchvision trained


def of(architecture: str, sizes: Mapping[str, Any], *, channels: int) -> Normalization | None:
    """Mean and standard deviation by channel, pixels scaled to 0..1; None for a network that begins with weights drawn by chance.

    A bundle has its own; a file without one is taken for weights of ImageNet where the network is a published one, else None.
    """
    weights = sizes.get("weights")
    if not weights and not sizes.get("pretrained"):
        return None
    found = bundle_normalization(weights) if weights else None
    if found is None and architecture == "timm":
        import timm

        cfg = timm.get_pretrained_cfg(sizes.get("model", ""), allow_unregistered=True)
        found = (tuple(cfg.mean), tuple(cfg.std)) if cfg else None
    elif found is None and sizes.get("form", "small") != "small":
        found = IMAGENET
    return found and in_channels(found, channels)
