"""Every benchmark runs: its help teaches, and a trial run on digits ends well in an empty folder."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys

import onnx
import pytest
from imports import ROOT
from onnx import helper

import benchmarks
from benchmarks import identical
from neocog import architectures, compression

NAMES = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
AT_LEAST = {"compression", "gpu", "identical", "kills", "planted", "prepare", "serving", "training", "tuning"}
ELSEWHERE = {"gpu", "kills"}  # below, and in tests/test_kills.py, for minutes
SECONDS = ("encoded", "planted", "prepare")  # take no longer, the others import torch or start servers


def run(name: str, *arguments: str, folder):
    """How `python -m benchmarks.<name> <arguments>` ends in `folder`."""
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_none_is_missed():
    found = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}
    assert set(NAMES) == found >= AT_LEAST


@pytest.mark.parametrize("name", NAMES)
def test_its_help_says_what_is_measured_and_how_long_that_takes(name, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{name}").main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"usage: python -m benchmarks.{name}" in said and "--tiny" in said
    assert f"    python -m benchmarks.{name}" in said.replace("make edge && ", ""), "an example"
    assert any(word in said for word in ("seconds  ", "second", "minute", "hour")), "how long"


@pytest.mark.parametrize(
    "name",
    [
        name if name in SECONDS else pytest.param(name, marks=pytest.mark.slow)
        for name in NAMES
        if name not in ELSEWHERE
    ],
)
def test_a_tiny_run_ends_well_and_leaves_nothing_but_what_was_asked_for(name, tmp_path):
    ended = run(name, "--tiny", folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip(), "it prints what it measured"
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["data"] if name == "planted" else []), left


@pytest.mark.slow
def test_the_gpu_path_needs_no_more_than_it_says(tmp_path):
    """torch, pytorch-lightning, timm and what they and neocog's training import: none of the packages of the other stages."""
    absent = (
        "onnx",
        "onnxscript",
        "onnxruntime",
        "pyarrow",
        "pandas",
        "sklearn",
        "mlflow",
        "ray",
        "dvc",
        "optuna",
        "fastapi",
    )
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\nfrom benchmarks import gpu; gpu.main(['--tiny'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not list(tmp_path.iterdir())
    found = json.loads(ended.stdout)
    assert {name for name, check in found["checks"].items() if check["passed"] is None} == {"export"}
    assert found["checks"]["resume"]["same_bits"] and len(found["checks"]) == 8
    assert all(speed["share_of_peak"] > 0 and speed["fit_images_per_second"] > 0 for speed in found["speed"])


def test_what_cannot_run_says_so(tmp_path):
    ended = run("planted", str(tmp_path), "--tiny", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is there already" in ended.stderr and "Traceback" not in ended.stderr


def project(folder, *, weight=1.0, rename=lambda name: name, top1="0.5"):
    """What training leaves, as far as `identical` compares it."""
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ("images", "logits"))
    shift = helper.make_tensor(rename("shift"), onnx.TensorProto.FLOAT, [2], [weight, 2.0])
    nodes = [
        helper.make_node("Add", ["images", rename("shift")], [rename("added")], name=rename("add")),
        helper.make_node("Relu", [rename("added")], ["logits"], name=rename("relu")),
    ]
    model, report = folder / "models" / "trained" / "lenet", folder / "reports" / "trained" / "lenet"
    model.mkdir(parents=True)
    report.mkdir(parents=True)
    onnx.save(helper.make_model(helper.make_graph(nodes, rename("main"), [x], [y], [shift])), model / "model.onnx")
    (model / "weights.safetensors").write_bytes(str(weight).encode())
    (report / "history.csv").write_text(f"epoch,val/top1\n1,{top1}\n")
    (report / "metrics.json").write_text(json.dumps({"top1": float(top1), "latency_ms": id(folder)}))
    return folder


def test_identical_projects_may_differ_in_names_and_times_alone(tmp_path):
    before = project(tmp_path / "before")
    after = project(tmp_path / "after", rename=lambda name: f"deployed.{name}")
    assert dict(identical.differences(before, after)) == dict.fromkeys(
        (
            "models/trained/lenet/model.onnx",
            "models/trained/lenet/weights.safetensors",
            "reports/trained/lenet/history.csv",
            "reports/trained/lenet/metrics.json",
        ),
        "",
    )


def test_one_weight_or_the_last_digit_of_a_score_is_a_difference(tmp_path):
    before = project(tmp_path / "before")
    heavier = dict(identical.differences(before, project(tmp_path / "heavier", weight=1.0000001)))
    assert [bool(difference) for difference in heavier.values()] == [True, True, False, False]
    better = dict(identical.differences(before, project(tmp_path / "better", top1="0.5000000001")))
    assert [bool(difference) for difference in better.values()] == [False, False, True, True]
    (before / "reports" / "trained" / "lenet" / "metrics.json").unlink()
    gone = dict(identical.differences(before, tmp_path / "better"))
    assert gone["reports/trained/lenet/metrics.json"] == "not in before"


def test_identical_trains_every_architecture_and_every_method():
    made = identical.params(ROOT)
    assert set(made["architectures"]) == set(architectures.names())
    assert {recipe["steps"][0]["method"] for recipe in made["compress"].values()} == set(compression.names())
    asked = identical.stages(made, ["evaluate@compressed/quantize-static"])
    assert asked == ["prepare", "train@resnet", "compress@quantize-static", "evaluate@compressed/quantize-static"]
    assert len(identical.stages(made)) > len(architectures.names()) + len(compression.names())
