"""The GPU path end to end on one machine: does it train, resume and export rightly, and how fast is it?

    python -m benchmarks.gpu > gpu.json                            # ResNet-50 at 224 px, batches of 256: about ten minutes on one GPU
    python -m benchmarks.gpu --compile --batch-size 512 > gpu.json
    python -m benchmarks.gpu --architecture vit --form vit_b_16 > gpu.json

For a machine with an NVIDIA GPU and no network: it needs torch, pytorch-lightning, timm and neocog with the small packages that those
import; with onnx and onnxruntime the exported graph is held against the network as well. Images are made up: each class has a
pattern of its own under noise. Checked: the network learns, in fp32 and bf16, in both memory formats; bf16 follows fp32; a training
that was cut off goes on and ends where the whole one ends; the network answers on the CPU, and as a graph, as on the device.
Measured: images/s of fit() and of a bare loop over images that lie on the device, and the share that the bare loop reaches of the
device's own peak, which is that of a large matrix product in the same precision, not a data sheet's. One JSON goes to standard
output, progress to standard error. Exit code 1: a check failed.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import parser
from neocog import architectures
from neocog.data.prepared import Prepared, Split
from neocog.training.fit import Fitted, fit
from neocog.training.optimizer import decayed, optimizer
from neocog.training.recipe import Precision, Recipe

CLASSES, CHANNELS = 10, 3
SETTINGS: tuple[tuple[Precision, bool], ...] = (
    ("32-true", False),
    ("32-true", True),
    ("bf16-mixed", False),
    ("bf16-mixed", True),
)  # precision, channels_last
ROUNDS = 3
SAME_CURVE = 0.15  # of fp32's loss: how far bf16 may be from it in the last epoch
SAME_END = 1e-2  # of the loss: how far a resumed training may be from the whole one; on a CPU it is 0
SAME_ANSWER = 2e-2  # of the spread of the outputs: between device and CPU, where TF32 or other kernels round otherwise


@dataclass(frozen=True)
class MadeUp(Prepared):
    """A data set in memory: each class a coarse pattern, under noise."""

    @classmethod
    def of(cls, *, size: int, images: int) -> "MadeUp":
        """`images` for training and a quarter of that, at least 64, for validation."""
        counts = {"train": images, "val": max(64, images // 4), "test": 0}
        each = {split: {str(label): count // CLASSES for label in range(CLASSES)} for split, count in counts.items()}
        return cls(
            Path("unused"), "made up", "classification", tuple(map(str, range(CLASSES))), CHANNELS, (size, size),
            (0.5,) * CHANNELS, (0.25,) * CHANNELS, each, (), "", "", images=counts,
        )  # fmt: skip

    def split(self, name: str, *, limit: int | None = None) -> Split:
        """The images of a split, the same each time."""
        count, chance = self.num_images(name), np.random.default_rng(len(name))
        count = min(count, limit or count)
        patterns = np.random.default_rng(0).integers(64, 192, (CLASSES, 4, 4, CHANNELS), dtype=np.uint8)
        side = self.size[0]
        rows = np.arange(side) * 4 // side
        targets = chance.integers(0, CLASSES, count)
        images = np.empty((count, side, side, CHANNELS), np.uint8)
        for i, target in enumerate(targets):
            noise = chance.integers(0, 64, (side, side, CHANNELS), dtype=np.uint8)
            images[i] = patterns[target][rows][:, rows] + noise - 32
        return Split(images, targets, np.array([str(i) for i in range(count)]))


class Cut(Exception):
    """A training is ended after its first epoch."""


class Checks:
    """What was found, by name: passed or not, and in words."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def add(self, name: str, passed: bool, **said: Any) -> None:
        """Note a check."""
        self.found[name] = {"passed": bool(passed), **said}
        tell(f"{'ok    ' if passed else 'FAILED'} {name}: {', '.join(f'{key} {value}' for key, value in said.items())}")


