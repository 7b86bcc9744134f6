"""A block's name is free: several networks of one architecture stand side by side, each with its own stage, folder, run and row."""

import json

import projects
import pytest
import yaml
from imports import ROOT
from projects import runs, stage

from neocog.bundle import read
from neocog.cli import main
from neocog.core.errors import UserError
from neocog.params import load

BLOCKS = {
    "lenet": {"epochs": 1, "lr": 0.1},
    "wide-lenet": {"architecture": "lenet", "width": 2, "epochs": 1, "lr": 0.05},
    "resnet50": {"architecture": "resnet", "form": "resnet50"},
    "small": {"architecture": "timm", "model": "mobilenetv3_small_050"},
    "rule": {"architecture": "perceptron", "label_smoothing": 0.0},
}
RECIPE = {"model": "trained/wide-lenet", "steps": [{"method": "quantize_static"}]}
PARAMS = {
    "architectures": BLOCKS,
    "tune": {"architectures": ["wide-lenet"], "space": {"wide-lenet": {"width": {"choice": [1, 2]}}}},
    "compress": {"wide-lenet-int8": RECIPE},
    "robustness": {"baseline": "trained/wide-lenet"},
}


def write(project, **changed) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | PARAMS
    params["data"]["source"] = "digits"
    params["architectures"] = BLOCKS | changed
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def test_a_block_has_the_keys_of_its_architecture_and_every_section_may_name_it(project):
    write(project)
    settings = load.for_stage("train@wide-lenet")
    assert settings.architecture("wide-lenet") == "lenet"
    assert settings.sizes("wide-lenet") == {"width": 2}
    assert settings.recipe("wide-lenet").lr == 0.05
    assert load.for_stage("tune@wide-lenet").space("wide-lenet")
    models = [folder.as_posix() for folder in load.for_stage("report").models]
    assert models[:2] == ["models/trained/lenet", "models/trained/wide-lenet"] and "models/tuned/wide-lenet" in models


@pytest.mark.parametrize(
    ("name", "block", "said"),
    [
        ("lennet", {}, ["architectures.lennet: there is no such architecture", "'lenet'", "architecture: resnet"]),
        ("x", {"architecture": "lennet"}, ["architectures.x.architecture (='lennet')", "did you mean 'lenet'?"]),
        ("x", {"architecture": 5}, ["architectures.x.architecture (=5)"]),
        ("x", {"architecture": "lenet", "widths": [8]}, ["architectures.x.widths (=[8]): unknown key", "'width'"]),
        ("x", {"architecture": "lenet", "widht": 1}, ["architectures.x.widht (=1)", "did you mean 'width'?"]),
        ("x", {"architecture": "perceptron", "mixup": 0.2}, ["architectures.x.mixup (=0.2)", "its own learning rule"]),
        ("vgg", {"architecture": "lenet"}, ["architectures.vgg.architecture (='lenet')", "rename the block"]),
        ("a b", {"architecture": "lenet"}, ["architectures.a b", "letters, digits"]),
        ("../x", {"architecture": "lenet"}, ["architectures.../x", "letters, digits"]),
        (50, {"architecture": "lenet"}, ["architectures.50", "as text"]),
    ],
)
def test_a_mistake_is_named_under_the_blocks_own_name(project, name, block, said):
    write(project, **{"lenet": BLOCKS["lenet"]})
    load.for_stage("prepare")  # it stands without the block
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["architectures"][name] = block
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    with pytest.raises(UserError) as error:
        load.for_stage("prepare")
    assert all(part in str(error.value) for part in said), str(error.value)


def test_shapes_takes_the_name_of_a_block(project, capsys):
    write(project)
    main.main(["shapes", "lenet"])
    narrow = capsys.readouterr().out
    main.main(["shapes", "wide-lenet"])
    assert narrow != capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main.main(["shapes", "wider-lenet"])
    assert ended.value.code == 2


@pytest.mark.slow
def test_stage_bundle_and_run_bear_the_blocks_name_and_the_bundle_its_architecture(tmp_path):
    blocks = {name: BLOCKS[name] for name in ("lenet", "wide-lenet")}
    project = projects.set_up(tmp_path / "project", **(PARAMS | {"architectures": blocks}))
    stage(project, "pipelines.prepare")
    stage(project, "pipelines.train", "wide-lenet")
    stage(project, "pipelines.evaluate", "wide-lenet")
    bundle = read.read(project / "models/trained/wide-lenet")
    assert (bundle.model, bundle.architecture) == ("trained/wide-lenet", "lenet")
    assert bundle.card["build"]["sizes"] == {"width": 2}
    assert "test/top1" in json.loads((project / "reports/trained/wide-lenet/metrics.json").read_text())
    for name in ("train@wide-lenet", "evaluate@wide-lenet"):
        [run] = runs(project, of=name)
        assert run.data.tags["architecture"] == "lenet"
