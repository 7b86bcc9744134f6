"""Table of a network's layers, their sums and warnings."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table

from neocog.core import image_size
from neocog.core.image_size import Size
from neocog.drawing import numbers
from neocog.drawing.label_placement import cut
from neocog.inspect.shapes.fit import Window
from neocog.inspect.shapes.layers import Layer

COLUMNS = ("layer", "kind", "output", "filter", "sees", "", "jump", "params", "MACs", "memory")
NAME, KIND = 20, 19  # characters


def show(layers: Sequence[Layer], console: Console, *, title: str, params: int, better: Size | None) -> None:
    """Print a row for each layer, together with the norms and activations behind it; the sums; a sentence for each warning.

    `params`: those of the whole network, of which prediction may leave some unused. `better`: a size of image without warnings.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("layer", "kind", "") else "right", no_wrap=True)
    for layer in folded(layers):
        table.add_row(*_cells(layer), style="yellow" if layer.warning else None)
    console.print(table)
    counted = sum(layer.params for layer in layers)
    memory = sum(layer.activation_bytes for layer in layers)
    said = [
        f"{counted:,} parameters ({_bytes(4 * counted)})",
        f"{sum(layer.macs for layer in layers):,} MACs",
        f"{_bytes(memory)} of activations for one image (fp32)",
    ]
    console.print()
    console.print(", ".join(said), highlight=False)
    if params != counted:
        console.print(f"{params - counted:,} more parameters work in training only", highlight=False)
    for layer in layers:
        if layer.warning:
            console.print(f"WARNING: {layer.warning}", style="yellow", highlight=False, soft_wrap=True)
    if better and any(layer.warning for layer in layers):
        console.print(f"With --image {image_size.option(better)} every layer uses every pixel.", highlight=False)


def folded(layers: Iterable[Layer]) -> list[Layer]:
    """Layers that only change values, such as norms and activations, join the one before them if they go on from it."""
    found: list[Layer] = []
    for layer in layers:
        last = found[-1] if found else None
        plain = layer.kind[0].isupper() and not layer.macs and not layer.windows and layer.input == layer.output
        if last and plain and (last.output, last.receptive_field) == (layer.input, layer.receptive_field):
            found[-1] = replace(
                last,
                kind=f"{last.kind} {layer.kind}",
                params=last.params + layer.params,
                activation_bytes=last.activation_bytes + layer.activation_bytes,
            )
        else:
            found.append(layer)
    return found


def short(name: str, width: int = NAME) -> str:
    """A dotted name in `width` characters: its front parts become a letter and their number, the end stays as it is."""
    parts = name.split(".")
    for place, part in enumerate(parts[:-1]):
        if len(".".join(parts)) > width:
            parts[place] = part[0] + "".join(character for character in part[1:] if character.isdigit())
    whole = ".".join(parts)
    return cut(whole, width, end=False)


def _cells(layer: Layer) -> list[str]:
    kind = layer.kind.replace("2d", "")
    rows, columns = layer.receptive_field
    sees = str(rows) if rows == columns else f"{rows}x{columns}"
    across = str(layer.jump[0]) if layer.jump[0] == layer.jump[1] else "x".join(map(str, layer.jump))
    return [
        short(layer.name) or "(itself)",
        cut(kind, KIND),
        "x".join(map(str, layer.output)),
        _filter(layer.windows),
        sees,
        "all" if layer.sees_all else "",
        across if len(layer.output) > 1 else "",
        _number(layer.params),
        _number(layer.macs),
        _bytes(layer.activation_bytes) if layer.activation_bytes else "",
    ]


def _filter(windows: Sequence[Window]) -> str:
    """`3x3 /2 +1`: filter, stride and padding, `:2` a dilation; what is 1, or no padding, is left out."""
    if not windows:
        return ""
    said = "x".join(str(window.filter) for window in windows)
    for sign, key, usual in (("/", "stride", 1), ("+", "padding", 0), (":", "dilation", 1)):
        values = [getattr(window, key) for window in windows]
        if any(value != usual for value in values):
            said += f" {sign}" + ("x".join(map(str, values)) if len(set(values)) > 1 else str(values[0]))
    return said


def _number(count: int) -> str:
    """Three digits and a unit: 2.36M; nothing for 0."""
    return numbers.count(count) if count else ""


def _bytes(count: int) -> str:
    return f"{_number(count)}B"