def tell(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def environment(device: torch.device) -> dict[str, Any]:
    """What it ran on."""
    found: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__, "device": device.type}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        found |= {"name": about.name, "memory_bytes": about.total_memory, "capability": f"{about.major}.{about.minor}"}
        found |= {
            "devices": torch.cuda.device_count(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(do: Callable[[], object], device: torch.device, *, least: float) -> float:
    """Median over rounds of the seconds that `do` takes, repeated for `least` seconds in all."""
    do()
    wait(device)
    found = []
    for _ in range(ROUNDS):
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < least / ROUNDS:
            do()
            wait(device)
            count += 1
        found.append((time.perf_counter() - begin) / count)
    return statistics.median(found)


def peak_flops(device: torch.device, kind: torch.dtype, *, side: int, least: float) -> float:
    """Floating-point operations a second of a product of two square matrices; of fp32 in TF32, as cuDNN's convolutions have it."""
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return 2 * side**3 / seconds(lambda: a @ b, device, least=least)
    finally:
        torch.set_float32_matmul_precision(before)


def bare_loop(
    build: Callable[[], nn.Module],
    data: Prepared,
    recipe: Recipe,
    device: torch.device,
    *,
    compiled: bool,
    least: float,
) -> dict[str, float]:
    """Images a second of training steps on one batch that lies on the device, and the operations of an image forward and backward."""
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    model = build().to(device).to(memory_format=layout).train()
    step = optimizer(model, recipe, decayed=decayed(model))
    images = torch.randn(recipe.batch_size, CHANNELS, *data.size, device=device).contiguous(memory_format=layout)
    labels = torch.randint(0, CLASSES, (recipe.batch_size,), device=device)
    called: Callable[[torch.Tensor], torch.Tensor] = torch.compile(model) if compiled else model

    def train() -> None:
        step.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16-mixed"):
            loss = F.cross_entropy(called(images), labels)
        loss.backward()
        step.step()

    begin = time.perf_counter()
    train()
    wait(device)
    first = time.perf_counter() - begin
    one = build().to(device).train()
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(one(images[:2].contiguous()), labels[:2]).backward()
    speed = recipe.batch_size / seconds(train, device, least=least)
    return {"images_per_second": speed, "first_step_seconds": first, "flops_per_image": counter.get_total_flops() / 2}


def outputs(model: nn.Module, images: np.ndarray, data: Prepared, device: torch.device) -> np.ndarray:
    """What `model` answers on `device`."""
    model = model.to(device).eval()
    packed = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(each, device=device)[:, None, None] for each in (data.mean, data.std))
    with torch.inference_mode():
        found: np.ndarray = model((packed - mean) / std).float().cpu().numpy()
    model.cpu()
    return found


def resumed(train: Callable[..., Fitted], recipe: Recipe, checks: Checks) -> None:
    """Cut a training off after its first epoch, let it go on, and hold it against one that was not."""

    def cut(row: dict[str, float], spent: float, finished: bool) -> None:
        if row["epoch"] == 1:
            raise Cut

    whole = train("whole", recipe)
    try:
        train("resumed", recipe, on_epoch=cut)
    except Cut:
        tell("cut off after epoch 1")
    again = train("resumed", recipe)
    bits = all(
        torch.equal(a, b)
        for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    )
    losses = [each.history[-1]["train/loss"] for each in (whole, again)]
    away = abs(losses[0] - losses[1]) / abs(losses[0])
    checks.add("resume", len(again.history) == recipe.epochs and away <= SAME_END, same_bits=bits, loss_differs_by=away)


def exported(model: nn.Module, data: Prepared, device: torch.device, checks: Checks) -> None:
    """Hold the network's answers on the device against those on the CPU, and its graph against those."""
    images = data.split("val").images[:64]
    here, there = outputs(model, images, data, torch.device("cpu")), outputs(model, images, data, device)
    error = float(np.abs(here - there).max() / here.std())
    checks.add("device and CPU answer alike", error <= SAME_ANSWER, relative_error=error)
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        tell(f"the graph is not checked: {', '.join(missing)} not installed")
        checks.found["export"] = {"passed": None, "missing": missing}
        return
    from neocog.bundle import parity

    try:
        checks.add("export", True, **parity.prove(model.cpu().eval(), data).parity)
    except parity.ParityError as error_:
        checks.add("export", False, said=str(error_))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, with those of a trial run in their place."""
    options = parser("gpu", __doc__)
    options.add_argument("--architecture", default="resnet", help="(default: %(default)s)")
    options.add_argument("--form", default="resnet50", help="small or a published one (default: %(default)s)")
    options.add_argument("--size", type=int, default=224, help="side of the images in pixels (default: %(default)s)")
    options.add_argument("--batch-size", type=int, default=256, help="(default: %(default)s)")
    options.add_argument("--images", type=int, default=10_240, help="for training (default: %(default)s)")
    options.add_argument("--lr", type=float, default=0.05, help="(default: %(default)s)")
    options.add_argument("--seconds", type=float, default=10.0, help="of each measurement (default: %(default)s)")
    options.add_argument("--compile", action="store_true", help="time the bare loop with torch.compile too")
    asked = options.parse_args(arguments)
    if asked.tiny:
        asked.architecture, asked.form, asked.size, asked.batch_size, asked.images = "lenet", "small", 16, 32, 320
        asked.seconds, asked.lr = 0.2, 0.1
    return asked


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, measure, and print the JSON."""
    asked = parsed(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() and not asked.tiny else "cpu")
    if device.type == "cpu" and not asked.tiny:
        tell("no GPU is seen by PyTorch: everything runs on the CPU")
    data = MadeUp.of(size=asked.size, images=asked.images)
    recipe = Recipe(
        epochs=2, batch_size=asked.batch_size, lr=asked.lr, label_smoothing=0.0, accelerator="gpu" if device.type == "cuda" else "cpu",
        threads=1 if asked.tiny else 0,
    )  # fmt: skip
    sizes = {} if asked.form == "small" else {"form": asked.form}
    shape: dict[str, Any] = {"channels": CHANNELS, "size": data.size, "classes": CLASSES}

    def build() -> nn.Module:
        return architectures.build(asked.architecture, **shape, sizes=sizes)

    checks, speeds = Checks(), []
    with tempfile.TemporaryDirectory() as temporary:

        def train(label: str, recipe: Recipe, **more: Any) -> Fitted:
            torch.manual_seed(0)
            return fit(build, data, recipe, name=asked.architecture, work=Path(temporary) / label, **more)

        trained = {}
        for precision, channels_last in SETTINGS:
            now = replace(recipe, precision=precision, channels_last=channels_last)
            label = f"{precision}, {'channels_last' if channels_last else 'contiguous'}"
            found = trained[precision, channels_last] = train(label, now)
            losses = [row["train/loss"] for row in found.history]
            checks.add(f"learns ({label})", found.device == device.type and losses[-1] < losses[0], losses=losses)
            kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
            peak = peak_flops(device, kind, side=256 if asked.tiny else 8192, least=asked.seconds / 2)
            for compiled in (False, True) if asked.compile else (False,):
                bare = bare_loop(build, data, now, device, compiled=compiled, least=asked.seconds)
                own = (
                    {}
                    if compiled
                    else {"fit_images_per_second": found.images_per_second, "fit_data_wait": found.wait_share}
                )
                reached = bare["images_per_second"] * bare["flops_per_image"]
                speeds.append(
                    {"precision": precision, "channels_last": channels_last, "compiled": compiled, **own}
                    | {f"bare_{key}": value for key, value in bare.items()}
                    | {"peak_flops": peak, "share_of_peak": reached / peak}
                )
                how, speed = ", compiled" if compiled else "", bare["images_per_second"]
                tell(f"       bare loop{how}: {speed:,.0f} images/s, {reached / peak:.0%} of peak")
        full, half = (trained[precision, True].history[-1]["train/loss"] for precision in ("32-true", "bf16-mixed"))
        first = trained["32-true", True].history[0]["train/loss"]
        checks.add("bf16 follows fp32", abs(full - half) <= SAME_CURVE * first, fp32=full, bf16=half)
        resumed(train, replace(recipe, precision="bf16-mixed"), checks)
        exported(trained["32-true", True].model, data, device, checks)
    settings = {key: getattr(asked, key) for key in ("architecture", "form", "size", "batch_size", "images")}
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    report = {
        "environment": environment(device),
        "settings": settings,
        "checks": checks.found,
        "speed": speeds,
        "peak_memory_bytes": memory,
    }
    print(json.dumps(report, indent=2))
    if any(found["passed"] is False for found in checks.found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
