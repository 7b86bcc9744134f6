"""Lightning's Trainer as a recipe asks for it, quiet and interruptible."""

import logging
import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from neocog.core import machine, private_apis
from neocog.training import checkpoint, ranks
from neocog.training.epochs import Epochs
from neocog.training.recipe import Recipe

SHARE = "NEOCOG_CPUS"  # cores of this stage, set by `neocog repro` whatever else runs beside it


def threads(recipe: Recipe) -> int:
    """CPU threads of one process of a training: the recipe's, or the cores that this process may use, shared by its devices."""
    share = os.environ.get(SHARE)
    cores = max(1, round(float(share))) if share else machine.cores()
    return recipe.threads or max(1, cores // (recipe.devices if isinstance(recipe.devices, int) else 1))


def trainer(
    recipe: Recipe, callbacks: list[pl.Callback], work: Path, *, plugins: Sequence[Any] = (), **other: Any
) -> pl.Trainer:
    """Lightning's Trainer as `recipe` says, working in `work`; `plugins` and `other` are further arguments of it."""
    own: dict[str, Any] = {
        "accelerator": recipe.accelerator,
        "devices": recipe.devices,
        "num_nodes": recipe.num_nodes,
        "strategy": ranks.strategy(recipe, work),
    }
    made = pl.Trainer(
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
    private_apis.leave_signals_alone(made)
    return made


@contextmanager
def interruptible(epochs: Epochs) -> Iterator[None]:
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


def silence() -> None:
    """Silence what Lightning says about itself; neocog's own line says what matters."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torch\.optim\.lr_scheduler")
    warnings.filterwarnings("ignore", message=r".*(does not have many workers|LeafSpec|lr_scheduler\.step).*")
