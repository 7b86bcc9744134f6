"""Names in any letters reach any terminal: what its encoding lacks, and what would control it, as escapes; never an end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

CLASSES = ("gr\u00fcn", "\u65e5\u672c", "\x9b31m red", "\u202egnirts", "\x1b]0;title")
RAW = ("\x9b", "\u202e", "\x1b")


@pytest.fixture
def pictures(project: Path) -> Path:
    draw = np.random.default_rng(0)
    for name in CLASSES:
        folder = project / "data/raw" / name
        folder.mkdir(parents=True)
        for number in range(12):
            Image.fromarray(draw.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{number}.png")
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["data"] |= {"source": "folder", "root": "data/raw", "size": 8}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    return project


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_prepare_prints_classes_of_any_letters(pictures: Path, encoding: str) -> None:
    own = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C" if encoding == "ascii" else "C.UTF-8"}
    command = [sys.executable, "-m", "pipelines.prepare"]
    ended = subprocess.run(command, capture_output=True, env=own, check=False)
    said = (ended.stdout + ended.stderr).decode(encoding)
    assert ended.returncode == 0, said
    assert not any(mark in said for mark in RAW)
    assert (CLASSES[0] if encoding == "utf-8" else "gr\\xfcn") in said
    assert "\\x9b31m red" in said and "\\u202egnirts" in said and "\\x1b]0;title" in said
    assert set(CLASSES[:4]) < set(json.loads(Path("data/prepared/dataset.json").read_text(encoding="utf-8"))["classes"])


def test_an_error_names_a_file_without_obeying_it(pictures: Path) -> None:
    (pictures / "data/raw" / CLASSES[0] / "a\x9b2J\u202e.png").write_bytes(b"x")
    text = (pictures / "params.yaml").read_text()
    assert "on_bad: quarantine" in text
    (pictures / "params.yaml").write_text(text.replace("on_bad: quarantine", "on_bad: stop"))
    command = [sys.executable, "-m", "pipelines.prepare"]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONUTF8": "1"}, check=False)
    assert ended.returncode == 2
    assert "a\\x9b2J\\u202e.png" in ended.stderr and not any(mark in ended.stderr for mark in RAW)
