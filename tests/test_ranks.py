"""Two processes that train together: nobody else can reach them, a lost one is named, and the training goes on."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from listening import beyond_loopback
from waiting import wait_for

from neocog.training.ranks import _MARK, Ranks

TRAIN = [sys.executable, "-m", "pipelines.train", "mlp"]


def other(folder: Path, rank: int, *, batches: int) -> subprocess.Popen:
    """A process that has said how far it is, as a rank does."""
    started = subprocess.Popen(["sleep", "100"])
    (folder / str(rank)).write_bytes(_MARK.pack(started.pid, 1, batches))
    return started


def test_the_lost_rank_is_the_ended_else_the_stopped_else_the_one_behind(tmp_path: Path) -> None:
    ranks = Ranks(tmp_path, 0, 3)
    ranks.trainings = 1
    ranks.mark(batches=7)
    first, second = other(tmp_path, 1, batches=7), other(tmp_path, 2, batches=6)
    try:
        assert ranks.lost() == [2]
        first.send_signal(signal.SIGSTOP)
        assert wait_for(lambda: ranks.lost() == [1], seconds=20)
        assert re.search(rf"rank 1 of 3 \(process {first.pid}\) is stopped", str(ranks.error([1])))
        second.kill()
        second.wait()
        assert ranks.lost() == [2] and "was killed or ended" in str(ranks.error([2]))
        ranks.end([1])
        assert first.wait(20) == -signal.SIGKILL, "a stopped one is ended"
    finally:
        for each in (first, second):
            each.kill()
            each.wait()


def second_rank(process: int) -> psutil.Process | None:
    for each in psutil.Process(process).children(recursive=True):
        try:
            if each.environ().get("LOCAL_RANK") == "1":
                return each
        except psutil.Error:
            continue
    return None


@pytest.mark.slow
def test_a_lost_rank_is_named_and_the_same_command_goes_on(project: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["train"] |= {"devices": 2, "strategy": "ddp", "accelerator": "cpu"}
    params["architectures"] = {"mlp": {"epochs": 30, "batch_size": 32}}
    params |= {"compress": {}, "tune": {**params["tune"], "architectures": [], "space": {}}}
    params["robustness"]["baseline"] = None
    Path("params.yaml").write_text(yaml.safe_dump(params))
    subprocess.run([sys.executable, "-m", "pipelines.prepare"], check=True, capture_output=True)
    own = {**os.environ, "NEOCOG_RANK_TIMEOUT": "4"}
    for strategy, least, sent, words in (
        ("ddp", 1, signal.SIGSTOP, "is stopped"),
        ("fsdp", 1, signal.SIGKILL, "was killed or ended"),
    ):
        if params["train"]["strategy"] != strategy:
            params["train"]["strategy"] = strategy
            Path("params.yaml").write_text(yaml.safe_dump(params))
            shutil.rmtree(".neocog")
        started = subprocess.Popen(TRAIN, env=own, stderr=subprocess.PIPE, text=True)
        trained = wait_for(
            lambda least=least: any(_epoch(each) >= least for each in Path(".neocog").rglob("epoch-*.ckpt")),
            seconds=120,
            process=started,
        )
        assert trained, started.communicate()
        rank = second_rank(started.pid)
        assert rank is not None
        assert not beyond_loopback(psutil.Process(started.pid))
        rank.send_signal(sent)
        _, said = started.communicate(timeout=100)
        assert started.returncode == 1, said
        assert f"neocog: rank 1 of 2 (process {rank.pid}) {words}" in said, said
        psutil.wait_procs([rank], timeout=20)
        assert not rank.is_running()
    ended = subprocess.run(TRAIN, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "continues after epoch" in ended.stderr
    assert Path("models/trained/mlp/model.onnx").is_file(), "what was sharded is a bundle like any other"


def _epoch(path: Path) -> int:
    return int(path.name.split("-")[1].split(".")[0])
