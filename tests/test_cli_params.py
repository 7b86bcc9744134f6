"""`shapes` and `fastest` read params.yaml as strictly as the stages do, and limit what their options may ask of a machine."""

import subprocess
import sys

import pytest

from neocog import architectures
from neocog.cli import main


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """The last line of a verb that is refused beside a params.yaml."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, params=""):
        (tmp_path / "params.yaml").write_text(params)
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        assert ended.value.code == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("mobilenet", "architectures: {mobilenet: {widths: [16]}}", "must be equally long"),
        ("vgg", "architectures: {vgg: {widths: big}}", "architectures.vgg.widths (='big')"),
        ("resnet", "architectures: {resnet: {norm: nope}}", "did you mean 'none'?"),
        ("resnet", "architectures: {resnet: {form: [1]}}", "architectures.resnet.form (=[1])"),
        ("resnet", "architectures: {resnet: {norn: batch}}", "unknown key; did you mean 'norm'?"),
        ("densenet", "architectures: {densenet: {depths: 3}}", "architectures.densenet.depths (=3)"),
        ("mlp", "architectures: {mlp: {widths: [-3]}}", "architectures.mlp.widths.0 (=-3)"),
        ("hybrid", "architectures: {hybrid: [1]}", "architectures.hybrid (=[1]) must be a block of keys"),
        ("hybrid", "architectures: [1]", "architectures (=[1]) must be a block of keys"),
        ("lenet", "train: 7", "train (=7) must be a block of keys"),
        ("lenet", "train: {batch_size: big}", "train.batch_size (='big')"),
        ("lenet", "architectures: {lenet: {batch_size: 0}}", "architectures.lenet.batch_size (=0)"),
    ],
)
@pytest.mark.parametrize("verb", ["shapes", "fastest"])
def test_a_mistake_in_params_yaml_is_named(verb, name, params, told, said):
    line = said(verb, name, params=params)
    assert line.startswith("neocog: params.yaml: ") and told in line


def test_a_block_without_mistakes_or_an_empty_one_is_looked_at(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("architectures: {lenet: {width: 2, epochs: 3, seeds: 2}, mlp:}\ntrain:\n")
    main.main(["shapes", "lenet"])
    main.main(["shapes", "mlp"])
    params = sum(
        p.numel()
        for p in architectures.build("lenet", channels=1, size=28, classes=10, sizes={"width": 2}).parameters()
    )
    assert f"{params:,} parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fastest", "lenet", "--seconds", "-1"], "--seconds (=-1) must be above 0"),
        (["fastest", "lenet", "--seconds", "nan"], "--seconds (=nan) must be above 0"),
        (["fastest", "lenet", "--threads", "100000"], "--threads (=100000) must be at most"),
        (["fastest", "lenet", "--size", "100000"], "--size (=100000) must be at most 1024"),
        (["shapes", "lenet", "--classes", "9" * 30], "must be at most 1000000"),
        (["shapes", "lenet", "--image", "100000"], "--image (=100000) must be at most 1024"),
    ],
)
def test_an_option_beyond_reason_is_refused(arguments, told, said):
    assert told in said(*arguments)


def test_a_speed_is_measured_however_little_time_there_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main.main(["fastest", "perceptron", "--seconds", "1e-9", "--threads", "1"])
    assert "1.00x" in capsys.readouterr().out


def test_checking_a_block_needs_no_torch():
    code = "import sys; from neocog.params import block; block.check('lenet', {}); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
