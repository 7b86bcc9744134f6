"""Put first weights into a network of ours: all but its last layer, or a sentence that says why not."""

import sys
from collections.abc import Collection, Mapping
from typing import Any

import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from neocog.architectures.pretrained.source import COUNTER, FirstWeights, from_file, of_tensors
from neocog.core.errors import UserError


def fill(model: nn.Module, *, name: str, form: str, sizes: Mapping[str, Any]) -> None:
    """Fill the network of architecture `name` as `weights` or `pretrained` of `sizes` say; its attribute `first_weights` tells them.

    Prints how many tensors were loaded. Raises UserError for a file that leaves more than the last layer untrained.
    """
    if weights := sizes.get("weights"):
        where = f"{name}.weights (={weights!r})"
        held = from_file(weights, asked=list(model.state_dict()), where=where, name=name)
    else:
        where = f"{name}.pretrained (=true)"
        held = _from_torchvision(form, model, where=where)
    missing = _load(model, held.tensors, where=where, name=form if form != "small" else name)
    model.first_weights = held.told  # type: ignore[assignment]
    print(f"{where}: {loaded(missing, model)}", file=sys.stderr)


def last_layer(model: nn.Module) -> str:
    """The name of the layer that gives out the classes: the last linear one, or the last convolution."""
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    names = names or [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    return names[-1] if names else ""


def loaded(missing: Collection[str], network: nn.Module) -> str:
    """How many tensors were loaded, and the layers that got none."""
    counted = [key for key in network.state_dict() if not key.endswith(COUNTER)]
    left = sorted({key.rpartition(".")[0] for key in counted if key in missing})
    also = f"; left out: {', '.join(left)} (other number of classes)" if left else ""
    return f"{sum(key not in missing for key in counted)} of {len(counted)} tensors loaded{also}"


def _load(model: nn.Module, held: Mapping[str, Tensor], *, where: str, name: str) -> list[str]:
    """Load what fits; the names of what is left as it was drawn."""
    own, last = model.state_dict(), last_layer(model)
    first = next((key for key, value in own.items() if value.ndim == 4), "")
    taken: dict[str, Tensor] = {}
    absent = [key for key in own if key not in held and not key.endswith(COUNTER)]
    asked = [key for key in absent if key.rpartition(".")[0] != last]
    if asked:
        counted = [key for key in own if not key.endswith(COUNTER)]
        has = ", ".join([key for key in held if not key.endswith(COUNTER)][:3])
        raise UserError(
            f"{where}: {len(counted) - len(absent)} of {len(counted)} tensors of {name} are in it, not {', '.join(asked[:3])}"
            f"{', ...' if len(asked) > 3 else ''}; it holds {has}, ...; name a file that was saved for {name}"
        )
    for key in (key for key in own if key in held):
        value = held[key]
        if key == first and value.ndim == 4 and value.shape[1] == 3 and own[key].shape[1] == 1:
            value = adapt_input_conv(1, value)
        if value.shape == own[key].shape:
            taken[key] = value
        elif key.rpartition(".")[0] != last:
            raise UserError(
                f"{where}: size mismatch for {key}: {list(value.shape)} in it, {list(own[key].shape)} in {name}; "
                "set the keys that shape its network as they were"
            )
    model.load_state_dict(taken, strict=False)
    left = [key for key in own if key not in taken]
    begin_at_zero(model, left)
    return left


def begin_at_zero(model: nn.Module, left: Collection[str]) -> None:
    """Set the last layer to 0 where no weights were loaded for it: from few images, what is drawn by chance would never be unlearned.

    (The head of timm's EfficientNet is drawn so large that a linear probe reached 60 % instead of 91 % of 86 photographs.)
    """
    last = last_layer(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in left and name.rpartition(".")[0] == last:
                parameter.zero_()


def _from_torchvision(form: str, model: nn.Module, *, where: str) -> FirstWeights:
    """The weights that torchvision has for `form`, under the names of `model`, which holds the same layers in the same order."""
    try:
        held = get_model_weights(form)["DEFAULT"].get_state_dict(progress=False, check_hash=True)
    except Exception as error:
        said = " ".join((str(error) or type(error).__name__).split())
        raise UserError(
            f"{where}: torchvision's weights for {form} could not be downloaded; name a file of them as `weights` ({said[:200]})"
        ) from error
    return renamed(of_tensors(f"torchvision/{form}", held), form, model)


def renamed(held: FirstWeights, form: str, model: nn.Module) -> FirstWeights:
    """`held`, by torchvision's names for `form`, under those of `model`."""
    with torch.device("meta"):
        theirs = list(get_model(form, num_classes=2).state_dict())
    ours = list(model.state_dict())
    assert len(theirs) == len(ours), f"{form}: {len(theirs)} tensors in torchvision, {len(ours)} here"
    return FirstWeights(
        held.origin, held.sha256, {new: held.tensors[old] for old, new in zip(theirs, ours, strict=True)}
    )
