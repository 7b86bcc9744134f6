"""Every name in params.yaml of another part of it is checked before anything runs; one message tells all that dangle, and how to go on."""

import copy
import itertools
import subprocess
import sys
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import remedies
from imports import ROOT
from pydantic import BaseModel
from remedies import refusal

from neocog import architectures, compression
from neocog.core import params_yaml
from neocog.core.constrained_types import Names
from neocog.params import references
from neocog.params.sections import KINDS, Compression

SHIPPED = params_yaml.read(ROOT / "params.yaml")
TEXT = {  # keys that hold text and name no part of params.yaml
    *(
        "data.name",
        "data.root",
        "data.background",
        "data.source",
        "data.task",
        "data.groups",
        "data.table",
        "data.label",
        "data.splits",
        "data.split_by",
        "train.augment",  # methods of data/augmentations
        "train.groups",
        "register.name",
        "register.prefer",
        "tracking.experiment",
    ),
    *("ray.address", "ray.resources_per_trial", "ray.storage_path", "ray.runtime_env"),
    "repro.resources",  # of stages, whose names `neocog repro` knows
    *(f"{name}.weights" for name in architectures.names() if "weights" in architectures.card(name).sizes),
    *("timm.model", "distill.student", "distill.sizes", "thresholds.column"),
}
DISTILLED = {
    "model": "trained/vgg",
    "steps": [{"method": "distill", "teachers": ["models/trained/vgg"], "train": {"epochs": 1}}],
}


def words(kind: Any) -> bool:
    """Whether a type takes text of any kind that no mark explains."""
    if get_origin(kind) is Annotated:
        return not any(isinstance(mark, Names) for mark in kind.__metadata__) and words(get_args(kind)[0])
    return kind is str or kind is Any or any(words(part) for part in get_args(kind) if not isinstance(part, str))


def test_every_key_that_holds_text_says_whether_it_names_another_part():
    found = set()
    for section, kind in [*KINDS.items(), ("compress", Compression)]:
        hints = get_type_hints(kind, include_extras=True)
        if issubclass(kind, BaseModel):
            hints = {key: hints[key] for key in kind.model_fields}
        found |= {f"{section}.{key}" for key, part in hints.items() if words(part)}
    for card in [*map(architectures.card, architectures.names()), *map(compression.card, compression.names())]:
        settings = card.sizes if isinstance(card, architectures.ArchitectureCard) else card.settings
        found |= {f"{card.name}.{key}" for key, (part, _) in settings.items() if words(part)}
    assert found - {"compress.steps", "compress.goals", "tune.space"} == TEXT, (
        "mark a new key with BlockName, ModelName, ..., or add it to TEXT"
    )


def test_every_name_is_checked_and_its_remedy_holds():
    values = copy.deepcopy(SHIPPED)
    values["compress"]["taught"] = DISTILLED
    values["audit"]["model"] = "trained/vgg"
    assert refusal(values) == ""
    keys = set()
    for each in references.find(values):
        wrong = copy.deepcopy(values)
        *path, last = each.path
        holder = wrong
        for step in path:
            holder = holder[step]
        if each.form == "key":
            holder["nosuch"] = holder[last]
        else:
            holder[last] = [*holder[last], "nosuch"] if each.form == "item" else "nosuch"
        said = refusal(wrong)
        assert "nosuch" in said and each.key.replace(str(last), "") in said, said
        for edits in remedies.choices(said):
            assert refusal(remedies.apply(wrong, said, edits)) == "", (said, edits)
        keys.add(
            ".".join("*" if step in values["compress"] or isinstance(step, int) else str(step) for step in each.path)
        )
    assert keys == {
        *("audit.model", "compress.*.model", "compress.*.steps.*.teachers", "robustness.baseline"),
        *("tune.architectures", "tune.space.lenet", "tune.space.resnet"),
    }


@pytest.mark.parametrize(
    "kept", [*itertools.combinations(["lenet", "vgg", "resnet", "vit", "mlp"], 3), ("perceptron",)]
)
def test_cutting_the_ladder_is_told_at_once_and_done_as_told(kept):
    values = SHIPPED | {"architectures": {name: SHIPPED["architectures"][name] for name in kept}}
    said = refusal(values)
    gone = {name for name in SHIPPED["architectures"] if name not in kept}
    named = {f"{each}" for each in references.find(values) if each.value.rpartition("/")[2] in gone}
    assert named and all(each in said for each in named), said
    (edits,) = remedies.choices(said)
    assert refusal(remedies.apply(values, "params.yaml: architectures", edits)) == "", said


def test_what_stood_on_a_removed_recipe_goes_with_it():
    values = copy.deepcopy(SHIPPED)
    values["compress"]["vgg-calm"] = {"model": "compressed/vgg-int8", "steps": [{"method": "temperature"}]}
    values["audit"]["model"] = "compressed/vgg-calm"
    del values["architectures"]["vgg"]
    said = refusal(values)
    assert said.endswith("remove compress.vgg-int8; set audit.model: best; remove compress.vgg-calm") or said.endswith(
        "remove compress.vgg-int8; remove compress.vgg-calm; set audit.model: best"
    ), said


def test_recipes_stand_one_after_the_other_and_never_in_a_circle():
    calm = {"method": "temperature"}
    values = copy.deepcopy(SHIPPED)
    values["compress"] = {
        "b": {"model": "compressed/a", "steps": [calm]},
        "a": {"model": "trained/vgg", "steps": [calm]},
    }
    said = refusal(values)
    assert "move compress.a above compress.b" in said
    (edits,) = remedies.choices(said)
    assert refusal(remedies.apply(values, said, edits)) == ""
    values["compress"]["a"]["model"] = "compressed/b"
    assert "b and a go on from each other; begin with one of trained/perceptron" in refusal(values)
    values["compress"] = {"a": {"model": "compressed/a", "steps": [calm]}}
    assert "a goes on from itself" in refusal(values)
    taught = {"method": "distill", "teachers": ["models/compressed/b"], "train": {"epochs": 1}}
    values["compress"] = {
        "a": {"model": "trained/vgg", "steps": [taught]},
        "b": {"model": "compressed/a", "steps": [calm]},
    }
    assert "a and b go on from each other; begin with one of models/trained/" in refusal(values)


def test_prepare_ends_with_2_before_it_reads_an_image(project):
    values = params_yaml.read(project / "params.yaml")
    del values["architectures"]["mlp"]
    (project / "params.yaml").write_text(params_yaml.dump(values))
    before = sorted(project.rglob("*"))
    ended = subprocess.run(
        [sys.executable, "-B", "-m", "pipelines.prepare"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2 and "robustness.baseline (='trained/mlp')" in ended.stderr, ended.stderr
    assert sorted(project.rglob("*")) == before
