"""Any network of timm, by its name there.

Wightman, R. (2019). PyTorch image models. https://github.com/huggingface/pytorch-image-models

More than a thousand networks behind one interface, many with weights trained on ImageNet. `weights` names a file of
them (safetensors, or a .pth that holds nothing but tensors), which needs no network; `pretrained` fetches them as
timm does. Their first layer and their head are fitted to the images and classes at hand.
"""

import logging
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from neocog.errors import UserError, nearest

YEAR = 2019
IDEA = "A thousand networks behind one interface, many pretrained"
FORMS = {"small": (373_370, 3_325_440)}
FIRST_WEIGHTS = ("pretrained", "weights")


class TimmNetwork(nn.Module):
    """A timm network: images [N, C, H, W] -> features [N, F, h, w] where it has maps or a grid of patches -> logits [N, classes]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward_features(self, images: Tensor) -> Tensor:
        """The maps before the head; vectors of patches as maps."""
        features = self.network.forward_features(images)
        if features.ndim == 4:
            last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
            return features.permute(0, 3, 1, 2) if last else features
        return (
            features[:, self.network.num_prefix_tokens :]
            .transpose(1, 2)
            .unflatten(2, self.network.patch_embed.grid_size)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


def build(
    *,
    channels: int,
    size: int,
    classes: int,
    model: str = "test_resnet",
    pretrained: bool = False,
    weights: str | None = None,
) -> nn.Module:
    """The timm network `model`, with `weights` from a file or as timm has them (`pretrained`)."""
    if not timm.is_model(model):
        known = timm.list_models(f"*{model.split('_', maxsplit=1)[0]}*") or timm.list_models()
        raise UserError(f"timm.model (={model!r}): timm has no such model; {nearest(model, known[:40])}")
    if weights and not Path(weights).is_file():
        raise UserError(
            f"timm.weights (={weights!r}): there is no such file; name a .safetensors or .pth file of {model}"
        )
    how: dict[str, Any] = {"num_classes": classes, "in_chans": channels, "pretrained": bool(weights) or pretrained}
    if weights:
        how["pretrained_cfg_overlay"] = {"file": weights}
    logging.getLogger("timm").setLevel(logging.ERROR)
    try:
        try:
            network = timm.create_model(model, img_size=size, **how)
        except TypeError:  # one that takes images of any size
            network = timm.create_model(model, **how)
    except Exception as error:
        if not how["pretrained"]:
            raise
        where = f"weights (={weights!r})" if weights else "pretrained (=true)"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        remedy = (
            "name a file of tensors that was saved for it"
            if weights
            else "download a file of them and name it as `weights`"
        )
        raise UserError(f"timm.{where}: no weights for {model} could be had; {remedy} ({reason})") from error
    return TimmNetwork(network)
