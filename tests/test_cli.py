"""The command line starts at once, teaches, and answers mistakes with a sentence and exit 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from neocog import architectures
from neocog.core import errors, output


def neocog(*arguments):
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "neocog.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def heavy(ended):
    modules = {line.split("|")[-1].strip() for line in ended.stderr.splitlines() if line.startswith("import time")}
    assert "argparse" in modules
    return modules & {"torch", "numpy", "pandas", "mlflow", "ray", "onnxruntime", "pytorch_lightning", "rich"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["models"],
        ["models", "resnet"],
        ["fastest", "--help"],
        ["inspect", "--help"],
        ["shapes", "--help"],
        *([verb, "--help"] for verb in ("sensitivity", "export", "predict", "serve", "register")),
        ["nonsense"],
        ["--version"],
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(arguments):
    assert not heavy(neocog(*arguments))


def test_help_teaches_the_way_in():
    said = neocog("--help").stdout
    assert "dvc repro" in said and "fastest" in said and "models" in said


def test_models_lists_every_architecture_by_year():
    lines = neocog("models").stdout.splitlines()
    rows = [line.split() for line in lines if line[:4].isdigit()]
    assert [row[1] for row in rows] == architectures.names()
    resnet = next(line for line in lines if " resnet " in line)
    assert all(told in resnet for told in ("2015", "692k", "7.79M", "Shortcuts", "resnet152"))


def test_models_tells_everything_about_one():
    said = neocog("models", "resnet").stdout
    for told in (
        "arXiv:1512.03385",
        "resnet50",
        "25.6M params",
        "4.09G MACs",
        "depths:",
        "[1, 1, 1, 1]",
        "norm:",
        "batch | layer",
    ):
        assert told in said, told


def test_an_unknown_architecture_ends_with_2():
    ended = neocog("fastest", "resnt")
    assert ended.returncode == 2
    assert "did you mean 'resnet'?" in ended.stderr


def test_fastest_measures_every_combination(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("data: {task: multilabel}\n")  # trains by that task's loss
    ended = subprocess.run(
        [sys.executable, "-m", "neocog.cli.main", "fastest", "lenet", "--seconds", "0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("32-true") >= 2
    assert ended.stdout.count("bf16-mixed") >= 2
    assert "1.00x" in ended.stdout


@pytest.mark.parametrize("name", ["shoe.txt", "shoe.jpg", "shoe", "shoe.png.gz"])
def test_a_picture_is_written_under_the_name_of_what_it_is(name, tmp_path):
    with pytest.raises(errors.UserError, match=r"a picture ends with \.png; name it .*\.png"):
        output.checked(tmp_path / name, ".png")
    assert output.checked(tmp_path / "shoe.PNG", ".png").name == "shoe.PNG"
