"""Exports for other runtimes: their file answers as the bundle does or is not written, and a runtime that is not there is named."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks import compression as comparison
from neocog import architectures, compression, edge
from neocog.bundle import write
from neocog.bundle.parity import ParityError
from neocog.bundle.read import digest
from neocog.cli import main
from neocog.compression.chain.candidate import begin
from neocog.compression.chain.export import ship
from neocog.core.errors import NeocogError, UserError
from neocog.data.prepare import prepare
from neocog.edge import captured_output, export
from neocog.tasks.task import task
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

SHORT = Recipe(epochs=4, batch_size=64, lr=0.05, flip=0.0, crop=0, label_smoothing=0.0, threads=1)
SIZES = {"widths": [16, 32], "depths": [1, 1]}


def installed(to: str) -> bool:
    return all(find_spec(package) for package in edge.EXTRAS[to])


with_extra = {
    to: pytest.param(
        to, marks=pytest.mark.skipif(not installed(to), reason=f"the extra `{to}` is not installed: make edge")
    )
    for to in edge.EXTRAS
}


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """The bundle of a small ResNet that has learned digits."""
    folder = tmp_path_factory.mktemp("trained")
    build = partial(architectures.build, "resnet", channels=1, size=8, classes=10, sizes=SIZES)
    fitted = fit(build, digits, SHORT, name="resnet", work=folder / "work")
    return write.write(
        folder / "resnet",
        fitted.model,
        digits,
        kind="trained",
        name="resnet",
        architecture="resnet",
        sizes=SIZES,
        provenance={},
    )


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """A small data set of several labels an image, and the bundle of a ResNet that has barely seen it."""
    folder = tmp_path_factory.mktemp("labels")
    data = prepare(folder / "prepared", task="multilabel", source="digit_grids", root=folder)
    shape = {"channels": data.channels, "size": data.size, "classes": len(data.classes)}
    build = partial(architectures.build, "resnet", **shape, sizes=SIZES)
    fitted = fit(build, data, replace(SHORT, epochs=1), name="resnet", work=folder / "work")
    named = {"kind": "trained", "name": "resnet", "architecture": "resnet"}
    return data, write.write(folder / "resnet", fitted.model, data, sizes=SIZES, provenance={}, **named)


@pytest.mark.parametrize("to", sorted(edge.EXTRAS))
def test_a_runtime_that_is_not_installed_is_named_with_the_command(to, monkeypatch):
    monkeypatch.setattr(edge, "find_spec", lambda package: None)
    with pytest.raises(UserError, match=rf"--to {to}: .* not installed; .*pip install 'neocog\[{to}\]'"):
        export.load(to)


def test_the_sentence_reaches_the_command_line_at_once_with_exit_2(tmp_path):
    script = (
        "import sys; from neocog import edge; from neocog.cli import main as cli; from neocog.core import errors\n"
        "edge.find_spec = lambda package: None\n"
        "try: cli.main(sys.argv[1:])\n"
        "finally: assert not {'torch', 'numpy', 'onnxruntime'} & {*sys.modules}"
    )
    arguments = ["export", "models/trained/resnet", "--to", "openvino", "--out", "net.xml"]
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("neocog: --to openvino: openvino and nncf not installed")
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_runtime_ends_at_the_door(capsys):
    with pytest.raises(SystemExit):
        main.main(["export", "models/trained/resnet", "--to", "tensorrt"])
    assert "executorch" in capsys.readouterr().err


def test_the_gate_tells_a_mistake_from_rounding():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(1000, 10)) * 5
    close = logits + draw.normal(size=logits.shape) * 0.02
    assert export.compare(logits, logits + 1e-6, rounded=False, task=task("classification"))["top1_agreement"] == 1.0
    assert export.compare(logits, close, rounded=True, task=task("classification"))["images"] == 1000
    with pytest.raises(ParityError, match="relative error of the outputs"):
        export.compare(logits, close, rounded=False, task=task("classification"))
    with pytest.raises(ParityError, match="nothing was written"):
        export.compare(logits, logits[:, ::-1], rounded=True, task=task("classification"))
    with pytest.raises(ParityError):
        export.compare(logits, logits * np.nan, rounded=True, task=task("classification"))


def test_what_a_runtime_says_is_shown_only_when_it_fails(capfd):
    with captured_output.quiet():
        print("progress")
        os.write(2, b"from C++\n")
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RuntimeError), captured_output.quiet():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert "the reason" in capfd.readouterr().err
    with pytest.raises(NeocogError), captured_output.quiet():
        os.write(2, b"noise\n")
        raise NeocogError("a sentence says it all")
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True], ids=["floats", "integers"])
@pytest.mark.parametrize("to", with_extra.values())
def test_the_file_answers_as_the_bundle_does(to, int8, trained, digits, tmp_path):
    runtime = export.load(to)
    record = export.export(trained, digits, to=to, int8=int8, out=tmp_path / f"net{runtime.SUFFIX}")
    path = tmp_path / f"net{runtime.SUFFIX}"
    assert {each.name for each in tmp_path.iterdir()} == {*record["files"], f"{path.name}.json"}
    assert record == json.loads((tmp_path / f"{path.name}.json").read_text())
    assert record["bundle.sha256"] == digest(trained.folder)
    test = digits.split("test")
    answered = export.one_by_one(runtime.predictor(path), test.images)
    assert (answered.argmax(1) == test.targets).mean() > 0.9, "raw images in, classes out"
    weights = path.with_suffix(".bin") if to == "openvino" else path
    assert (weights.stat().st_size < 0.5 * record["bundle graph"]["size_bytes"]) is int8
    assert f"{record['file']['size_bytes']:,}" in export.summary(record)


@pytest.mark.slow
@pytest.mark.parametrize("to", with_extra.values())
def test_a_model_of_another_task_answers_by_its_own_outputs_and_metric(to, labels, tmp_path):
    data, bundle = labels
    runtime = export.load(to)
    path = tmp_path / f"net{runtime.SUFFIX}"
    record = export.export(bundle, data, to=to, int8=True, out=path)
    assert record["output"] == "probabilities [N, 10]" and record["thresholds"] == bundle.card["thresholds"]
    assert record["parity"]["map_agreement"] > 0.95 and "val/map" in record["file"]
    said = export.one_by_one(runtime.predictor(path), data.split("test").images[:20])
    assert said.shape == (20, 10) and ((said >= 0) & (said <= 1)).all()
    assert "agrees with the bundle" in export.summary(record) and "softmax" not in export.summary(record)


@pytest.mark.parametrize("to", [with_extra["openvino"]])
def test_a_file_that_answers_otherwise_is_not_written(to, trained, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "MAX_ERROR", 0.0)
    with pytest.raises(ParityError, match="nothing was written"):
        export.export(trained, digits, to=to, int8=False, out=tmp_path / f"net{export.load(to).SUFFIX}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to", with_extra.values())
def test_a_file_of_another_kind_is_refused(to, trained, digits, tmp_path):
    for out in (tmp_path / "net.onnx", tmp_path / "nowhere" / f"net{export.load(to).SUFFIX}"):
        with pytest.raises(UserError, match="--out"):
            export.export(trained, digits, to=to, int8=False, out=out)


@pytest.mark.slow
@pytest.mark.parametrize("to", with_extra.values())
def test_a_bundle_in_integers_goes_the_way_that_its_runtime_knows(to, trained, digits, tmp_path):
    candidate = compression.apply({"method": "quantize_static"}, begin(trained), digits)
    bundle = ship(tmp_path / "x", candidate, digits, name="x", steps=[], provenance={}, verdict={})
    refused, why = {"executorch": (False, "add --int8"), "openvino": (True, "leave --int8 out")}[to]
    out = tmp_path / f"net{export.load(to).SUFFIX}"
    with pytest.raises(UserError, match=why):
        export.export(bundle, digits, to=to, int8=refused, out=out)
    record = export.export(bundle, digits, to=to, int8=not refused, out=out)
    assert record["parity"]["top1_agreement"] > 0.95


@pytest.mark.slow
def test_the_benchmark_of_integers_runs_every_way_on_the_same_images(trained, digits, capsys):
    models = trained.folder.parent
    candidate = compression.apply({"method": "quantize_static"}, begin(trained), digits)
    shipped = ship(models / "compressed/x", candidate, digits, name="x", steps=[], provenance={}, verdict={})
    (models / "trained").mkdir()
    (models / "trained/resnet").symlink_to(trained.folder)
    comparison.table(shipped, digits, rounds=1, limit=200)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    ways = {row[1]: row for row in rows}
    assert len(ways) == len(rows) == 6 + 3 * installed("openvino")
    assert all(float(row[2].rstrip("%")) > 90 for row in rows), "each of them sees what the images show"
    assert ways[comparison.FLOAT][5] == ways[comparison.FLOAT][7] == ways[comparison.EAGER][8] == "1.00"
    assert int(ways["int8, neocog"][3]) < 0.5 * int(ways[comparison.FLOAT][3])
