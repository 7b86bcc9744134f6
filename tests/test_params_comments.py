"""Every key of params.yaml has a comment that says what it means and in which unit; every key that a section takes stands there."""

from collections.abc import Iterator

from imports import ROOT
from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode

from neocog import architectures
from neocog.params.judged import wanted
from neocog.params.sections import KINDS, Compression
from neocog.tasks.classification.metrics import PRIMARY
from neocog.training.recipe import KEYS

TEXT = (ROOT / "params.yaml").read_text()
INSIDE = {"register.goals": wanted(PRIMARY)}  # whose keys the comment of the block names
OLD = (
    "part of the steps",
    "so many are used",
    "how alike",
    "whose errors count",
    "spoilt",
)  # said in the field's words today


def keys(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key with its path, and the comment on its line, "" without one."""
    lines, todo = text.splitlines(), [((), YAML(typ="safe", pure=True).compose(text))]
    while todo:
        path, node = todo.pop(0)
        for key, value in node.value if isinstance(node, MappingNode) else ():
            yield (*path, key.value), lines[key.start_mark.line].partition(" # ")[2].strip()
            todo.append(((*path, key.value), value))


def wanted(path: tuple[str, ...]) -> bool:
    """Whether a key must explain itself where it stands: those of `train` do it once, dimensions of a sweep are keys explained above."""
    match path:
        case ("architectures", name, key):
            return key in architectures.card(name).sizes
        case ("compress", "resnet-int8", *rest):
            return bool(rest)
        case ("architectures" | "compress", _, *_) | ("tune", "space", _, *_):
            return False
    return len(path) <= 2


def mute(text: str) -> list[str]:
    return [".".join(path) for path, comment in keys(text) if wanted(path) and len(path) > 1 and len(comment) < 8]


def test_every_key_says_what_it_means():
    assert mute(TEXT) == []
    assert len([path for path, _ in keys(TEXT) if wanted(path)]) > 140
    assert not [words for words in OLD if words in TEXT]


def test_a_key_without_a_comment_is_found():
    bare = "\n".join(line.partition(" # ")[0] for line in TEXT.splitlines())
    assert {"train.momentum", "train.cutmix", "architectures.vit.grid", "ray.address"} <= set(mute(bare))
    assert mute(TEXT.replace("epochs: 6 ", "epochs: 6\n#")) != []


def test_every_key_that_a_section_takes_stands_there():
    there = {path for path, _ in keys(TEXT)}
    for section, kind in KINDS.items():
        fields = kind.model_fields if issubclass(kind, BaseModel) else KEYS
        assert {(section, key) for key in fields} <= there, section
    assert {path[2] for path in there if path[0] == "compress" and len(path) == 3} == set(Compression.model_fields)
    comments = {".".join(path): comment for path, comment in keys(TEXT)}
    for block, kind in INSIDE.items():
        assert all(key in comments[block] for key in kind.model_fields)
