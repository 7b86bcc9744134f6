"""Any network of timm, by its name there.

Wightman, R. (2019). PyTorch image models. https://github.com/huggingface/pytorch-image-models

More than a thousand networks behind one interface, many with weights trained on ImageNet. `weights` names a file of
them (safetensors, or a .pth that holds nothing but tensors) or the folder of a bundle, which needs no network;
`pretrained` fetches them as timm does, or takes them from an installed package (the extra `pretrained` has those of
tf_efficientnet_lite0). Their first layer and their head are fitted to the images and classes at hand; how many tensors
were loaded is printed, and a file that leaves more than the head untrained is refused.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import timm
import torch
from torch import Tensor, nn

from neocog.architectures.pretrained import packages
from neocog.architectures.pretrained.fill import begin_at_zero, loaded
from neocog.architectures.pretrained.source import COUNTER, FirstWeights, from_file, of_tensors
from neocog.core.errors import UserError, nearest
from neocog.core.image_size import Size

YEAR = 2019
IDEA = "A thousand networks behind one interface, many pretrained"
FORMS = {"small": (373_370, 3_325_440)}
FIRST_WEIGHTS = ("pretrained", "weights")


class TimmNetwork(nn.Module):
    """A timm network: images [N, C, H, W] -> features [N, F, h, w] where it has maps or a grid of patches -> logits [N, classes]."""

    first_weights: dict[str, str] | None = None  # where it got those that it began with

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

    def feature_maps(self, images: Tensor) -> dict[int, Tensor]:
        """The last maps [N, F, h, w] of every stride that timm's network gives out, by stride, from fine to coarse."""
        maps = self.network.forward_intermediates(images, intermediates_only=True)
        return {info["reduction"]: each for info, each in zip(self.network.feature_info, maps, strict=True)}

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    model: str = "test_resnet",
    pretrained: bool = False,
    weights: str | None = None,
) -> nn.Module:
    """The timm network `model`, with `weights` from a file or a bundle's folder, or as timm has them (`pretrained`)."""
    if not timm.is_model(model):
        known = timm.list_models(f"*{model.split('_', maxsplit=1)[0]}*") or timm.list_models()
        raise UserError(f"timm.model (={model!r}): timm has no such model; {nearest(model, known[:40])}")
    logging.getLogger("timm").setLevel(logging.ERROR)
    if not weights and not pretrained:
        return TimmNetwork(_create(model, size, num_classes=classes, in_chans=channels))
    where = f"timm.weights (={weights!r})" if weights else "timm.pretrained (=true)"
    how: dict[str, Any] = {"num_classes": classes, "in_chans": channels, "pretrained": True}
    with torch.random.fork_rng(devices=()):
        empty = _create(model, size, num_classes=classes, in_chans=channels)
    begun: FirstWeights | None = None
    try:
        asked = list(empty.state_dict())
        begun = from_file(weights, asked=asked, where=where, name=model) if weights else packages.of(model, empty)
        if begun:
            how["pretrained_cfg_overlay"] = {
                "state_dict": dict(begun.tensors),
                **_told(begun.tensors, empty.pretrained_cfg),
            }
        with _watched() as loads:
            network = _create(model, size, **how)
        missing = [key for result in loads for key in result.missing_keys]
    except UserError:
        raise
    except Exception as error:
        if begun and (missing := sorted(set(empty.state_dict()) - set(begun.tensors))):
            _check(missing, begun.tensors, empty, where=where, model=model)
        remedy = "download a file of them and name it as `weights`"
        if weights:
            remedy = "name a file of tensors that was saved for it"
        elif model in packages.PACKAGES:
            remedy = f"install neocog with its extra `{packages.EXTRA}`, which brings them along"
        reason = (str(error) or type(error).__name__).splitlines()
        said = " ".join(line.strip() for line in reason[:2])
        raise UserError(f"{where}: no weights for {model} could be had; {remedy} ({said[:200]})") from error
    if loads:  # else by a loader of its own, which is strict
        _check(missing, begun.tensors if begun else {}, network, where=where, model=model)
        print(f"{where}: {loaded(missing, network)}", file=sys.stderr)
        begin_at_zero(network, missing)
    made = TimmNetwork(network)
    made.first_weights = (begun or of_tensors(f"timm/{model}", network.state_dict())).told
    return made


def _create(model: str, size: Size, **how: Any) -> Any:
    img_size = size[0] if size[0] == size[1] else size  # some take no pair
    try:
        return timm.create_model(model, img_size=img_size, **how)
    except TypeError:  # one that takes images of any size
        return timm.create_model(model, **how)


def _told(held: Mapping[str, Tensor], cfg: Mapping[str, Any]) -> dict[str, Any]:
    """What timm must know of a file to fit it: of how many classes and channels it is, where that can be seen."""
    told: dict[str, Any] = {}
    head, first = cfg.get("classifier"), cfg.get("first_conv")
    if isinstance(head, str) and f"{head}.weight" in held:
        told |= {"num_classes": len(held[f"{head}.weight"]), "label_offset": 0}
    if isinstance(first, str) and f"{first}.weight" in held and cfg.get("input_size"):
        told |= {"input_size": (held[f"{first}.weight"].shape[1], *cfg["input_size"][1:])}
    return told


@contextmanager
def _watched() -> Iterator[list[Any]]:
    """What each `load_state_dict` in here leaves out, which timm tells its log alone."""
    plain, found = nn.Module.load_state_dict, []

    def load(self: nn.Module, *arguments: Any, **named: Any) -> Any:
        found.append(plain(self, *arguments, **named))
        return found[-1]

    nn.Module.load_state_dict = load  # type: ignore[method-assign]
    try:
        yield found
    finally:
        nn.Module.load_state_dict = plain  # type: ignore[method-assign]


def _check(missing: Sequence[str], held: Mapping[str, Tensor], network: Any, *, where: str, model: str) -> None:
    """Raise UserError unless all that is `missing` is the head."""
    heads = network.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    counted = [key for key in network.state_dict() if not key.endswith(COUNTER)]
    asked = [key for key in counted if key in missing and key.rpartition(".")[0] not in heads]
    if not asked:
        return
    there = sum(key not in missing for key in counted)
    has = f"; it holds {', '.join([key for key in held if not key.endswith(COUNTER)][:3])}, ..." if held else ""
    raise UserError(
        f"{where}: {there} of {len(counted)} tensors of {model} are in it, not {', '.join(asked[:3])}"
        f"{', ...' if len(asked) > 3 else ''}{has}; name a file that was saved for {model}"
    )
