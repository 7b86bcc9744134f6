"""Which memory format and precision trains a network fastest on this machine: measured, so that params.yaml can state it."""

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neocog.core.image_size import Size
from neocog.tasks.task import Task
from neocog.training import dry_run, gradients

Loss = Callable[[Any, torch.Tensor], torch.Tensor]
ROUNDS = 3


@dataclass(frozen=True)
class TrainingSpeed:
    """Images per second of whole training steps with one combination of settings."""

    channels_last: bool
    precision: str
    images_per_second: float
    wrong: str | None = None  # the first layer whose gradients in this precision are not those of fp32


def measure(
    build: Callable[[], nn.Module],
    *,
    task: Task,
    channels: int,
    size: Size,
    classes: int,
    batch_size: int,
    name: str = "the network",
    seconds: float = 2.0,
    on_turn: Callable[[str], None] = lambda text: None,
) -> list[TrainingSpeed]:
    """Time forward, backward and step of `build()` in turns, about `seconds` a combination; fastest first, those with wrong gradients last.

    The numbers do not matter for speed: images of [`channels`, *`size`] and targets of the `task` are random.
    Raises UserError, which calls the network `name`, when it takes no images of that size.
    """
    dry_run.build_for(build, name=name, channels=channels, size=size, batch_size=batch_size, key="--size")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precisions = ["32-true", "bf16-mixed"] + (["16-mixed"] if device.type == "cuda" else [])
    combinations = list(itertools.product([False, True], precisions))
    speeds: dict[tuple[bool, str], list[float]] = {combination: [] for combination in combinations}
    for turn in range(ROUNDS):
        for channels_last, precision in combinations:
            on_turn(f"round {turn + 1}/{ROUNDS}: {'channels_last' if channels_last else 'default layout'}, {precision}")
            layout = torch.channels_last if channels_last else torch.contiguous_format
            model = build().to(device).to(memory_format=layout).train()
            images = torch.randn(batch_size, channels, *size, device=device).contiguous(memory_format=layout)
            targets = task.objective.random(batch_size, classes=classes, size=size).to(device)
            step = _step(model, images, targets, loss=task.objective.loss, precision=precision)
            speeds[channels_last, precision].append(_images_per_second(step, batch_size, seconds / ROUNDS, device))
    found = [
        TrainingSpeed(
            *each,
            statistics.median(turns),
            _wrong(build, *each, images=images, targets=targets, loss=task.objective.loss),
        )
        for each, turns in speeds.items()
    ]
    return sorted(found, key=lambda speed: (speed.wrong is not None, -speed.images_per_second))


def _wrong(
    build: Callable[[], nn.Module],
    channels_last: bool,
    precision: str,
    *,
    images: torch.Tensor,
    targets: torch.Tensor,
    loss: Loss,
) -> str | None:
    """The first layer whose gradients in `precision` are not those of fp32."""
    if precision not in gradients.CHECKED:
        return None
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = build().to(images.device).to(memory_format=layout)
    few, of = images[: gradients.IMAGES].contiguous(memory_format=layout), targets[: gradients.IMAGES]
    return gradients.wrong_layer(model, few, lambda model, images: loss(model(images), of), precision)


def _step(
    model: nn.Module, images: torch.Tensor, targets: torch.Tensor, *, loss: Loss, precision: str
) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    kind = torch.float16 if precision == "16-mixed" else torch.bfloat16

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(images.device.type, kind, enabled=precision != "32-true"):
            value = loss(model(images), targets)
        value.backward()
        optimizer.step()

    return step


def _images_per_second(step: Callable[[], None], batch_size: int, seconds: float, device: torch.device) -> float:
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    step()
    step()
    wait()
    begin, steps = time.perf_counter(), 0
    while not steps or time.perf_counter() - begin < seconds:
        step()
        wait()
        steps += 1
    return steps * batch_size / (time.perf_counter() - begin)
