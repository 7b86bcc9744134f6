"""Which classes an image shows, as indices and in words."""

from collections.abc import Sequence
from typing import Any

from neocog.data.prepared import Prepared
from neocog.tasks.task import task


def shown(prepared: Prepared, targets: Any) -> list[tuple[int, ...]]:
    """The classes of each image, by the targets of N images."""
    found: list[tuple[int, ...]] = task(prepared.task).targets.shown(targets)
    return found


def words(prepared: Prepared, targets: Any) -> list[str]:
    """The classes of each image by name: `Coat`, or `3, 8`, or `no class`."""
    return [", ".join(prepared.classes[each] for each in one) or "no class" for one in shown(prepared, targets)]


def together(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Words without repetition, and of each word its place among them."""
    once = list(dict.fromkeys(names))
    places = {name: place for place, name in enumerate(once)}
    return once, [places[name] for name in names]
