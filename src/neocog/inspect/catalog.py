"""Catalog of architectures as text: a line each, or everything about one. Read from their source, without torch."""

import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any, get_args

from neocog import architectures, compression
from neocog.architectures.blocks import CHOICES
from neocog.drawing import numbers

SMALL_IS = "small: 28 px, gray, ten classes; others: their own size, RGB, 1000 classes"


def table() -> str:
    """A line for each architecture: year, name, parameters and multiply-accumulates of its small form, what it brought, other forms."""
    lines = [f"{'year':4}  {'name':<12} {'params':>7} {'MACs':>7}  {'what it brought':<62} other forms"]
    for name in architectures.names():
        card = architectures.card(name)
        params, macs = card.forms[architectures.SMALL]
        others = ", ".join(form for form in card.forms if form != architectures.SMALL)
        line = f"{card.year}  {name:<12} {numbers.count(params):>7} {numbers.count(macs):>7}  {card.idea:<62} {others}"
        lines.append(line.rstrip())
    return "\n".join(
        [
            *lines,
            "",
            "params and MACs of the small form (28 px, gray, ten classes). `neocog models resnet` tells all of one.",
        ]
    )


def page(name: str) -> str:
    """Paper and idea of one architecture, its forms, and the keys that its block in params.yaml may hold."""
    card = architectures.card(name)
    width = min(100, shutil.get_terminal_size().columns)
    parts = [textwrap.fill(" ".join(part.split()), width) for part in re.split(r"\n\s*\n", card.about)]
    forms = [
        f"  {form:<24} {numbers.count(params):>7} params {numbers.count(macs):>7} MACs"
        for form, (params, macs) in card.forms.items()
    ]
    return "\n".join(
        [
            f"{name} ({card.year})",
            "",
            "\n\n".join(parts),
            "",
            f"Forms ({SMALL_IS}):",
            *forms,
            "",
            "Compressed by:",
            *_methods(name),
            "",
            "Keys of its block in params.yaml, with their defaults (and any key of `train`):",
            *_keys(card),
        ]
    )


def _methods(name: str) -> Iterator[str]:
    for method in compression.names():
        about = compression.card(method)
        reason = about.refuses.get(name)
        yield f"  {method:<20} {f'no: {reason}' if reason else about.idea}"


def _keys(card: architectures.ArchitectureCard) -> Iterator[str]:
    for key, (kind, default) in card.sizes.items():
        choices = get_args(CHOICES[key]) if key in card.blocks else get_args(kind) if key == "form" else ()
        allowed = " | ".join(choices) if choices else ""
        yield f"  {key + ':':<16} {_yaml(default):<20} {allowed}".rstrip()


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)
