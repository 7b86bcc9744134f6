"""FSDP2 over two gloo processes ends where DDP and one process end; over 64 ranks of a fake group each holds its share."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from neocog import architectures
from neocog.core.errors import UserError
from neocog.training import sharding
from neocog.training.fit import fit
from neocog.training.programs import choose
from neocog.training.recipe import Recipe

RANKS = 64
# Plain SGD: steps of shards and of whole tensors round alike. Contiguous: what FSDP shards.
RECIPE = Recipe(
    epochs=2,
    batch_size=32,
    accelerator="cpu",
    threads=1,
    momentum=0.0,
    nesterov=False,
    lr=0.05,
    channels_last=False,
)
SCRIPT = """
import json, sys
from dataclasses import replace
from functools import partial
from pathlib import Path
import torch
from neocog import architectures, tracking
from neocog.data import prepared
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

data, out = prepared.read(Path(sys.argv[1])), Path(sys.argv[2])
recipe = Recipe(**json.loads(sys.argv[3]) | {"devices": 2, "strategy": "ddp"})

def train(label, name, recipe, **more):
    build = partial(architectures.build, name, channels=1, size=(8, 8), classes=10, sizes={})
    fitted = fit(build, data, recipe, name=name, work=out / "work" / label.partition("-")[0], **more)
    if fitted.is_writer:
        torch.save({"weights": fitted.model.state_dict(), "history": fitted.history, "epoch": fitted.epoch}, out / f"{label}.pt")

class Cut(Exception): ...

def cut(row, seconds, finished):
    if row["epoch"] == 1:
        raise Cut

train("ddp", "mlp", recipe)
train("fsdp", "mlp", replace(recipe, strategy="fsdp"))
demanding = replace(recipe, strategy="fsdp", optimizer="adamw", lr=0.003, clip_norm=1.0, keep="best", accumulate=2, images=128)
train("whole", "googlenet", demanding)
try:
    train("resumed-", "googlenet", demanding, on_epoch=cut)
except Cut:
    train("resumed", "googlenet", demanding)
"""


def equal(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(value, right[key]) for key, value in left.items())


@pytest.mark.slow
def test_two_ranks_end_where_one_process_ends_sharded_or_not_and_go_on_with_the_same_bits(digits, tmp_path: Path):
    (tmp_path / "run.py").write_text(SCRIPT)
    arguments = [str(digits.folder), str(tmp_path), json.dumps(RECIPE.asdict())]
    subprocess.run([sys.executable, str(tmp_path / "run.py"), *arguments], check=True, timeout=300)
    ended = {path.stem: torch.load(path) for path in tmp_path.glob("*.pt")}
    build = partial(architectures.build, "mlp", channels=1, size=(8, 8), classes=10, sizes={})
    alone = fit(build, digits, RECIPE, name="mlp", work=tmp_path / "alone")
    halves = fit(build, digits, replace(RECIPE, batch_size=16, accumulate=2), name="mlp", work=tmp_path / "halves")

    assert equal(ended["ddp"]["weights"], halves.model.state_dict()), "the same sums in the same order: the same bits"
    assert equal(ended["ddp"]["weights"], ended["fsdp"]["weights"]), "a shard takes the step that the whole takes"
    assert not equal(ended["ddp"]["weights"], alone.model.state_dict()), "one sum over the batch rounds otherwise ..."
    for key in ("train/loss", "val/loss"):  # ... in the sixth digit
        curves = [[row[key] for row in history] for history in (alone.history, ended["fsdp"]["history"])]
        np.testing.assert_allclose(*curves, rtol=1e-5)

    assert equal(ended["whole"]["weights"], ended["resumed"]["weights"])
    assert ended["whole"]["history"] == ended["resumed"]["history"]


@pytest.fixture
def fake_ranks():
    """A process group of 64, of which this process is one and the others are nowhere."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    yield
    dist.destroy_process_group()


def test_of_64_ranks_each_holds_its_share_of_every_network(fake_ranks):
    walked = 0
    for name in architectures.names():
        sizes = {"model": "mobilenetv3_small_050"} if name == "timm" else {}
        model = architectures.build(name, channels=1, size=(32, 32), classes=10, sizes=sizes)
        if not choose.of(model).backpropagates:
            continue
        whole = {key: value.shape for key, value in model.named_parameters()}
        sharding.shard(model, sharding.mesh(torch.device("cpu")))
        for key, parameter in model.named_parameters():
            assert isinstance(parameter, DTensor) and parameter.shape == whole[key]
            rows = -(-parameter.shape[0] // RANKS)  # sharded by its first dimension; the first rank has the most
            assert parameter.to_local().shape == (rows, *parameter.shape[1:])
        walked += 1
    assert walked >= 13


def test_large_blocks_are_gathered_one_by_one():
    with torch.device("meta"):
        model = architectures.build("resnet", channels=3, size=(224, 224), classes=1000, sizes={"form": "resnet50"})
    total = sum(parameter.numel() for parameter in model.parameters())
    found = sharding.blocks(model)
    taken: set[int] = set()
    for block in found:
        own = {id(parameter): parameter.numel() for parameter in block.parameters() if id(parameter) not in taken}
        assert sum(own.values()) >= total / sharding.PARTS
        taken |= set(own)
    assert len(found) >= 5
    small = torch.nn.Linear(4, 4)
    assert sharding.blocks(small) == [], "control: what is no member of a sequence is no block"


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"ema": 0.9}, "ema: 0.0"), ({"precision": "16-mixed"}, "precision: bf16-mixed")],
)
def test_what_shards_cannot_do_is_refused(asked, said):
    with pytest.raises(UserError, match=said):
        Recipe(strategy="fsdp", devices=2, **asked)
    Recipe(strategy="ddp", devices=2, **asked)


def test_a_rule_of_its_own_has_no_gradients_to_shard(digits, tmp_path: Path):
    build = partial(architectures.build, "perceptron", channels=1, size=(8, 8), classes=10, sizes={})
    recipe = Recipe(strategy="fsdp", devices=2, accelerator="cpu", batch_size=32)
    with pytest.raises(UserError, match=r"perceptron learns without them; set strategy: ddp"):
        fit(build, digits, recipe, name="perceptron", work=tmp_path / "work")
