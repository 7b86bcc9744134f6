"""params.yaml as DVC reads it: YAML 1.2, where `1e-05` is a number and `on` is text, with anchors and merge keys."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from neocog.core.errors import UserError

UNREADABLE = (YAMLError, ValueError, RecursionError)  # ValueError: an integer of more than 4,300 digits


def read(path: Path) -> dict[str, Any]:
    """The sections of a file. Raises UserError when it is missing, no YAML, or holds anything but sections."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path.name} not found; run neocog at the root of the project") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name} is not valid YAML ({error}); write it in UTF-8") from error
    except OSError as error:
        raise UserError(f"{path.name} cannot be read ({error}); it must be a text file in UTF-8") from error
    return parse(text, name=path.name)


def parse(text: str, *, name: str = "params.yaml") -> dict[str, Any]:
    """The sections of `text`, {} if it is empty. Raises UserError, which calls it `name`, as `read` does."""
    try:
        node = _yaml().compose(text)
        if twice := next(_duplicates(node), None):
            raise UserError(f"{name}: {twice}; remove one of them")
        found = _yaml().load(text)
    except UserError:
        raise
    except UNREADABLE as error:
        raise UserError(f"{name} is not valid YAML: {_sentence(error)}") from error
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise UserError(f"{name} must hold sections, not {type(found).__name__}; `git diff {name}` shows what changed")
    return found


def dump(values: Any) -> str:
    """The text of plain `values`, which reads back as the same, in the order that they have."""
    yaml, stream = YAML(), StringIO()
    yaml.width = 120
    yaml.dump(values, stream)
    return stream.getvalue()


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _duplicates(node: Node | None) -> Iterator[str]:
    """Keys that one block names twice, each with its lines; a key that a merge brings, and its own, are none."""
    todo, seen = [node], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue  # an alias
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            todo += node.value
        elif isinstance(node, MappingNode):
            first: dict[str, Node] = {}
            for key, value in node.value:
                todo.append(value)
                if isinstance(key, ScalarNode):
                    before = first.setdefault(key.value, key)
                    if before is not key:
                        lines = (each.start_mark.line + 1 for each in (before, key))
                        yield "duplicate key {!r} (lines {} and {})".format(key.value, *lines)


def _sentence(error: BaseException) -> str:
    """What ruamel says, in one line without its advice about Python code."""
    said = str(error).partition("\n\nTo suppress this check")[0].partition("Duplicate merge keys")[0]
    return " ".join(said.split()).replace(' in "<unicode string>",', " at")
