"""An architecture's block in params.yaml: what it may hold, and whether it makes sense. No torch."""

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le

from neocog import architectures
from neocog.core.errors import UserError, nearest
from neocog.core.validation import keywords
from neocog.training.recipe import KEYS

TIMES: dict[str, tuple[Any, Any]] = {"seeds": (Annotated[int, Ge(1), Le(1000)], 1)}  # how often to train it


def check(name: str, values: Any) -> None:
    """Raise UserError for the first thing that is wrong with the block `values` of an architecture, but for its recipe."""
    if name not in (known := architectures.names()):
        raise UserError(f"params.yaml: architectures.{name}: there is no such architecture; {nearest(name, known)}")
    sizes = architectures.card(name).sizes
    if not isinstance(values, dict):
        raise UserError(
            f"params.yaml: architectures.{name} (={values!r}) must be a block of keys; write {{}} for the defaults"
        )
    for key in values:
        if key not in sizes and key not in KEYS and key not in TIMES:
            raise UserError(
                f"params.yaml: architectures.{name}.{key} (={values[key]!r}): unknown key; {nearest(str(key), [*sizes, *KEYS, *TIMES])}"
            )
    keywords(sizes, f"architectures.{name}", architectures.sizes(name, values))
    keywords(TIMES, f"architectures.{name}", {key: values[key] for key in TIMES if key in values})
    _check_form(name, values)
    lists = {key: values.get(key, sizes[key][1]) for key in ("widths", "depths") if key in sizes}
    if any(not stages for stages in lists.values()) and len(lists) > 1:
        raise UserError(f"params.yaml: architectures.{name}: {lists} must name at least one stage of the network")
    if len({len(stages) for stages in lists.values()}) > 1:
        raise UserError(
            f"params.yaml: architectures.{name}: {lists} must be equally long, one entry a stage of the network"
        )


def _check_form(name: str, values: Mapping[str, Any]) -> None:
    card, form = architectures.card(name), values.get("form", architectures.SMALL)
    if form in card.forms and form != architectures.SMALL:
        small = [key for key in values if key in card.sizes and key not in ("form", *card.blocks)]
        if small:
            said = ", ".join(f"{key} (={values[key]!r})" for key in small)
            raise UserError(
                f"params.yaml: architectures.{name}: form (={form}) has sizes of its own, but the small form's are set: {said}; "
                f"remove {', '.join(small)}, or set form: {architectures.SMALL}"
            )
