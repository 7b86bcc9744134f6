"""A disk that is full or may not be written to is one sentence with place and remedy, whatever was being written: real limits."""

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT
from test_bundle import make

from neocog.bundle import read
from neocog.core.errors import NeocogError, UserError, of_disk
from neocog.training import checkpoint

STAGE = """
import resource, signal, sys
from neocog.core import errors

def stage():
    {body}

errors.run(stage)
"""
SMALL = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999))"  # as a disk of 10 kB
WAYS = {
    "a file": "open('out.bin', 'wb').write(bytes(20_000))",
    "safetensors": "import numpy, safetensors.numpy as s; s.save_file({'x': numpy.zeros(9000)}, 'out.bin')",
    "parquet": "import pyarrow as a, pyarrow.parquet as p; p.write_table(a.table({'x': [str(i) for i in range(9999)]}), 'out.bin')",
    "an array": "import numpy; numpy.save('out.bin', numpy.zeros(9000))",
    "the working files": "from neocog.core import integrity; from pathlib import Path; integrity.write(Path('.neocog/x'), 'x' * 20_000)",
}


def ended(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    own = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    code = STAGE.format(body=body)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=own, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk_is_a_sentence_however_it_is_written_to(tmp_path, way):
    assert ended(tmp_path, WAYS[way]).returncode == 0, "the control"
    full = ended(tmp_path, f"{SMALL}; {WAYS[way]}")
    assert full.returncode == 1 and "Traceback" not in full.stderr, full.stderr
    assert "the disk is full" in full.stderr and "run the same command" in full.stderr


def test_a_full_disk_under_models_is_named_and_leaves_nothing_half_written(tmp_path):
    body = f"from test_bundle import make; from pathlib import Path; {SMALL}; make(Path('models/trained/mlp'), 'mlp')"
    own = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}", "TMPDIR": str(tmp_path)}
    code = STAGE.format(body=body)
    full = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=own, capture_output=True, text=True, check=False
    )
    assert full.returncode == 1 and "Traceback" not in full.stderr, full.stderr
    assert "neocog: models/trained/mlp: the disk is full" in full.stderr or "prepared: the disk is full" in full.stderr
    assert not list(tmp_path.rglob("bundle.json"))


@pytest.mark.parametrize("block", ["read-only", "a file in its place"])
def test_working_files_that_cannot_be_written_are_a_sentence(tmp_path, block):
    if block == "read-only":
        (tmp_path / ".neocog").mkdir(mode=0o555)
        if os.access(tmp_path / ".neocog", os.W_OK):
            pytest.skip("root may write anywhere")
    else:
        (tmp_path / ".neocog").touch()
    body = "from neocog.training.fit import claim; from pathlib import Path; claim(Path('.neocog/training/x'), 'x').__enter__()"
    told = ended(tmp_path, body)
    assert told.returncode == 2 and "Traceback" not in told.stderr, told.stderr
    assert "neocog: .neocog" in told.stderr and "make it a place that you can write to" in told.stderr


def test_other_errors_stay_what_they_are(tmp_path):
    assert of_disk(FileNotFoundError(2, "No such file", "x")) is None
    told = ended(tmp_path, "open('nowhere/x')")
    assert told.returncode == 1 and "Traceback" in told.stderr


def test_a_pickle_offered_as_a_checkpoint_is_refused_and_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    content = pickle.dumps(Payload())
    name = f"epoch-3.{hashlib.sha256(content).hexdigest()[:16]}.ckpt"
    (tmp_path / name).write_bytes(content)
    assert checkpoint.latest(tmp_path) == tmp_path / name, "its checksum is right"
    with pytest.raises(UserError, match=r"is no checkpoint of neocog.*remove it") as refused:
        checkpoint.load(tmp_path / name)
    assert refused.value.exit_code == 2 and not (tmp_path / "ran").exists()


def test_a_bundle_on_a_full_file_system_stays_as_it_was(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(NeocogError, match=r"models/trained/mlp: the disk is full"):
            make(folder / "models/trained/mlp", "mlp", channels=3, size=28)
        assert not (folder / "models/trained/mlp").exists()
        bundle, _, _ = make(folder / "models/trained/perceptron", "perceptron")
        assert read.read(folder / "models/trained/perceptron").name == bundle.name, "the control: a small one has room"
    finally:
        subprocess.run(["umount", folder], check=True)
