"""A checkpoint is whole or not there, whatever happens while it is written; and it never runs code."""

import os
import random
import subprocess
import sys
import time

import pytest
import torch
from waiting import wait_for

from neocog.core.errors import NeocogError, UserError
from neocog.training import checkpoint


def test_a_spoilt_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    io = checkpoint.AtomicCheckpointIO()
    io.save_checkpoint({"epoch": torch.tensor(1)}, tmp_path / "epoch-1.ckpt")
    [first] = checkpoint.found(tmp_path)
    content = first.read_bytes()
    io.save_checkpoint({"epoch": torch.tensor(2)}, tmp_path / "epoch-2.ckpt")
    [second] = checkpoint.found(tmp_path)
    first.write_bytes(content)  # as if the kill had come before the old one was removed
    second.write_bytes(second.read_bytes()[:-100])
    assert checkpoint.latest(tmp_path) == first
    assert checkpoint.load(first)["epoch"] == 1
    (tmp_path / "epoch-3.0123456789abcdef.ckpt.tmp").write_bytes(b"half")
    checkpoint.latest(tmp_path)
    assert not list(tmp_path.glob("*.tmp")), "leftovers do not pile up"


@pytest.mark.slow
def test_kills_while_checkpoints_are_written_leave_one_that_loads(tmp_path):
    script = (
        "import sys, torch; from pathlib import Path; from neocog.training.checkpoint import AtomicCheckpointIO\n"
        "io, epoch = AtomicCheckpointIO(), int(sys.argv[1])\n"
        "while True:\n"
        "    epoch += 1\n"
        "    io.save_checkpoint({'x': torch.full((300_000,), epoch)}, Path(sys.argv[2]) / f'epoch-{epoch}.ckpt')\n"
    )

    def written() -> int:
        found = [checkpoint.NAME.search(path.name) for path in tmp_path.iterdir()]
        return max((int(match[1]) for match in found if match), default=0)

    epoch = 0
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", script, str(epoch), str(tmp_path)])
        assert wait_for(lambda before=epoch: written() > before, seconds=120, process=process)
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        process.wait()
        last = checkpoint.latest(tmp_path)
        assert last is not None
        now = int(checkpoint.NAME.search(last.name)[1])
        assert now > epoch and bool((checkpoint.load(last)["x"] == now).all())
        epoch = now
    assert len(list(tmp_path.iterdir())) <= 3, "two are kept, and the last kill may have come before the oldest went"


def test_a_full_disk_is_said_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    io = checkpoint.AtomicCheckpointIO()
    io.save_checkpoint({"epoch": 1}, tmp_path / "epoch-1.ckpt")
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(full))
    with pytest.raises(NeocogError, match="the disk is full"):
        io.save_checkpoint({"epoch": 2}, tmp_path / "epoch-2.ckpt")
    monkeypatch.undo()
    assert checkpoint.load(checkpoint.latest(tmp_path))["epoch"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_checkpoint_that_holds_code_is_not_loaded(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    torch.save(Payload(), tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match=r"is no checkpoint of neocog .*none of it was run"):
        checkpoint.load(tmp_path / "bad.ckpt")
    assert not (tmp_path / "pwned").exists()
