"""Several processes train together on one machine: ranks meet in a folder, talk over the loopback, and name the one that is lost."""

import os
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytorch_lightning as pl
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, ParallelStrategy
from pytorch_lightning.strategies.strategy import Strategy
from torch import device

from neocog.core import private_apis
from neocog.core.errors import NeocogError
from neocog.training.recipe import Recipe

FOLDER = "NEOCOG_RANKS"  # in the environment of every rank: where they meet
TIMEOUT = "NEOCOG_RANK_TIMEOUT"  # s that a rank may keep the others waiting within a training
PATIENCE = 50.0
MEETING = 3600.0  # s until the last rank is there: the first one may still be writing what it trained before
_BROKEN = ("timed out", "timeout", "connection closed", "connection reset", "broken pipe", "read error", "write error")
_MARK = struct.Struct("=qqq")  # process, trainings begun, batches begun


class Ranks:
    """What each of `world` ranks says of itself in a file of `folder`, and which of them are lost."""

    def __init__(self, folder: Path, rank: int, world: int) -> None:
        self.folder, self.rank, self.world = folder, rank, world
        self.trainings = self.batches = 0
        self.file = os.open(folder / str(rank), os.O_RDWR | os.O_CREAT, 0o600)

    def mark(self, *, batches: int) -> None:
        """Say how far this rank is."""
        self.batches = batches
        os.pwrite(self.file, _MARK.pack(os.getpid(), self.trainings, batches), 0)

    def meet(self, *, seconds: float = MEETING) -> None:
        """Wait until every rank begins this training. Raises NeocogError when one ends before."""
        self.trainings += 1
        self.mark(batches=0)
        end = time.monotonic() + seconds
        while late := [rank for rank, (_, trainings, _) in self._others().items() if trainings < self.trainings]:
            gone = [rank for rank in late if self._state(rank) == _ENDED]
            if gone or time.monotonic() > end:
                raise self.error(gone or late)
            time.sleep(0.05)

    def lost(self) -> list[int]:
        """Those that have ended, else are stopped, else are behind this one; never this one."""
        others = self._others()
        for state in (_ENDED, _STOPPED):
            if found := [rank for rank in others if self._state(rank) == state]:
                return found
        least = min(batches for _, _, batches in others.values())
        return [rank for rank, (_, _, batches) in others.items() if batches == least and least <= self.batches]

    def error(self, lost: list[int]) -> NeocogError:
        """One sentence that names them."""
        told = [
            f"rank {rank} of {self.world} (process {self._others()[rank][0]}) "
            + (self._state(rank) or f"has not answered for {patience():.0f} s")
            for rank in lost
        ]
        return NeocogError(f"{'; '.join(told)}: the training was ended; the same command continues it")

    def end(self, lost: list[int]) -> None:
        """End those that do not end by themselves: a stopped process heeds nothing else."""
        for rank in lost:
            process = self._others()[rank][0]
            if process and self._state(rank) != _ENDED:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def _others(self) -> dict[int, tuple[int, int, int]]:
        found = {}
        for rank in range(self.world):
            if rank != self.rank:
                path = self.folder / str(rank)
                content = path.read_bytes() if path.exists() else b""
                found[rank] = _MARK.unpack(content) if len(content) == _MARK.size else (0, 0, 0)
        return found

    def _state(self, rank: int) -> str:
        """Why it cannot answer; empty for one that runs, or has not come yet."""
        process = self._others()[rank][0]
        try:
            status = psutil.Process(process).status() if process else psutil.STATUS_RUNNING
        except psutil.NoSuchProcess:
            return _ENDED
        return {psutil.STATUS_ZOMBIE: _ENDED, psutil.STATUS_STOPPED: _STOPPED}.get(status, "")


_ENDED, _STOPPED = "was killed or ended", "is stopped"


