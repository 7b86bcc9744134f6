"""What many tests stand on: real digits, prepared once; one CPU thread, so that tests can run beside each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import signal
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")  # a busy machine is not a wrong answer
ROOT = Path(__file__).parents[1]
# Shells start what runs in their background with Ctrl-C ignored: no test could press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """scikit-learn's 1,797 handwritten digits as a prepared data set."""
    from neocog.data.prepare import prepare

    return prepare(tmp_path_factory.mktemp("digits") / "prepared", source="digits", root="unused")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with this project's params.yaml (source: digits), dvc.yaml and scripts, as the working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("source: fashion_mnist", "source: digits"))
    monkeypatch.chdir(folder)
    return folder
