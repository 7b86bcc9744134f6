"""Train a network: the one function that every training calls, and the folder that a training claims."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn

from neocog import tracking
from neocog.core import atomic
from neocog.core.errors import OutOfMemory, UserError
from neocog.data.loader import Batches
from neocog.data.prepared import Prepared, Split
from neocog.tasks import task as tasks
from neocog.training import checkpoint, dry_run, fairness, gradients, lightning_trainer, memory, ranks
from neocog.training.epochs import Epochs, Log, OnEpoch
from neocog.training.module import AuxiliaryLoss, Learner
from neocog.training.programs import auxiliary_heads, choose, closed_form, linear_probe, pretraining
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
    auxiliary_loss: AuxiliaryLoss | None = None,
) -> Fitted:
    """Train what `build` returns on the train split of `data`, watched on its val split.

    `work` is the folder of working checkpoints: it must be named by a `key` of all that determines the training. If a training
    was cut off there, it goes on after its last whole epoch and ends with the same bits (on CPU, with the same number of threads).
    Whoever trains for keeps holds `work` by `claim`. `on_epoch`, on every rank, hears of each epoch after its checkpoint is safe.
    `trainer` replaces arguments of Lightning's Trainer, for whoever brings the processes along. An `auxiliary_loss`
    is learned from beside the task's. Raises OutOfMemory (exit 3), Diverged (exit 4).
    """
    recipe.check_images(data.num_images("train"))
    dry_run.check_machine(recipe)
    given: dict[str, Any] = {"run": run, "on_epoch": on_epoch, "trainer": trainer, "auxiliary_loss": auxiliary_loss}
    lightning_trainer.silence()
    torch.set_num_threads(lightning_trainer.threads(recipe))
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
    auxiliary_loss: AuxiliaryLoss | None,
) -> Fitted:
    """Check the network and the recipe against each other, then learn in the network's own way."""
    torch.manual_seed(recipe.seed)
    model = dry_run.build_for(build, name=name, channels=data.channels, size=data.size, batch_size=recipe.batch_size)
    program = choose.of(model)
    program.check(recipe, name=name)
    _check_mixing(data, recipe, name=name, auxiliary_loss=auxiliary_loss)
    _check_objective(data, recipe)
    if not checkpoint.latest(work):
        gradients.check(model, data, recipe, program=program, name=name, device=memory.device(recipe))
    dro = fairness.dro(data, recipe)
    learner = Learner.of(model, data, recipe, program=program, auxiliary_loss=auxiliary_loss, dro=dro)
    if not program.batches:
        return _solve(learner, data, name=name, run=run, on_epoch=on_epoch)
    epochs = Epochs(name, work, run=run, on_epoch=on_epoch)
    return _train(learner, data, epochs, build=build, trainer=trainer or {})


def _check_mixing(data: Prepared, recipe: Recipe, *, name: str, auxiliary_loss: AuxiliaryLoss | None) -> None:
    """Raise UserError when images are to be mixed whose targets cannot be."""
    if not (recipe.mixup or recipe.cutmix):
        return
    given = f"mixup (={recipe.mixup}) and cutmix (={recipe.cutmix}) blend images"
    if auxiliary_loss is not None:
        raise UserError(f"{given}, what {name} is taught belongs to one alone; set both to 0")
    if not hasattr(tasks.task(data.task).objective, "soften"):
        raise UserError(f"{given}, but targets of the task {data.task} cannot be blended; set both to 0")


def _check_objective(data: Prepared, recipe: Recipe) -> None:
    """Raise UserError for what the loss of the data's task cannot do."""
    known = signature(tasks.task(data.task).objective.loss).parameters
    for key, off in (("focal", 0.0), ("class_weights", "none")):
        if getattr(recipe, key) != off and key not in known:
            raise UserError(
                f"{key} (={getattr(recipe, key)}): the loss of the task {data.task} has no such thing; set {key}: {off}"
            )


def _train(
    learner: Learner, data: Prepared, epochs: Epochs, *, build: Callable[[], nn.Module], trainer: Mapping[str, Any]
) -> Fitted:
    """Epochs over batches, after pretraining where the network knows how; from the last checkpoint on if there is one."""
    recipe, name, work = learner.recipe, epochs.name, epochs.folder
    callbacks: list[pl.Callback] = [epochs, ranks.Heartbeat()]
    if recipe.ema:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema))
    lightning = lightning_trainer.trainer(recipe, callbacks, work, **trainer)
    if (processes := lightning.world_size) > 1:
        shape: dict[str, Any] = {"channels": data.channels, "size": data.size}
        dry_run.check_share(learner.model, **shape, name=name, batch_size=recipe.batch_size, processes=processes)
    last = checkpoint.latest(work)
    state = checkpoint.load(last) if last else None
    finished = state and state["callbacks"][epochs.state_key]["finished"]
    if not last and isinstance(learner.model, pretraining.SupportsPretraining):
        epochs.seconds = pretraining.pretrain(learner, data, device=lightning.strategy.root_device, name=name)
    if not finished:
        batches = partial(Batches, seed=recipe.seed, rank=lightning.global_rank, ranks=lightning.world_size)
        train, held_out = _splits(learner, data, epochs, device=lightning.strategy.root_device, begins=not last)
        epochs.batches = batches(
            train,
            recipe.batch_size,
            shuffle=True,
            window=recipe.accumulate,
            indices=learner.auxiliary_loss is not None or learner.dro is not None,
            alike=fairness.alike(data, recipe),
        )
        val = batches(held_out, max(recipe.batch_size, 256), shuffle=False)
        with lightning_trainer.interruptible(epochs), ranks.named(lightning):
            lightning.fit(learner, epochs.batches, val, ckpt_path=last, weights_only=True)
    if finished or recipe.strategy == "fsdp":  # whose shards only the checkpoint holds together
        last = checkpoint.latest(work)
        assert last is not None
        state = checkpoint.load(last)
        learner = Learner.of(build(), data, recipe, program=learner.program)
        learner.load_state_dict(state["state_dict"])
        epochs.load_state_dict(state["callbacks"][epochs.state_key])
        if finished and lightning.is_global_zero:
            epochs.log_last()
    if epochs.best:
        learner.model.load_state_dict(epochs.best)
    if isinstance(learner.model, auxiliary_heads.SupportsAuxiliaryHeads):
        learner.model.drop_auxiliary()
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


def _splits(
    learner: Learner, data: Prepared, epochs: Epochs, *, device: torch.device, begins: bool
) -> tuple[Split, Split]:
    """The train and val splits; of a linear probe, with the features of their images, which count as trained seconds."""
    train, val = data.split("train", limit=learner.recipe.images), data.split("val")
    if not linear_probe.suits(learner):
        return train, val
    begin = time.perf_counter()
    found = linear_probe.features(learner, (train, val), device=device, name=epochs.name)
    if begins:
        epochs.seconds += time.perf_counter() - begin
    return (found[0], found[1]) if found else (train, val)


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


@contextmanager
def claim(work: Path, name: str) -> Iterator[None]:
    """Hold `work` while training `name` there; raises Busy when another process does.

    Freed by the system however the process ends. The other ranks of a training share their first rank's claim.
    """
    if not tracking.is_first_rank():
        yield
        return
    busy = f"{name} is being trained with the same settings by process {{holder}}; wait for it or stop it"
    with atomic.lock(work / "lock", busy=busy) as file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
