"""Plain values as a type, or one sentence that names the key, its value and the nearest valid choice."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from neocog.core.errors import UserError, nearest

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
_adapters: dict[str, TypeAdapter[Any]] = {}  # by their keywords: making one takes 5 ms
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # how pydantic calls a key that no field has
UNION_MEMBER = re.compile(r"[\[\]-]|^(int|float|str)$")  # steps of pydantic's path that are types, not keys


def typed(adapter: TypeAdapter[Any], section: str, values: Any, *, shown: Mapping[str, Any] | None = None) -> Any:
    """`values` as the adapter's type; through JSON, where a list may stand for a tuple though types are strict."""
    try:
        plain = json.dumps(values, check_circular=False)
    except (TypeError, RecursionError) as error:
        why = error if isinstance(error, TypeError) else "an alias stands inside its own anchor"
        raise UserError(
            f"params.yaml: {section}: {why}; only numbers, text, true/false, null and lists may stand there"
        ) from error
    try:
        return adapter.validate_json(plain)
    except ValidationError as error:
        raise UserError("; ".join(_sentences(error, section, adapter))) from error


def _sentences(error: ValidationError, section: str, adapter: TypeAdapter[Any]) -> Iterator[str]:
    seen, errors = set(), error.errors()
    if misspelt := [item for item in errors if item["type"] in UNKNOWN]:
        errors = misspelt + [
            item for item in errors if item["type"] not in (*UNKNOWN, "missing")
        ]  # it is there, misspelt
    for item in errors:
        steps = [str(step) for step in item["loc"] if not UNION_MEMBER.search(str(step))]
        key = ".".join(["params.yaml: " + section, *steps])
        if key in seen:
            continue  # a union reports each of its members
        seen.add(key)
        value = item["input"]
        if item["type"] in UNKNOWN:
            yield f"{key} (={value!r}): unknown key; {nearest(steps[-1], _keys(adapter))}"
        elif item["type"] == "missing":
            yield f"{key} is missing; known: {', '.join(_keys(adapter))}"
        elif item["type"] == "literal_error":
            choices = item["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            yield f"{key} (={value!r}) is not one of the choices; {nearest(str(value), choices)}"
        elif item["type"] == "value_error":
            yield f"{key}: {item['ctx']['error']}"
        else:
            yield f"{key} (={value!r}): {item['msg'][0].lower()}{item['msg'][1:]}{_number_in_quotes(value)}"


def _keys(adapter: TypeAdapter[Any]) -> list[str]:
    schema = adapter.json_schema()
    return [key for part in (schema, *schema.get("$defs", {}).values()) for key in part.get("properties", {})]


def _number_in_quotes(value: object) -> str:
    """What to write instead of a number that stands in quotes."""
    for number in (int, float):
        with suppress(ValueError):
            if isinstance(value, str) and math.isfinite(found := number(value)):
                return f"; {value!r} is text to YAML, write {found!r}"
    return ""


def keywords(settings: Mapping[str, tuple[Any, Any]], section: str, values: Any) -> None:
    """Check `values` against the keywords of an architecture or a method, as its card tells them."""
    named = repr(sorted(settings.items()))
    if named not in _adapters:
        _adapters[named] = TypeAdapter(create_model("Keywords", __config__=STRICT, **dict[str, Any](settings)))
    typed(_adapters[named], section, values)
