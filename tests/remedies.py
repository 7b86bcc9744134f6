"""What an error about params.yaml tells to do, done: `set K: V`, `write V`, `remove K`, `move`, `did you mean X`.

A key is looked up from the root, else beside the block that the message names. What one remedy offers as a choice ("or") is several.
"""

import copy
import re
from typing import Any

from neocog.core import params_yaml
from neocog.core.errors import UserError
from neocog.params import checks
from neocog.params.load import Params

KEY = r"[\w-]+(?:\.[\w-]+|\[\d+\])*"
ASSIGNED = re.compile(rf"(?P<key>{KEY}): (?P<value>\{{.*?\}}+|\[.*?\]+|[^\s,;]+)")
EDITS = re.compile(r"(?:; (?:put it there and )?|: |\. |\? |, )((?:set|write|remove|move) .*?)(?=; |$)")


def refusal(values: dict[str, Any]) -> str:
    """What is said of these values at the door; "" if they pass."""
    values = copy.deepcopy(values)
    try:
        checks.sections(values)
        checks.check(Params("params.yaml", values))
    except UserError as error:
        return str(error)
    return ""


def choices(message: str) -> list[list[str]]:
    """The remedies that a message offers, each as the edits that belong together: `["set ema: 0.0", "set keep: last"]`."""
    found: list[list[str]] = []
    edits = EDITS.findall(message)
    if "or do without" in message:
        return [[*edits], *([[f"correct {name}"] for name in re.findall(r"^[^;]*; did you mean '([^']+)'", message)])]
    for edit in edits:
        verb, _, rest = edit.partition(" ")
        for part in re.split(r",? or (?=[a-z_]+: )|, or ", rest):
            if verb == "remove":
                found.append([f"remove {key}" for key in re.split(r", | and ", part)])
            elif verb == "set" and (pairs := [match[0] for match in ASSIGNED.finditer(part)]):
                found.append([f"set {pair}" for pair in pairs])
            elif verb == "move" or (verb == "write" and re.match(r"[-\d{[]", part)):
                found.append([f"{verb} {part}".partition(" for the ")[0]])
            if verb in ("remove", "write") and (kept := ASSIGNED.search(rest.partition(", or set ")[2])):
                found.append([f"set {kept[0]}"])
                break
            if verb == "write":
                break
    return found + [[f"correct {name}"] for name in re.findall(r"did you mean '([^']+)'", message)]


def apply(values: dict[str, Any], message: str, edits: list[str]) -> dict[str, Any]:
    """The values of params.yaml after the `edits` that `message` tells."""
    changed = copy.deepcopy(values)
    named = re.match(rf"params\.yaml: ({KEY})", message)
    assert named, message
    at = _path(named[1])
    for edit in edits:
        verb, _, rest = edit.partition(" ")
        if verb == "set":
            match = ASSIGNED.match(rest)
            assert match, edit
            holder, last = _holder(changed, match["key"], at)
            holder[last] = params_yaml.parse(f"value: {match['value']}")["value"]
        elif verb == "remove":
            holder, last = _holder(changed, rest, at)
            del holder[last]
        elif verb == "move":
            first, second = re.findall(r"compress\.([\w-]+)", rest)
            block = changed["compress"].pop(first)
            items = [(key, value) for key, value in changed["compress"].items()]
            place = [key for key, _ in items].index(second)
            changed["compress"] = dict([*items[:place], (first, block), *items[place:]])
        elif verb == "write":
            holder, last = _holder(changed, named[1], ())
            holder[last] = params_yaml.parse(f"value: {rest}")["value"]
        elif verb == "correct":
            _correct(changed, at, rest, unknown="unknown" in message or f"{named[1]} (=" not in message)
    return changed


def _path(dotted: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[\w-]+", dotted))


def _at(values: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        values = values[step]
    return values


def _holder(values: dict[str, Any], dotted: str, at: tuple[str | int, ...]) -> tuple[Any, Any]:
    """The block that holds a key, and the key in it: from the root, or in the block at `at` or around it."""
    path = _path(dotted)
    if path[0] in values:
        for step in path[:-1]:
            values = values.setdefault(step, {}) if isinstance(values, dict) else values[step]
        return values, path[-1]
    while at:
        try:
            found = _at(values, at)
        except (KeyError, IndexError, TypeError):
            found = None
        if isinstance(found, dict):
            return found, path[-1]
        at = at[:-1]
    raise AssertionError(f"{dotted} is nowhere")


def _correct(values: dict[str, Any], at: tuple[str | int, ...], name: str, *, unknown: bool) -> None:
    """Put the right name for the wrong one: of the key itself, or of its value or one of a list's."""
    holder, last = _at(values, at[:-1]), at[-1]
    if unknown:
        items = [(name if key == last else key, value) for key, value in holder.items()]
        holder.clear()
        holder.update(items)
    elif isinstance(holder[last], list):
        from difflib import get_close_matches

        wrong = get_close_matches(name, holder[last], n=1, cutoff=0.1)[0]
        holder[last] = [name if item == wrong else item for item in holder[last]]
    else:
        holder[last] = name
