"""A remedy that an error about params.yaml names was tried: done as told, the file passes, or the next sentence leads on."""

import copy
from typing import Any

import pytest
import remedies
from imports import ROOT
from remedies import refusal
from test_params import WRONG

from neocog.core import params_yaml
from neocog.core.errors import UserError
from neocog.training.recipe import Recipe

TEXT = (ROOT / "params.yaml").read_text()
STEPS = 4  # sentences until the file passes
BROKEN: list[tuple[str, Any]] = [  # (key, value) put there, and further keys beside it
    ("train", {"strategy": "ddp"}),
    ("train", {"strategy": "fsdp", "devices": 2, "precision": "16-mixed"}),
    ("train", {"strategy": "fsdp", "devices": 2, "ema": 0.9}),
    ("train", {"precision": "16-mixed", "accelerator": "cpu"}),
    ("train", {"batch_size": 3, "devices": 4}),
    ("train", {"on_oom": "accumulate", "devices": 2}),
    ("train", {"on_oom": "accumulate", "num_nodes": 2, "strategy": "ddp"}),
    ("train", {"mixup": 0.2, "cutmix": 0.2}),
    ("train", {"momentum": 0}),
    ("train", {"lr": "1e-5"}),
    ("train", {"epochs": "7"}),
    ("architectures.lenet", {"seeds": 3, "seed": 2**32 - 2}),
    ("data", {"groups": "groups.csv"}),
    ("data", {"val_fraction": 0.5, "test_fraction": 0.5}),
    ("robustness", {"severities": [1, 1, 5]}),
    ("ray", {"gpus_per_trial": 1.5}),
    ("architectures.resnet", {"form": "resnet50"}),
    ("architectures.vit", {"form": "vit_b_16"}),
    ("architectures.lenet", {"seeds": 3, "seed": 2**32 - 1}),
    ("architectures.perceptron", {"mixup": 0.2}),
    ("architectures.adaline", {"cutmix": 0.2}),
    ("architectures", {"madaline": {"label_smoothing": 0.1}}),
    ("architectures", {"lenet": [1]}),
    ("tune", {"architectures": ["lenet", "lenet", "resnet"]}),
    ("tune", {"architectures": ["lenet", "vgg"]}),
    ("tune", {"scheduler": "pbt"}),
    ("tune", {"scheduler": "pbt", "searcher": "optuna"}),
    ("tune", {"searcher": "grid"}),
    (
        "tune",
        {
            "searcher": "grid",
            "space": {"lenet": {"epochs": {"integer": [1, 1000]}, "batch_size": {"integer": [1, 1000]}}},
        },
    ),
    ("tune", {"searcher": "grid", "architectures": ["lenet"], "space": {"lenet": {"crop": {"integer": [0, 50]}}}}),
    ("tune.space.lenet", {"lr": {"uniform": [0.5, 0.1]}}),
    ("tune.space.lenet", {"lr": {"uniform": [0.5, 0.5]}}),
    ("tune.space.lenet", {"lr": {"log_uniform": [0, 1]}}),
    ("tune.space.lenet", {"warmup": {"log_uniform": [0, 0.5]}}),
    ("tune.space.lenet", {"batch_size": {"choice": [64, 64, 128]}}),
    ("tune.space.lenet", {"batch_size": {"uniform": [64, 128]}}),
    ("tune.space.lenet", {"width": {"log_uniform": [1, 4]}}),
    ("compress.vgg-int8", {"steps": []}),
    ("compress.vgg-int8", {"steps": [{"method": "distill"}]}),
    ("compress.vgg-int8", {"steps": [{"method": "quantize_static", "train": {"epochs": 1}}]}),
    ("compress.vgg-int8", {"steps": [{"method": "prune_structured", "train": {"epochs": 1, "devices": 2}}]}),
    ("compress.vgg-int8", {"steps": [{"method": "prune_structured", "train": {"strategy": "ddp", "num_nodes": 2}}]}),
    ("compress.vgg-int8", {"model": "compressed/resnet-int8"}),
    ("compress.vgg-int8", {"model": "compressed/resnet-pruned"}),
    ("compress.vgg-int8", {"model": "trained/vggg"}),
    ("compress.vgg-int8", {"steps": [{"method": "quantise_static"}]}),
    ("compress.lenet-distilled", {"steps": [{"method": "distill", "student": "lennet", "train": {"epochs": 1}}]}),
    ("compress.resnet-pruned", {"steps": [{"method": "prune_structured", "train": 2}]}),
]


def follow(values: dict[str, Any], tried: set[str]) -> list[str]:
    """Every remedy of every sentence until the file passes; those that never do, as the sentences read. What was tried is noted."""
    said, dead = refusal(values), []
    todo = [(values, said, 0)]
    while todo:
        values, said, steps = todo.pop()
        for edits in remedies.choices(said):
            tried.update(edits)
            changed = remedies.apply(values, said, edits)
            told = refusal(changed)
            if told and edits[0].startswith("correct ") and told != said:
                continue  # a nearest name is a question, and may be another key
            if told == said or (told and (steps == STEPS or not remedies.choices(told))):
                dead.append(f"{said} -> {edits} -> {told}")
            elif told:
                todo.append((changed, told, steps + 1))
    return dead


@pytest.mark.parametrize(("at", "values"), BROKEN, ids=[f"{at}-{values}"[:60] for at, values in BROKEN])
def test_doing_as_told_makes_the_file_pass(at, values):
    broken = params_yaml.parse(TEXT)
    holder: Any = broken
    for step in at.split("."):
        holder = holder[step]
    holder.update(copy.deepcopy(values))
    said, tried = refusal(broken), set[str]()
    assert said and remedies.choices(said), f"no remedy is named: {said}"
    assert follow(broken, tried) == [] and tried


def test_the_remedies_of_all_known_mistakes_hold():
    tried: set[str] = set()
    for before, after, _ in WRONG:
        try:
            broken = params_yaml.parse(TEXT.replace(before, after))
        except UserError:
            continue  # no YAML, no values
        assert follow(broken, tried) == []
    assert {edit.partition(" ")[0] for edit in tried} == {"set", "write", "remove", "move", "correct"}
    assert len(tried) > 30


def test_a_remedy_that_is_refused_is_noticed(monkeypatch):
    before = Recipe.__post_init__

    def worse(self):
        try:
            before(self)
        except UserError as error:
            raise UserError(
                str(error).replace("momentum: 0.9", "momentum: 0.0").replace(" or nesterov: false", "")
            ) from None

    monkeypatch.setattr(Recipe, "__post_init__", worse)
    broken = params_yaml.parse(TEXT.replace("momentum: 0.9", "momentum: 0"))
    assert len(follow(broken, set())) == 1
