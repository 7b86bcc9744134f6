"""A value beyond reason, wherever it stands in params.yaml, is one sentence at the door: never a stack trace, never in the sixth stage."""

import copy
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Ge, Gt, Le, Lt
from imports import ROOT
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from remedies import refusal

from neocog import architectures, compression
from neocog.compression.chain.goals import goals
from neocog.core import params_yaml
from neocog.params.block import TIMES
from neocog.params.judged import wanted
from neocog.params.sections import KINDS, Compression
from neocog.tasks.classification.metrics import PRIMARY

HUGE, SEED = 10**30, 1732924636000
NEVER = {"huge": HUGE, "1e308": 1e308, "-1": -1, "nan": math.nan, "inf": math.inf}  # no key takes one of them
ODD = {"0": 0, "true": True, "x": "x", "[]": [], "null": None}  # some do
FREE = {"ray.runtime_env"}  # Ray's own


def cut(values: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """The file without the architectures and recipes that the key at `path` has nothing to do with: checked in a tenth of the time."""
    kept = {"lenet": values["architectures"]["lenet"]} | {"resnet": values["architectures"]["resnet"]}
    if path[0] in ("architectures", "compress"):
        owner = path[1] if path[0] == "architectures" else str(values["compress"][path[1]]["model"]).rpartition("/")[2]
        kept = {"lenet": kept["lenet"], owner: values["architectures"].get(owner, {})}
    small = values | {"architectures": kept, "robustness": values["robustness"] | {"baseline": None}}
    small["compress"] = {path[1]: values["compress"][path[1]]} if path[0] == "compress" else {}
    if path[0] != "tune":
        small["tune"] = values["tune"] | {"architectures": [], "space": {}}
    return copy.deepcopy(small)


def leaves(values: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where each value stands that is no block and no list of values; an empty one is a value too."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    if not items:
        yield path
    for key, value in items:
        yield from leaves(value, (*path, key))


def put(values: dict[str, Any], path: tuple[str | int, ...], value: Any) -> tuple[dict[str, Any], Any]:
    """The file with another value at `path`, and the one that stood there."""
    changed = cut(values, path)
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    before, holder[path[-1]] = holder[path[-1]], value
    return changed, before


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    values = params_yaml.read(ROOT / "params.yaml")
    values["compress"] = {name: values["compress"][name] for name in ("resnet-pruned-int8", "lenet-distilled")}
    values["architectures"]["timm"] = {"model": "test_resnet", "epochs": 3, "seeds": 2}
    values["ray"] |= {"resources_per_trial": {"big_memory": 1}, "storage_path": "s3://bucket/folder"}
    values["register"]["goals"] = {"min_top1": 0.5, "max_latency_ms": 10, "max_bytes": 1000}
    return values


def test_no_leaf_of_params_yaml_takes_what_is_beyond_reason(shipped):
    walked = 0
    for path in leaves(shipped):
        assert refusal(cut(shipped, path)) == "", path  # the control: it is the value that is refused
        for name, value in (NEVER | ODD).items():
            values, before = put(shipped, path, copy.deepcopy(value))
            said, key = refusal(values), ".".join(map(str, path))
            assert "\n" not in said and (said.startswith("params.yaml: ") or not said), said
            if name in NEVER and key not in FREE:
                assert said, f"{key} takes {name}"
            if said == "" and name in ("true", "x"):
                assert isinstance(before, type(value)) or before is None, f"{key} takes {name}"
            if said == "" and name == "[]":
                assert isinstance(before, list), f"{key} takes []"
        walked += 1
    assert walked > 250


def test_a_time_stamp_is_no_seed_anywhere(shipped):
    seeds = [path for path in leaves(shipped) if path[-1] == "seed"]
    for path in seeds:
        assert f"(={SEED})" in refusal(put(shipped, path, SEED)[0])
        assert refusal(put(shipped, path, 2**32 - 1)[0]) == "" or path == ("train", "seed")  # where two seeds follow
    assert {path[0] for path in seeds} == {"train", "tune", "evaluate", "benchmark", "robustness"}
    values = cut(shipped, ("train",)) | {"train": shipped["train"] | {"seed": 2**32 - 2}}
    assert refusal(copy.deepcopy(values)) == ""
    values["architectures"]["lenet"]["seeds"] = 3
    assert "train.seed (=4294967294): seeds (=3) counts up from it" in refusal(values)


def numbers(kind: Any, marks: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The limits of each number that a type holds."""
    if get_origin(kind) is Annotated:
        own = [mark.metadata if isinstance(mark, FieldInfo) else [mark] for mark in kind.__metadata__]
        yield from numbers(get_args(kind)[0], sum(map(tuple, own), ()))
    elif kind in (int, float):
        yield marks
    elif get_origin(kind) is not Literal:
        for part in get_args(kind):
            yield from numbers(part)


def test_every_number_has_two_ends():
    walked = 0
    kinds = {f"{name}.{key}": part for name, kind in KINDS.items() for key, part in hints(kind).items()}
    kinds |= {f"compress.{key}": part for key, part in hints(Compression).items()} | {"seeds": TIMES["seeds"][0]}
    kinds |= {f"goals.{key}": part for kind in (goals(PRIMARY), wanted(PRIMARY)) for key, part in hints(kind).items()}
    for name in architectures.names():
        kinds |= {f"{name}.{key}": part for key, (part, _) in architectures.card(name).sizes.items()}
    for name in compression.names():
        kinds |= {f"{name}.{key}": part for key, (part, _) in compression.card(name).settings.items()}
    for key, kind in kinds.items():
        for marks in numbers(kind):
            assert any(isinstance(mark, Ge | Gt) for mark in marks) and any(
                isinstance(mark, Le | Lt) for mark in marks
            ), key
            walked += 1
    assert walked > 120
    assert list(numbers(int)) == [()], "the control: a bare number has no end"


def hints(kind: Any) -> dict[str, Any]:
    found = get_type_hints(kind, include_extras=True)
    return {key: found[key] for key in kind.model_fields} if issubclass(kind, BaseModel) else found
