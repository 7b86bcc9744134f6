"""Explanations on the report: of the best network with feature maps and the best with attention, for chosen test images.

reports/explained/explained.json    which images of which model, which methods
reports/explained/maps.npz          `<model>/<method>`: float16 [N, H, W], in that order
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.bundle.read import Bundle
from neocog.core.image_size import format_size
from neocog.inspect import explain
from neocog.inspect.explain import batch_size

WHERE = ("grad_cam", "rollout")  # the first needs a network with feature maps, the second attention
BESIDE = "integrated_gradients"
SLOW = 30.0  # seconds that a network may take without a word


@dataclass(frozen=True)
class ExplainedModel:
    """A model, the methods (the `signed` tell what spoke against an answer too), and the rows of the test split by kind of answer."""

    model: str
    methods: tuple[str, ...]
    signed: tuple[str, ...]
    rows: dict[str, list[int]]


def choose(bundles: Sequence[Bundle], images: NDArray[np.uint8]) -> Iterator[tuple[Bundle, nn.Module, tuple[str, ...]]]:
    """The first bundle, of the best first, that each method of WHERE can explain, each bundle once."""
    wanted = list(WHERE)
    for bundle in bundles:
        if not wanted:
            return
        model = explain.network(bundle)
        given = explain.inputs(bundle, images[:1])
        able = [where for where in wanted if not explain.method(where).missing(model, given)]
        if able:
            wanted = [where for where in wanted if where not in able]
            yield bundle, model, tuple(dict.fromkeys((*able, WHERE[0], BESIDE)))


def shown(bundle: Bundle, methods: Sequence[str], chosen: dict[str, list[int]]) -> ExplainedModel:
    """That `bundle` is shown by `methods` with the rows `chosen`."""
    signed = tuple(name for name in methods if explain.method(name).SIGNED)
    return ExplainedModel(bundle.model, tuple(methods), signed, chosen)


def expected_seconds(model: nn.Module, images: Tensor, methods: Sequence[str]) -> float:
    """How long `methods` will take for all images [N, C, H, W], by the time that a batch of them takes forward and backward."""
    batch = images[: batch_size(images)].clone().requires_grad_()
    took = []
    for _ in range(3):
        began = perf_counter()
        torch.autograd.grad(model(batch).sum(), batch)
        took.append(perf_counter() - began)
    passes = sum(getattr(explain.method(name), "STEPS", 1) for name in methods)
    return min(took) * passes * len(images) / len(batch)


def cost_warning(name: str, model: nn.Module, images: Tensor, methods: Sequence[str], *, each: int) -> str:
    """A sentence on how long the network `name` will take, if that is long; empty if not. `each`: images of each kind."""
    seconds = expected_seconds(model, images, methods)
    if seconds < SLOW:
        return ""
    shape = f"{len(images)} images of {format_size((images.shape[2], images.shape[3]))} px"
    return f"explain: about {seconds:.0f} s for {name}: {shape} by {', '.join(methods)}; explain.images (={each}) of each kind"


def maps(
    bundle: Bundle, model: nn.Module, methods: Sequence[str], *, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> dict[str, NDArray[np.float16]]:
    """Maps [N, H, W] by each method of what speaks for the outputs `targets` [N] in `images` uint8 [N, H, W, C]."""
    given, index = explain.inputs(bundle, images), torch.from_numpy(targets)
    drawn = {}
    for name in methods:
        found = explain.method(name).maps(model, given, index).detach().numpy()
        largest = np.abs(found).max(axis=(1, 2), keepdims=True)
        drawn[name] = np.divide(found, largest, out=np.zeros_like(found), where=largest > 0).astype(np.float16)
    return drawn


def write(folder: Path, shown: Sequence[ExplainedModel], drawn: dict[str, NDArray[np.float16]]) -> None:
    """Both files."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "maps.npz", **drawn)  # type: ignore[arg-type]
    (folder / "explained.json").write_text(json.dumps([asdict(each) for each in shown], indent=2) + "\n")
