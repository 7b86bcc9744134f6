"""Killing what decodes, or all of `prepare`, loses nothing and leaves nothing half-done."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from pictures import content, save
from PIL import Image

from neocog.core.errors import NeocogError
from neocog.data.prepare import prepare
from neocog.data.prepared import read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 large noisy pictures in two classes: seconds of decoding."""
    root = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(0)
    for label in range(2):
        for i in range(40):
            noise = rng.integers(0, 256, (500, 500, 3), dtype=np.uint8)
            path = save(Image.fromarray(noise), root / f"class{label}" / f"{i}.png", compress_level=1)
            for copy in range(4):
                shutil.copy(path, path.with_name(f"{i} again {copy}.png"))
    return root


def decoders(pid: int | None = None) -> list[psutil.Process]:
    """The processes that decode for `pid`: children of its fork server."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "forkserver" in " ".join(child.cmdline()) and child.ppid() != (pid or os.getpid()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def kill_decoders(times: int, stop: threading.Event, killed: list[int]) -> None:
    """Kill -9 a decoding process as soon as it has worked for a moment, `times` times."""
    while not stop.is_set() and len(killed) < times:
        for process in decoders():
            try:
                if sum(process.cpu_times()[:2]) > 0.15 or times > 1:
                    process.kill()
                    killed.append(process.pid)
                    break
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.02)


def disturbed(raw: Path, target: Path, *, times: int) -> list[int]:
    stop, killed = threading.Event(), []  # type: tuple[threading.Event, list[int]]
    killer = threading.Thread(target=kill_decoders, args=(times, stop, killed))
    killer.start()
    try:
        prepare(target, source="folder", root=raw, size=32, workers=2)
    finally:
        stop.set()
        killer.join()
    return killed


def test_a_killed_decoder_changes_nothing(raw: Path, tmp_path: Path) -> None:
    calm = prepare(tmp_path / "calm", source="folder", root=raw, size=32, workers=2)
    assert len(disturbed(raw, tmp_path / "disturbed", times=1)) == 1
    assert content(tmp_path / "disturbed") == content(calm.folder)
    assert calm.quarantined() == []


def test_decoders_that_keep_being_killed_end_in_one_clear_sentence(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(NeocogError, match=r"keep being killed \(lately at .*lower data.workers \(=2\)"):
        disturbed(raw, tmp_path / "p", times=1_000_000)
    assert list(tmp_path.iterdir()) == []


def start(raw: Path, target: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from neocog.data.prepare import prepare\n"
        "if __name__ == '__main__': prepare(sys.argv[2], source='folder', root=sys.argv[1], size=32, workers=2)"
    )
    script = target.parent / "run.py"
    script.write_text(code)
    return subprocess.Popen([sys.executable, script, raw, target], start_new_session=True, stderr=subprocess.DEVNULL)


def wait_for_decoders(pid: int) -> list[psutil.Process]:
    for _ in range(3000):
        found = decoders(pid)
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("no process decoded anything")


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_prepare_leaves_no_process_and_nothing_half_done(
    raw: Path, tmp_path: Path, with_signal: signal.Signals
) -> None:
    process = start(raw, tmp_path / "p")
    workers = wait_for_decoders(process.pid)
    time.sleep(0.5)
    assert process.poll() is None  # control: it was still at work
    os.kill(process.pid, with_signal)
    assert process.wait(60) != 0
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert not (tmp_path / "p").exists()
    assert start(raw, tmp_path / "p").wait(60) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "run.py"]
    assert read(tmp_path / "p").num_images("train") > 200
