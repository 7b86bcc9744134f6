"""A damaged object in DVC's cache is found before anything is made of it, and the remedy that is named repairs it."""

import os
import re
import subprocess
from pathlib import Path

import onnx
import pytest
from clones import commit, environment, params_on_digits, run, set_up
from test_bundle import make

from neocog.bundle import read
from neocog.bundle.rebuild import rebuild
from neocog.core.errors import UserError
from neocog.data import prepared


def flip(path: Path, place: int) -> None:
    """Change one bit where nothing else looks: the file stays readable as what it is."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize("name", ["images.npy", "samples.parquet"])
def test_prepared_data_that_changed_are_refused(digits, tmp_path, name):
    folder = tmp_path / "prepared"
    folder.mkdir()
    for path in digits.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert len(prepared.read(folder).split("train").targets), "the control"
    flip(folder / name, 9_000)
    with pytest.raises(UserError, match=rf"{name} is damaged.*dvc repro --force prepare|changed after it was written"):
        prepared.read(folder).split("train")


def test_a_bundle_that_changed_is_refused(tmp_path):
    bundle, _, _ = make(tmp_path / "mlp", "mlp")
    bundle.session()
    rebuild(bundle)
    flip(bundle.folder / read.WEIGHTS, -3)
    with pytest.raises(UserError, match=r"weights.safetensors is damaged.*dvc repro --force train@mlp"):
        rebuild(bundle)
    graph = onnx.load(bundle.folder / read.GRAPH)
    graph.doc_string = "valid, and another"
    onnx.save(graph, bundle.folder / read.GRAPH)
    with pytest.raises(UserError, match=r"model.onnx is damaged"):
        bundle.session()


@pytest.mark.slow
def test_a_damaged_object_in_the_cache_of_dvc_is_found_and_repaired_as_told(tmp_path):
    folder = set_up(tmp_path / "project", params_on_digits() | {"architectures": {"mlp": {"widths": [8], "epochs": 1}}})
    commit(folder, "start")
    run(folder, "dvc", "repro", "prepare")
    images = folder / "data/prepared/images.npy"
    whole = images.read_bytes()
    [cached] = [
        path for path in (folder / ".dvc/cache/files").rglob("*") if path.is_file() and path.read_bytes() == whole
    ]
    flip(cached, len(whole) // 2)
    run(folder, "rm", "-r", "data/prepared")
    ended = subprocess.run(
        ["dvc", "repro", "train@mlp"], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0 and not list((folder / "models").rglob("bundle.json"))
    [said] = [line for line in ended.stderr.splitlines() if line.startswith("neocog: ")]
    assert "data/prepared/images.npy is damaged" in said
    for command in re.findall(r"`(.+?)`", said):
        run(folder, "bash", "-c", command)
    run(folder, "dvc", "repro", "train@mlp")
    run(folder, "rm", "-r", "data/prepared")
    run(folder, "dvc", "checkout", "data/prepared")
    assert images.read_bytes() == whole == cached.read_bytes()
    assert os.access(cached, os.R_OK)
