"""References in params.yaml to blocks, models and recipes, and whether what they name is there.

Found by the types of the keys (`limits.Names`), so that a new key cannot be forgotten. Cutting the ladder leaves several at once:
one message names all of them, with the edits that let the file stand without what is gone.
"""

import copy
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from neocog import architectures, compression
from neocog.core.constrained_types import Names
from neocog.core.errors import UserError, nearest
from neocog.params.block import architecture
from neocog.params.sections import KINDS, Compression

Path = tuple[str | int, ...]  # ("compress", "resnet-int8", "steps", 0, "method")
CLOSE = 0.75  # likeness from which on a name of several is taken for misspelt


@dataclass(frozen=True)
class Reference:
    """A name that stands in params.yaml, as a value, an item of a list or a key; `default`: what else may stand there, ... if nothing."""

    path: Path
    value: str
    names: Names
    form: Literal["value", "item", "key"] = "value"
    default: Any = ...

    @property
    def key(self) -> str:
        """`compress.resnet-int8.steps[0].teachers`."""
        return _dotted(self.path)

    def __str__(self) -> str:
        return self.key if self.form == "key" else f"{self.key} (={self.value!r})"


def find(raw: Mapping[str, Any]) -> Iterator[Reference]:
    """Every name of a block or a model in the file; values of a wrong type are passed over."""
    for section in raw:
        if section in KINDS:
            yield from _walk(KINDS[section], raw[section], (section,))
    for name, values in raw["architectures"].items():
        sizes = architectures.card(architecture(name, values)).sizes
        yield from _keywords(sizes, values, ("architectures", name))
    for name, recipe in raw["compress"].items():
        yield from _walk(Compression, recipe, ("compress", name))
        steps = recipe.get("steps") if isinstance(recipe, dict) else None
        for number, step in enumerate(steps if isinstance(steps, list) else ()):
            if isinstance(step, dict) and step.get("method") in compression.names():
                settings = compression.card(step["method"]).settings
                yield from _keywords(settings, step, ("compress", name, "steps", number))


def check(raw: Mapping[str, Any]) -> None:
    """Raise UserError (exit 2) when something is named that is not there, or is a recipe that comes later."""
    dangling = _dangling(raw)
    for each in dangling:
        _check_order(raw, each)
    if not dangling:
        return
    edits, left = _without(raw)
    if len(dangling) == 1:
        one = dangling[0]
        what = "has no block under architectures" if one.names.what == "block" else "is no model of this file"
        found = f"{one} {what}; {nearest(one.value, _known(raw, one))}; or do without it"
    else:
        said = ", ".join(f"{each}{_misspelt(left, each)}" for each in dangling)
        models = sorted(f"{kind}/{name}" for kind, names in _models(left).items() for name in names)
        found = f"{len(dangling)} names of what is not there: {said}; known: {', '.join(models)}; or do without them"
    raise UserError(f"params.yaml: {found}: {'; '.join(edits)}")


def _dangling(raw: Mapping[str, Any]) -> list[Reference]:
    return [each for each in find(raw) if each.value not in _known(raw, each)]


def _without(raw: Mapping[str, Any]) -> tuple[list[str], Mapping[str, Any]]:
    """The edits after which nothing is named that is not there, and what they leave: a removed block may be named elsewhere in its turn."""
    left, edits = copy.deepcopy(dict(raw)), dict[Path, str]()
    while dangling := _dangling(left):
        for each in dangling:
            if _at(left, each.path[:-1]) is None:
                continue  # went with its block
            path, value = _edit(left, each)
            if value is ...:
                _at(left, path[:-1]).pop(path[-1], None)
                edits = {key: said for key, said in edits.items() if key[: len(path)] != path}
                edits[path] = f"remove {_dotted(path)}"
            else:
                _at(left, path[:-1])[path[-1]] = value
                edits[path] = f"set {_dotted(path)}: {_written(value)}"
    return list(edits.values()), left


def _at(raw: Any, path: Path) -> Any:
    """What stands at a path; None where nothing does."""
    for step in path:
        raw = raw.get(step) if isinstance(raw, dict) else raw[int(step)] if isinstance(raw, list) else None
    return raw


def _edit(raw: Mapping[str, Any], reference: Reference) -> tuple[Path, Any]:
    """Where to put what, so that the name is gone; ... as the value removes what stands there."""
    if reference.form == "key":
        return reference.path, ...
    if reference.form == "item":
        return reference.path, [item for item in _at(raw, reference.path) if item != reference.value]
    return (reference.path, reference.default) if reference.default is not ... else (reference.path[:2], ...)