class OneMachine(ParallelStrategy):
    """A strategy of Lightning without a port: a file is the store, and what gloo or NCCL must listen on is the loopback."""

    ranks: Ranks | None = None

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = private_apis.launcher()(self.cluster_environment, len(self.parallel_devices or ()), 1)

    def setup_environment(self) -> None:
        assert self.accelerator is not None
        self.accelerator.setup_device(self.root_device)
        world, backend = len(self.parallel_devices or ()), private_apis.process_group_backend(self)
        self.ranks = join(self.local_rank, world, backend, self.root_device)
        super().setup_environment()


class DDP(OneMachine, DDPStrategy):
    """Data parallelism on this machine."""


class FSDP(OneMachine, ModelParallelStrategy):
    """Fully sharded data parallelism on this machine; `sharding.py` says how."""


class Heartbeat(pl.Callback):
    """Reports each batch that this rank begins to the other ranks."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if isinstance(trainer.strategy, OneMachine) and trainer.strategy.ranks:
            trainer.strategy.ranks.mark(batches=trainer.strategy.ranks.batches + 1)


def strategy(recipe: Recipe, work: Path) -> Strategy | str:
    """What Lightning's Trainer spreads the training with; ranks that it starts on this machine meet in `work`."""
    if recipe.strategy == "auto":
        return "auto"
    here, timeout = recipe.num_nodes == 1 and _meeting_place(work), timedelta(seconds=patience())
    if recipe.strategy == "ddp":
        waits = isinstance(recipe.freeze, int)  # parameters without a gradient for so many epochs
        if here:
            return DDP(timeout=timeout, find_unused_parameters=waits)
        return "ddp_find_unused_parameters_true" if waits else "ddp"
    return (FSDP if here else ModelParallelStrategy)(save_distributed_checkpoint=False, timeout=timeout)


def _meeting_place(work: Path) -> bool:
    """Name a folder for the ranks in the environment; False where others have started them (torchrun, Slurm)."""
    if FOLDER not in os.environ:
        if "LOCAL_RANK" in os.environ or "SLURM_NTASKS" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
            return False
        for old in work.glob("ranks-*"):  # `work` is held by this process alone
            shutil.rmtree(old, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="ranks-", dir=work.resolve())
    return True


_joined: dict[str, Ranks] = {}


def join(rank: int, world: int, backend: str, where: device) -> Ranks:
    """Meet the others in the folder that the environment names, and form a process group with them."""
    folder = os.environ[FOLDER]
    if folder not in _joined:
        _joined[folder] = Ranks(Path(folder), rank, world)
    ranks = _joined[folder]
    ranks.meet()
    if not dist.is_initialized():
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, _loopback())
        dist.init_process_group(
            backend,
            store=dist.FileStore(f"{folder}/store", world),
            rank=rank,
            world_size=world,
            timeout=timedelta(seconds=patience()),
            device_id=where if where.type != "cpu" else None,
        )
    return ranks


@contextmanager
def named(trainer: pl.Trainer) -> Iterator[None]:
    """A training that ends because a rank is lost says which one, on the first rank or, where that is lost, on another."""
    try:
        yield
    except RuntimeError as error:
        ranks = getattr(trainer.strategy, "ranks", None)
        if ranks is None or not any(word in str(error).lower() for word in _BROKEN):
            raise
        time.sleep(0.5)  # until the system has noticed the end of a process
        lost = ranks.lost()
        if not lost:
            raise
        found = ranks.error(lost)
        if ranks.rank and 0 in lost:  # otherwise the first rank speaks
            print(f"neocog: {found}", file=sys.stderr, flush=True)
        ranks.end(lost)
        raise found from error


def patience() -> float:
    """Seconds after which a rank that does not answer is lost."""
    return float(os.environ.get(TIMEOUT, PATIENCE))


def _loopback() -> str:
    """The name of the interface that has 127.0.0.1: lo, lo0."""
    return next(
        name for name, found in psutil.net_if_addrs().items() if any(each.address == "127.0.0.1" for each in found)
    )
