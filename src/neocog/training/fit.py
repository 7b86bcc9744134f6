"""`fit`: what everything that ever trains calls."""

import fcntl
import hashlib
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn

from neocog import tracking
from neocog.core.errors import Busy, OutOfMemory, UserError
from neocog.data.loader import Batches
from neocog.data.prepared import Prepared
from neocog.training import checkpoint, dry_run, fairness, gradients, memory, ranks
from neocog.training.auxiliary_loss import Guide
from neocog.training.epochs import Epochs, Log, OnEpoch
from neocog.training.module import Learner
from neocog.training.programs import closed_form, pretraining
from neocog.training.recipe import Recipe


@dataclass(frozen=True)
class Fitted:
    """A finished training. `model` is on the CPU in evaluation mode; `history` has one row an epoch."""

    model: nn.Module
    recipe: Recipe
    history: list[dict[str, float]]
    epoch: int  # whose weights these are
    seconds: float  # spent in training batches, over all resumed parts
    images_per_second: float
    wait_share: float  # of the seconds, spent waiting for data
    device: str  # cpu, cuda, mps: where it really ran
    precision: str  # and in which precision
    is_writer: bool  # whether this process (rank 0) is the one that writes results


def key(**what: Any) -> str:
    """Twelve characters that change whenever anything does that determines a training."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:12]


def fit(
    build: Callable[[], nn.Module],
    data: Prepared,
    recipe: Recipe,
    *,
    name: str,
    work: Path,
    run: Log | None = None,
    on_epoch: OnEpoch | None = None,
    trainer: Mapping[str, Any] | None = None,
    guide: Guide | None = None,
) -> Fitted:
    """Train what `build` returns on the train split of `data`, watched on its val split.

    `work` is the folder of working checkpoints: it must be named by a `key` of all that determines the training. If a training
    was cut off there, it goes on after its last whole epoch and ends with the same bits (on CPU, with the same number of threads).
    Whoever trains for keeps holds `work` by `claim`. `on_epoch`, on every rank, hears of each epoch after its checkpoint is safe.
    `trainer` replaces arguments of Lightning's Trainer, for whoever brings the processes along. Of a `guide` the network learns
    beside the labels. Raises OutOfMemory (exit 3), Diverged (exit 4).
    """
    recipe.check_images(data.num_images("train"))
    dry_run.check_machine(recipe)
    given: dict[str, Any] = {"run": run, "on_epoch": on_epoch, "trainer": trainer, "guide": guide}
    _quiet()
    torch.set_num_threads(
        recipe.threads or max(1, _cores() // (recipe.devices if isinstance(recipe.devices, int) else 1))
    )
    for earlier in work.glob("accumulate-*"):  # the memory was too small before: go on from there
        return fit(build, data, _halved(recipe, int(earlier.name.partition("-")[2])), name=name, work=earlier, **given)
    try:
        return _fit(build, data, recipe, name=name, work=work, **given)
    except (RuntimeError, MemoryError) as error:
        if not memory.is_exhausted(error):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
    fits = memory.largest_batch(build, data, recipe)
    if recipe.on_oom == "accumulate" and fits:
        parts = 2
        while recipe.batch_size // parts > fits:
            parts *= 2
        print(
            f"neocog: batch_size (={recipe.batch_size}) does not fit in memory; {parts} parts of it are accumulated",
            file=sys.stderr,
        )
        return fit(build, data, _halved(recipe, parts), name=name, work=work / f"accumulate-{parts}", **given)
    remedy = (
        f"the largest batch that fits is {fits}; set batch_size: {fits}"
        if fits
        else "not even one image fits; use a smaller network"
    )
    raise OutOfMemory(f"out of memory at batch_size (={recipe.batch_size}): {remedy} ({reason})")


def _fit(
    build: Callable[[], nn.Module],
    data: Prepared,
    recipe: Recipe,
    *,
    name: str,
    work: Path,
    run: Log | None,
    on_epoch: OnEpoch | None,
    trainer: Mapping[str, Any] | None,
    guide: Guide | None,
) -> Fitted:
    if guide is not None and (recipe.mixup or recipe.cutmix):
        raise UserError(
            f"mixup (={recipe.mixup}) and cutmix (={recipe.cutmix}) blend images, what {name} is taught belongs to one alone; set both to 0"
        )
    torch.manual_seed(recipe.seed)
    model = dry_run.build_for(build, name=name, channels=data.channels, size=data.size, batch_size=recipe.batch_size)
    fairness.check(model, recipe, name=name)
    if not checkpoint.latest(work):
        gradients.check(model, data, recipe, name=name, device=memory.device(recipe))
    learner = Learner.of(model, data, recipe, guide=guide, dro=fairness.dro(data, recipe))
    if hasattr(learner.model, "solve"):
        return _solve(learner, data, name=name, run=run, on_epoch=on_epoch)
    epochs = Epochs(name, work, run=run, on_epoch=on_epoch)
    callbacks: list[pl.Callback] = [epochs, ranks.Marks()]
    if recipe.ema:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema))
    lightning = _trainer(recipe, callbacks, work, **(trainer or {}))
    if (processes := lightning.world_size) > 1:
        shape = {"channels": data.channels, "size": data.size}
        dry_run.check_share(learner.model, **shape, name=name, batch_size=recipe.batch_size, processes=processes)
    last = checkpoint.latest(work)
    state = checkpoint.load(last) if last else None
    finished = state and state["callbacks"][epochs.state_key]["finished"]
    if not last and hasattr(learner.model, "pretrain"):
        epochs.seconds = pretraining.pretrain(learner, data, device=lightning.strategy.root_device, name=name)
    if not finished:
        batches = partial(Batches, seed=recipe.seed, rank=lightning.global_rank, ranks=lightning.world_size)
        epochs.batches = batches(
            data.split("train", limit=recipe.images),
            recipe.batch_size,
            shuffle=True,
            window=recipe.accumulate,
            places=guide is not None or learner.dro is not None,
            alike=fairness.alike(data, recipe),
        )
        val = batches(data.split("val"), max(recipe.batch_size, 256), shuffle=False)
        with _interruptible(epochs), ranks.named(lightning):
            lightning.fit(learner, epochs.batches, val, ckpt_path=last, weights_only=True)
    if finished or recipe.strategy == "fsdp":  # whose shards only the checkpoint holds together
        last = checkpoint.latest(work)
        assert last is not None
        state = checkpoint.load(last)
        learner = Learner.of(build(), data, recipe)
        learner.load_state_dict(state["state_dict"])
        epochs.load_state_dict(state["callbacks"][epochs.state_key])
        if finished and lightning.is_global_zero:
            epochs.log_last()
    if epochs.best:
        learner.model.load_state_dict(epochs.best)
    if hasattr(learner.model, "drop_auxiliary"):
        learner.model.drop_auxiliary()  # type: ignore[operator]
    return Fitted(
        model=learner.model.cpu().float().eval(),
        recipe=recipe,
        history=epochs.history,
        epoch=epochs.best_epoch if recipe.keep == "best" else len(epochs.history),
        seconds=epochs.seconds,
        images_per_second=epochs.images / epochs.seconds,
        wait_share=epochs.waited / epochs.seconds,
        device=lightning.strategy.root_device.type,
        precision=str(lightning.precision),
        is_writer=lightning.is_global_zero,
    )


def _solve(learner: Learner, data: Prepared, *, name: str, run: Log | None, on_epoch: OnEpoch | None) -> Fitted:
    """A model that is fitted to all images at once: one row of history, nothing to resume."""
    row, seconds = closed_form.solve(learner, data, name=name)
    if run and tracking.is_first_rank():
        run.metrics(row, step=1)
    if on_epoch:
        on_epoch(row, seconds, True)
    return Fitted(
        model=learner.model.eval(),
        recipe=learner.recipe,
        history=[row],
        epoch=1,
        seconds=seconds,
        images_per_second=len(data.split("train", limit=learner.recipe.images).targets) / seconds,
        wait_share=0.0,
        device="cpu",
        precision="32-true",
        is_writer=tracking.is_first_rank(),
    )


def _halved(recipe: Recipe, parts: int) -> Recipe:
    """The same optimizer steps over batches that are `parts` times smaller."""
    return replace(recipe, batch_size=recipe.batch_size // parts, accumulate=recipe.accumulate * parts)


def _cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _trainer(
    recipe: Recipe, callbacks: list[pl.Callback], work: Path, *, plugins: Sequence[Any] = (), **other: Any
) -> pl.Trainer:
    own: dict[str, Any] = {
        "accelerator": recipe.accelerator,
        "devices": recipe.devices,
        "num_nodes": recipe.num_nodes,
        "strategy": (recipe.strategy == "ddp" and recipe.num_nodes == 1 and ranks.strategy(work)) or recipe.strategy,
    }
    trainer = pl.Trainer(
        **(own | other),
        precision=recipe.precision,
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip_norm or None,
        callbacks=callbacks,
        plugins=[checkpoint.AtomicCheckpointIO(), *plugins],
        default_root_dir=work,
        use_distributed_sampler=False,  # our batches know their rank
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    # Its SIGTERM handler talks to the other ranks, which may be waiting for this one; ours (tracking.start) just ends.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


@contextmanager
def claim(work: Path, name: str) -> Iterator[None]:
    """Hold `work` while training `name` there; raises Busy when another process does.

    Freed by the system however the process ends. The other ranks of a training share their first rank's claim.
    """
    if not tracking.is_first_rank():
        yield
        return
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Busy(
                f"{name} is being trained with the same settings by process {file.read().strip()}; wait for it or stop it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _interruptible(epochs: Epochs) -> Iterator[None]:
    """Ctrl-C leaves Lightning as SystemExit with SIGINT ignored; here it is a KeyboardInterrupt again."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if epochs.interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if before is not None and signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


def _quiet() -> None:
    """Silence what Lightning says about itself; neocog's own line says what matters."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torch\.optim\.lr_scheduler")
    warnings.filterwarnings("ignore", message=r".*(does not have many workers|LeafSpec|lr_scheduler\.step).*")
