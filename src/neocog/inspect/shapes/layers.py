"""A network, layer by layer, as one image goes through it: run once on the `meta` device, where tensors have shapes and no memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from neocog.core import image_size
from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.inspect.shapes import unused_pixels
from neocog.inspect.shapes.fit import Window
from neocog.inspect.shapes.recorder import ModuleCost, Recorder, TooSmall


@dataclass(frozen=True)
class Layer:
    """What one layer does to one image; shapes without the batch, pairs for rows and columns.

    `windows`: filter, stride, padding and dilation by dimension, if something slides. `receptive_field`: image pixels that an output
    depends on, padding included, so it may be wider than the image; `sees_all`: each output depends on the whole image. `jump`: image
    pixels from one output to the next. `params`: parameters, counted where they are used first. `macs`: multiply-accumulates of
    convolutions and matrix products. `activation_bytes`: float32 tensors newly made; views and what happens in place make none.
    `warning`: pixels that nothing looks at; `better_image`: the size of image that cures it, square if the image is.
    """

    name: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    windows: tuple[Window, ...]
    receptive_field: tuple[int, int]
    sees_all: bool
    jump: tuple[int, int]
    params: int
    macs: int
    activation_bytes: int
    warning: str | None
    better_image: Size | None


def layers_of(build: Callable[[], nn.Module], *, channels: int, size: Size | int) -> tuple[nn.Module, list[Layer]]:
    """The network that `build` makes, and its layers: on `meta`, or for real where a network needs numbers to be built or run."""
    try:
        with torch.device("meta"):
            model = build()
        return model, layers(model, channels=channels, size=size)
    except TooSmall:
        raise
    except (UserError, RuntimeError):
        model = build()
        return model, layers(model, channels=channels, size=size)


def layers(model: nn.Module, *, channels: int, size: Size | int) -> list[Layer]:
    """What happens to an image [channels, *size] in `model`, which is put into evaluation mode; in the order of the computation.

    A layer is a module without others in it that computes something, or what a larger module computes itself between its parts: a sum, a
    concatenation, an attention. Raises TooSmall, or UserError for a layer that cannot take what it gets.
    """
    size = image_size.pair(size)
    weights = [*model.parameters(), *model.buffers()]
    image = torch.zeros(1, channels, *size, device=weights[0].device if weights else "cpu")
    recorder = Recorder(image)
    hooks = []
    for name, module in model.named_modules():
        hooks += [
            module.register_forward_pre_hook(lambda module, _, name=name: recorder.enter(name, module)),
            module.register_forward_hook(lambda *_: recorder.leave()),
        ]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it would hide the products
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), recorder:
            model.eval()(image)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"{recorder.layer} fails on an image of {image_size.format_size(size)} pixels: {error}"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for hook in hooks:
            hook.remove()
    return [_layer(part, size) for part in recorder.parts]


def _layer(part: ModuleCost, size: Size) -> Layer:
    assert part.sight is not None
    kind = part.module if part.whole else _kind(part.operators)
    slid = part.slid
    return Layer(
        name=part.name,
        kind=kind,
        input=part.input,
        output=part.output,
        windows=tuple(slid.windows) if slid else (),
        receptive_field=part.sight.field(),
        sees_all=part.sight.sees_all(size),
        jump=part.sight.jump,
        params=part.params,
        macs=part.macs,
        activation_bytes=part.bytes,
        warning=unused_pixels.sentence(f"{part.name} ({kind})", slid, image=size) if slid else None,
        better_image=unused_pixels.image_that_fits(slid, image=size) if slid else None,
    )


def _kind(operators: Sequence[str]) -> str:
    """What a module does between others in it, from its operators: `cat`, `mul + add`, `attention`."""
    if "bmm" in operators and any("softmax" in name for name in operators):
        return "attention"
    return (
        " + ".join(dict.fromkeys(name.removeprefix("native").strip("_") for name in operators if name != "clone"))
        or "reshape"
    )
