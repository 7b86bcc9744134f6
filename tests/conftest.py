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


LONGEST = (  # files of a minute or more: they begin first, so that no process ends with one while the others rest
    *("test_pipeline", "test_repro_ray", "test_tune_stage", "test_kills", "test_tuning_cluster", "test_snippets_run"),
    *("test_tracking_faults", "test_remote", "test_detection_pipeline", "test_compression_pipeline", "test_benchmarks"),
    *("test_tuning", "test_training_faults", "test_reproduce", "test_tuning_local", "test_ranks"),
    *("test_compress_stage", "test_register"),
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m slow`, leave out files without a slow test: importing them takes each process some ten seconds."""
    asked = config.getoption("markexpr") == "slow" and collection_path.match("test_*.py")
    return True if asked and "mark.slow" not in collection_path.read_text(encoding="utf-8") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))


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


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The program of a browser; a test that wants it is skipped where there is none, but not in CI."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
    if not path and not os.environ.get("CI"):
        pytest.skip("no browser: install chromium")
    assert path, "this test opens the page in a browser: install chromium (apt-get install chromium)"
    return path


@pytest.fixture(scope="module")
def chromium(chromium_path: str):
    """A headless browser."""
    sync = (
        pytest.importorskip("playwright.sync_api")
        if not os.environ.get("CI")
        else __import__("playwright.sync_api").sync_api
    )
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        browser.close()
