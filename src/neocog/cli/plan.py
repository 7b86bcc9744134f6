"""`neocog plan`: dry run of a training over many devices on one CPU."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from neocog import architectures
from neocog.cli.options import image_shape, image_size, network, params_file, positive, within
from neocog.core import constrained_types, errors, output
from neocog.core.image_size import format_size
from neocog.core.machine import UNITS, memory_size

IMAGES = 60_000
FILES = ("pretrained", "weights")  # keys of a block that read weights, whose content does not matter here


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "plan",
        help="whether a training fits on devices that are not here: batches, steps, memory, what to change",
        description="Plan the training of ARCH over --nodes machines of --gpus devices, with the settings of its block in "
        "params.yaml: images of a batch on each device, steps an epoch, memory on the device that needs most, whether it fits, and "
        "what to change if not (exit code 3). Nothing is trained and no device is needed: the memory is that of the tensors of one "
        "step, by PyTorch's own tracker over tensors without content; 1 GiB and a tenth of the rest are left for what is no tensor.",
        epilog="example: neocog plan resnet --nodes 8 --gpus 8 --memory 80G",
    )
    parser.add_argument(
        "architecture", metavar="ARCH", help=f"a block of params.yaml, or one of {', '.join(architectures.names())}"
    )
    parser.add_argument("--nodes", type=positive, metavar="N", help="machines (default: num_nodes of params.yaml)")
    parser.add_argument("--gpus", type=positive, metavar="N", help="devices of each (default: devices of params.yaml)")
    parser.add_argument(
        "--memory", type=size_in_bytes, default=80 * 2**30, metavar="M", help="of each device: 24G, 80G (default)"
    )
    parser.add_argument("--strategy", choices=("ddp", "fsdp"), help="(default: as in params.yaml, else ddp)")
    parser.add_argument(
        "--batch-size", type=positive, metavar="N", help="of all devices together (default: as in params.yaml)"
    )
    parser.add_argument(
        "--precision", choices=("32-true", "bf16-mixed", "bf16-true", "16-mixed"), help="(default: as in params.yaml)"
    )
    parser.add_argument("--form", metavar="F", help="a published form such as resnet50 (default: as in params.yaml)")
    parser.add_argument(
        "--size",
        type=image_size,
        help="of the images in pixels, as 224 or 180x320 (default: that of data/prepared, else 28)",
    )
    parser.add_argument(
        "--channels", type=int, choices=(1, 3), help="of the images (default: those of data/prepared, else 1)"
    )
    parser.add_argument(
        "--images", type=positive, metavar="N", help=f"for training (default: those of data/prepared, else {IMAGES:,})"
    )
    parser.add_argument("--classes", type=positive, metavar="K", help="(default: those of data/prepared, else 10)")
    parser.set_defaults(run=_run)


def size_in_bytes(text: str) -> int:
    """Bytes of `80G`, `24576M`, for argparse; G are 2^30."""
    size = memory_size(text)
    if not size:
        raise argparse.ArgumentTypeError(f"{text} is no amount of memory such as 80G")
    return size


def _run(options: argparse.Namespace) -> None:
    card, block, _ = network(options.architecture)
    within("--size", options.size and max(options.size), constrained_types.LARGEST_IMAGE)
    within("--classes", options.classes, constrained_types.MOST)
    form = {"form": options.form} if options.form else {}
    if options.form and options.form not in card.forms:
        raise errors.UserError(
            f"--form {options.form}: {card.name} has no such form; {errors.nearest(options.form, card.forms)}"
        )
    sizes = {key: value for key, value in block.items() if key in card.sizes and key not in FILES and not form} | form
    shape = image_shape(options.size, options.channels)
    shape["classes"] = options.classes or shape["classes"]

    from rich.table import Table

    from neocog.data import prepared
    from neocog.inspect import plan

    there = Path("data/prepared/dataset.json").is_file()
    images = options.images or (prepared.read("data/prepared").num_images("train") if there else IMAGES)
    recipe = _recipe(options)
    planned = plan.PlannedNetwork(
        lambda: architectures.build(card.name, **shape, sizes=sizes), card.name, shape["channels"], shape["size"]
    )
    console, available = output.console(), plan.usable(options.memory)
    with console.status("a step without data ..."):
        epoch = plan.epoch(recipe, images)
        needed = plan.memory(planned, recipe)
    fits = needed.total <= available
    table = Table(
        title=f"{options.architecture} at {format_size(shape['size'])} px over {recipe.num_nodes} x {recipe.devices} devices, "
        f"strategy {recipe.strategy}, precision {recipe.precision}, optimizer {recipe.optimizer}",
        show_header=False,
    )
    share = f"{epoch.share}" if epoch.share == epoch.smallest_share else f"{epoch.smallest_share} or {epoch.share}"
    table.add_row("images of a batch", f"{recipe.batch_size:,} on all devices, {share} on each")
    table.add_row("images of an optimizer step", f"{recipe.batch_size * recipe.accumulate:,}")
    left = f"; {epoch.left_out:,} others each epoch fill no batch" if epoch.left_out > 0 else ""
    table.add_row("an epoch", f"{images:,} images, {epoch.batches:,} batches, {epoch.steps:,} steps{left}")
    for name in ("weights", "gradients", "optimizer", "activations"):
        table.add_row(f"{name} on a device", _told(getattr(needed, name)))
    table.add_row("together", f"{_told(needed.total)} of {_told(available)} that tensors may fill")
    largest = plan.largest_batch(recipe, needed, available=available)
    table.add_row("largest batch that fits", f"about {largest:,}" if largest else "none: not even one image a device")
    console.print(table)
    if fits:
        console.print(f"It fits: {needed.total / available:.0%} of the memory.")
        return
    works = []
    for option in plan.options(planned, recipe, needed, available=available):
        does = option.memory.total <= available
        said = ", ".join(f"{key}: {value}" for key, value in option.changes.items())
        console.print(f"  with {said}: {_told(option.memory.total)}, {'fits' if does else 'does not fit'}")
        works += [said] if does else []
    remedy = f"set {works[0]}" if works else "use devices with more memory, or a smaller network or image"
    raise errors.OutOfMemory(
        f"{options.architecture} does not fit: a step needs {_told(needed.total)} on a device, and tensors may fill {_told(available)} "
        f"of its {_told(options.memory)}; {remedy}"
    )


def _recipe(options: argparse.Namespace) -> Any:
    """The recipe of the block in params.yaml, or the default one, over the devices asked for."""
    from neocog.params import load
    from neocog.training.recipe import Recipe

    raw = params_file()
    known = options.architecture in (raw.get("architectures") or {})
    recipe = load.for_stage(f"train@{options.architecture}").recipe(options.architecture) if known else Recipe()
    devices = options.gpus or (recipe.devices if isinstance(recipe.devices, int) else 1)
    nodes = options.nodes or recipe.num_nodes
    several = devices * nodes > 1
    chosen = options.strategy or (recipe.strategy if recipe.strategy != "auto" else "ddp")
    return replace(
        recipe,
        devices=devices,
        num_nodes=nodes,
        strategy=chosen if several else "auto",
        batch_size=options.batch_size or recipe.batch_size,
        precision=options.precision or recipe.precision,
        accelerator="auto",
        on_oom="stop",
    )


def _told(size: int) -> str:
    unit = next(unit for unit in ("T", "G", "M", "K", "") if size >= UNITS[unit] or not unit)
    return f"{size / UNITS[unit]:.3g} {unit}{'i' if unit else ''}B"
