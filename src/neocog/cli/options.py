"""Options that several verbs share: checks of their values, and defaults from params.yaml and data/prepared."""

import argparse
from pathlib import Path
from typing import Any

from neocog import architectures
from neocog.core import constrained_types, errors, params_yaml
from neocog.core.image_size import Size
from neocog.tasks.task import Task, task


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return int(text)


def image_size(text: str) -> Size:
    """28 or 28x40, for argparse: the side of square images, or height x width."""
    sides = [int(side) for side in text.lower().split("x")]
    if len(sides) > 2 or min(sides) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a side in pixels, or height x width such as 28x40")
    return sides[0], sides[-1]


def at_least(options: argparse.Namespace, **least: int) -> None:
    """Raise UserError when an option is below its least value."""
    for name, lowest in least.items():
        if (value := getattr(options, name)) < lowest:
            raise errors.UserError(f"--{name.replace('_', '-')} {value} must be at least {lowest}")


def within(option: str, value: int | None, largest: int, *, why: str = "") -> None:
    """Raise UserError when the value of an option is above the largest that makes sense."""
    if value is not None and value > largest:
        raise errors.UserError(f"{option} (={value}) must be at most {largest}{why}")


def params_file() -> dict[str, Any]:
    """params.yaml, where there is one. Raises UserError when it cannot be read."""
    path = Path("params.yaml")
    return params_yaml.read(path) if path.exists() else {}


def network(name: str) -> tuple[architectures.ArchitectureCard, dict[str, Any], int]:
    """The architecture of a block of params.yaml or of that name itself, the block if there is one, and its batch size."""
    from neocog.core import validation
    from neocog.params import block

    raw = params_file()
    given = {key: {} if raw.get(key) is None else raw[key] for key in ("architectures", "train")}
    for key, section in given.items():
        if not isinstance(section, dict):
            raise errors.UserError(f"params.yaml: {key} (={section!r}) must be a block of keys")
    found = given["architectures"].get(name)
    found = {} if found is None else found
    if name not in given["architectures"]:
        architectures.card(name)
    block.check(name, found)
    batch = {"batch_size": (given["train"] | found).get("batch_size", 64)}
    where = f"architectures.{name}" if "batch_size" in found else "train"
    validation.keywords({"batch_size": (constrained_types.AtLeast1, 64)}, where, batch)
    return architectures.card(block.architecture(name, found)), found, batch["batch_size"]


def image_shape(size: Size | None, channels: int | None) -> dict[str, Any]:
    """Size, channels and classes: as asked for, else those of data/prepared, else 28, 1 and 10."""
    from neocog.data import prepared

    found = prepared.read("data/prepared") if Path("data/prepared/dataset.json").is_file() else None
    return {
        "size": size or (found.size if found else (28, 28)),
        "channels": channels or (found.channels if found else 1),
        "classes": len(found.classes) if found else 10,
    }


def data_task() -> Task:
    """The task of the data in params.yaml; classification where it is not said. Raises UserError for an unknown one."""
    from neocog.params import judged

    data = params_file().get("data")
    return task(judged.task_of({"data": data if isinstance(data, dict) else {}}))


def add_image(parser: argparse.ArgumentParser) -> None:
    """Add `--image FILE` and `--sample N`, of which one may be given."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--image", metavar="FILE", type=Path, help="any picture; resized as `prepare` does")
    which.add_argument(
        "--sample",
        metavar="N",
        type=int,
        help="test image N of data/prepared, from 0 (default: the first it gets right)",
    )
