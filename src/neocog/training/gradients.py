"""Check a network's gradients in a reduced precision against those in fp32, before the first epoch.

Found with torch 2.15 on processors with AVX512-BF16: the bf16 weight gradient of a 3x3 convolution of stride 2 over 1x1 maps holds
memory that was never written. Such a training ends in infinite weights or, worse, in wrong ones.
"""

import copy
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn

from neocog.core.errors import UserError
from neocog.data.augment import normalize
from neocog.data.prepared import Prepared
from neocog.training.module import Learner
from neocog.training.programs.supervised import SupervisedLearning
from neocog.training.recipe import Recipe

CHECKED = ("bf16-mixed", "bf16-true")  # 16-mixed has a scaler, which skips steps that are not finite
IMAGES = 32  # of the batch: fp32 takes twice the memory, and an error of a kernel shows with any number
PASSES = 3  # backward: unwritten memory is wrong only now and then
TRIES = 40  # of the one convolution that is known to be wrong: 4 to 19 of 20 were
SMALLEST_COSINE = 0.5  # over all architectures a right gradient in bf16 has 0.88 and more, a wrong one 0.0
NEGLIGIBLE = 1e-6  # of the largest gradient: what only rounding makes different from 0 has no direction


def check(
    model: nn.Module, data: Prepared, recipe: Recipe, *, program: SupervisedLearning, name: str, device: torch.device
) -> None:
    """Raise UserError, which calls the network `name`, if a layer's gradients in the recipe's precision are not those of fp32.

    Neither `model` nor the state of any random generator changes.
    """
    if recipe.precision not in CHECKED or not program.backpropagates:
        return
    split = data.split("train", limit=min(IMAGES, recipe.batch_size))
    learner = Learner.of(copy.deepcopy(model), data, recipe, program=program).to(device)
    packed, targets = (torch.from_numpy(each.copy()).to(device) for each in (split.images, split.targets))
    images = normalize(packed, mean=learner.mean, std=learner.std)
    found = wrong_layer(learner, images, lambda _, images: learner.loss(images, targets)[0], recipe.precision)
    if found:
        raise UserError(
            f"{name} cannot be trained with precision (={recipe.precision}) on this machine: the gradient of "
            f"{found.removeprefix('model.')} is not that of fp32 (an error of torch {torch.__version__} for this processor); "
            "set precision: 32-true"
        )


def wrong_layer(
    model: nn.Module, images: Tensor, loss: Callable[[nn.Module, Tensor], Tensor], precision: str
) -> str | None:
    """The first layer of `model` whose gradient of `loss(model, images [N, C, H, W])` is wrong in `precision`, and its cosine with fp32's.

    A layer of the kind that is known to be wrong on this processor counts even if it happens to be right now. Changes `model`: give a copy.
    """
    model.train()
    over_pixels: list[str] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            module.register_forward_pre_hook(partial(_note_single_pixels, over_pixels, name))
    for module in model.modules():
        if any(word in type(module).__name__.lower() for word in ("drop", "stochastic")):
            module.eval()  # the same images, the same paths
    with torch.random.fork_rng():
        [right] = _gradients(model, images, loss, passes=1)
        if over_pixels and images.device.type == "cpu" and is_wrong_over_single_pixels():
            return f"{over_pixels[0]}.weight (over maps of one pixel)"
        largest = max((float(each.norm()) for each in right.values()), default=0.0)
        mixed = precision.endswith("mixed")
        if not mixed:
            model, images = model.to(torch.bfloat16), images.to(torch.bfloat16)
        for module in model.modules():
            if list(module.parameters(recurse=False)):
                module.register_forward_hook(_spoil_free_memory)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=mixed):
            passes = _gradients(model, images, loss, passes=PASSES)
    for layer, gradient in right.items():
        for other in (each[layer] for each in passes):
            cosine = float(nn.functional.cosine_similarity(gradient.flatten(), other.flatten(), dim=0))
            if not other.isfinite().all():
                return f"{layer} (not finite)"
            if gradient.norm() > NEGLIGIBLE * largest and cosine < SMALLEST_COSINE:
                return f"{layer} (cosine {cosine:.2f})"
    return None


def _note_single_pixels(found: list[str], name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    if inputs[0].shape[-2:] == (1, 1):
        found.append(name)


@cache
def is_wrong_over_single_pixels() -> bool:
    """Whether this processor's bf16 gradient of a 3x3 convolution of stride 2 over maps of 1x1 is wrong."""
    images, weight = torch.randn(32, 64, 1, 1), torch.randn(96, 64, 3, 3)

    def gradient(kind: torch.dtype) -> Tensor:
        own = weight.to(kind, copy=True).requires_grad_()
        nn.functional.conv2d(images.to(kind), own, stride=2, padding=1).sum().backward()
        assert own.grad is not None
        return own.grad.float()

    with torch.enable_grad():
        right = gradient(torch.float32)
        return not all(torch.allclose(gradient(torch.bfloat16), right, rtol=0.1, atol=0.5) for _ in range(TRIES))


def _gradients(
    model: nn.Module, images: Tensor, loss: Callable[[nn.Module, Tensor], Tensor], *, passes: int
) -> list[dict[str, Tensor]]:
    """By weight, in double precision, of `passes` times backward. Biases are left out: before a normalization their gradient is noise."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.ndim > 1 and weight.requires_grad}
    value = loss(model, images)
    found = []
    for _ in range(passes):
        gradients = torch.autograd.grad(value, list(weights.values()), retain_graph=True, allow_unused=True)
        named = zip(weights, gradients, strict=True)
        found.append({name: each.double() for name, each in named if each is not None})
    return found


def _spoil_free_memory(module: nn.Module, _: object, output: object) -> None:
    """Before `module` goes backward, let memory as large as its weights be free and hold NaN, so that reading it unwritten shows."""
    if not isinstance(output, Tensor) or not output.requires_grad:
        return
    shapes = [(weight.shape, weight.device) for weight in module.parameters(recurse=False)]

    def spoil(_: Tensor) -> None:
        for kind in (torch.bfloat16, torch.float32):
            for shape, device in shapes:
                held = [torch.full(shape, float("nan"), dtype=kind, device=device) for _ in range(4)]
                held.clear()

    output.register_hook(spoil)