def _check_order(raw: Mapping[str, Any], reference: Reference) -> None:
    """Raise UserError when what is named is a recipe that comes later, or leads back to the one that names it."""
    _, _, later = reference.value.rpartition("compressed/")
    if reference.path[0] != "compress" or later == reference.value or later not in raw["compress"]:
        return
    own = str(reference.path[1])
    if own == later or own in _leads_to(raw, later):
        which = f"{own} and {later} go on from each other" if own != later else f"{own} goes on from itself"
        begin = ", ".join(
            f"{reference.value.partition('compressed/')[0]}trained/{name}" for name in _models(raw)["trained"]
        )
        raise UserError(f"params.yaml: {reference}: {which}; begin with one of {begin}")
    raise UserError(f"params.yaml: {reference} is a recipe further down; move compress.{later} above compress.{own}")


def _leads_to(raw: Mapping[str, Any], recipe: str) -> set[str]:
    """The recipes that a recipe goes on from, or is taught by, at whatever distance."""
    steps: dict[str, set[str]] = {}
    for each in find(raw):
        before = each.value.rpartition("compressed/")
        if each.path[0] == "compress" and before[1]:
            steps.setdefault(str(each.path[1]), set()).add(before[2])
    todo, seen = [recipe], set[str]()
    while todo:
        for name in steps.get(todo.pop(), set()) - seen:
            seen.add(name)
            todo.append(name)
    return seen


def _known(raw: Mapping[str, Any], reference: Reference) -> list[str]:
    """What may stand where a reference stands; in a recipe only what comes before it."""
    if reference.names.what == "block":
        return list(raw["architectures"])
    before = reference.path[1] if reference.path[0] == "compress" else None
    prefix = "models/" if reference.names.what == "model folder" else ""
    names = [f"{prefix}{kind}/{name}" for kind, names in _models(raw, before=before).items() for name in names]
    return [*reference.names.other, *names]


def _models(raw: Mapping[str, Any], *, before: str | int | None = None) -> dict[str, list[str]]:
    recipes = list(raw["compress"])
    tuned = raw["tune"].get("architectures")
    return {
        "trained": [str(name) for name in raw["architectures"]],
        "tuned": [str(name) for name in tuned] if isinstance(tuned, list) else [],
        "compressed": [str(name) for name in recipes[: recipes.index(before) if before in recipes else None]],
    }


def _misspelt(raw: Mapping[str, Any], reference: Reference) -> str:
    """A hint at a name that differs by a letter or two; kinds and folders, which all share, do not count."""
    known = {name.rpartition("/")[2]: name for name in reversed(_known(raw, reference))}
    close = get_close_matches(reference.value.rpartition("/")[2], known, n=1, cutoff=CLOSE)
    return f" (did you mean {known[close[0]]!r}?)" if close else ""


def _keywords(settings: Mapping[str, tuple[Any, Any]], values: Any, path: Path) -> Iterator[Reference]:
    if isinstance(values, dict):
        for key, (kind, default) in settings.items():
            yield from _walk(kind, values.get(key), (*path, key), default=default)


def _walk(kind: Any, value: Any, path: Path, *, form: Any = "value", default: Any = ...) -> Iterator[Reference]:
    """The names among `value`, which stands at `path` and has the type `kind`."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        marks = [mark for mark in parts[1:] if isinstance(mark, Names)]
        if marks and isinstance(value, str):
            yield Reference(path, value, marks[0], form, default)
        else:
            yield from _walk(parts[0], value, path, form=form, default=default)
    elif origin in (Union, types.UnionType):
        for part in parts:
            yield from _walk(part, value, path, form=form, default=default)
    elif isinstance(value, list) and parts:
        for item in value:
            yield from _walk(parts[0], item, path, form="item")
    elif isinstance(value, dict) and origin in (dict, Mapping) and len(parts) == 2:
        for key, item in value.items():
            yield from _walk(parts[0], key, (*path, key), form="key")
            yield from _walk(parts[1], item, (*path, key))
    elif isinstance(value, dict) and (is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel))):
        for key, part in get_type_hints(kind, include_extras=True).items():
            if key in value:
                yield from _walk(part, value[key], (*path, key), default=getattr(kind, key, _default(kind, key)))


def _default(kind: Any, key: str) -> Any:
    field = getattr(kind, "model_fields", {}).get(key)
    return ... if field is None or field.is_required() else field.default


def _dotted(path: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def _written(value: Any) -> str:
    """A default as params.yaml would have it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return "null" if value is None else str(value)
