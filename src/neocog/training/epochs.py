"""Lightning callback for the end of every epoch: a row of the history, early stopping, a checkpoint."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from neocog.data.loader import Batches
from neocog.training import sharding
from neocog.training.module import Learner
from neocog.training.optimizer import described
from neocog.training.progress import EpochLine


class Log(Protocol):
    """Where a training is logged: a tracking.Run, or a trial's reporter."""

    def params(self, values: Mapping[str, object]) -> None:
        """The hyperparameters that the optimizer really has."""

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """The row of an epoch, and its timing."""


OnEpoch = Callable[
    [dict[str, float], float, bool], None
]  # the epoch's row, the seconds trained so far, whether it was the last


class Epochs(pl.Callback):
    """Keeps the history and the best weights, stops early, checkpoints into `folder`, logs to `run`, shows progress.

    Everything that a resumed training needs to end as if it had never stopped is in `state_dict`, so it travels in the checkpoint.
    """

    batches: Batches

    def __init__(self, name: str, folder: Path, *, run: Log | None, on_epoch: OnEpoch | None = None) -> None:
        self.name, self.folder, self.run, self.on_epoch = name, folder, run, on_epoch
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        self.seconds = self.waited = 0.0
        self.timing: dict[str, float] = {}  # of the last epoch
        self.images = 0
        self.finished = False
        self.interrupted = False

    @property
    def state_key(self) -> str:
        return "epochs"

    def state_dict(self) -> dict[str, Any]:
        kept = ("history", "best", "best_epoch", "seconds", "waited", "timing", "images", "finished")
        return {key: getattr(self, key) for key in kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for key, value in state_dict.items():
            setattr(self, key, value)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        cast(Learner, pl_module).restore_hyperparameters()
        if trainer.is_global_zero:
            self.line = EpochLine(
                self.name,
                epochs=trainer.max_epochs or 0,
                best=f"val/{cast(Learner, pl_module).task.primary.name}",
                steps=len(self.batches),
                done=len(self.history),
            )
            if self.run:
                self.run.params(described(trainer.optimizers[0]))
            self.log_last()  # what the process that saved it may have been killed before

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.batches.epoch = trainer.current_epoch
        self.batches.waited = 0.0
        self.begin = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and self.line.live:
            spent = time.perf_counter() - self.begin
            self.line.step(
                trainer.current_epoch,
                batch_idx + 1,
                images_per_second=(batch_idx + 1) * self.batches.batch_size / spent,
                wait_share=self.batches.waited / spent,
            )

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.train_seconds = time.perf_counter() - self.begin

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Here the weights are those that were judged: a moving average is swapped in only while validation runs.
        learner = cast(Learner, pl_module)
        row: dict[str, float] = {"epoch": trainer.current_epoch + 1, "lr": trainer.optimizers[0].param_groups[0]["lr"]}
        for part in ("train", "val"):
            row |= {f"{part}/{key}": value for key, value in learner.epoch_means(part).items()}
        values = learner.model.state_dict().values()
        if not math.isfinite(row["train/loss"]) or not all(
            torch.isfinite(sharding.whole(value)).all() for value in values
        ):
            raise learner.diverged("the weights became infinite", len(self.batches) - 1)
        seen = len(self.batches) * min(self.batches.batch_size, len(self.batches.targets))
        watched = f"val/{learner.task.primary.name}"
        better = not self.history or row[watched] > max(earlier[watched] for earlier in self.history)
        if better:
            self.best_epoch = trainer.current_epoch + 1
            if learner.recipe.keep == "best":
                state = learner.model.state_dict()
                sharded = learner.recipe.strategy == "fsdp"
                self.best = (
                    {key: sharding.whole(value).cpu().clone() for key, value in state.items()}
                    if sharded
                    else copy.deepcopy(state)
                )
        self.history.append(row)
        self.seconds += self.train_seconds
        self.waited += self.batches.waited
        self.images += seen
        patience = learner.recipe.patience
        if patience and trainer.current_epoch + 1 - self.best_epoch >= patience:
            trainer.should_stop = True
        self.finished = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        speed, wait_share = seen / self.train_seconds, self.batches.waited / self.train_seconds
        self.timing = {"train/images_per_second": speed, "train/wait_share": wait_share}
        if trainer.is_global_zero:
            self.line.epoch(row, images_per_second=speed, wait_share=wait_share)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch + 1}.ckpt")
        if trainer.is_global_zero:  # not before it is safe: an epoch that has to be trained again would be logged twice
            self.log_last()
        if self.on_epoch:
            self.on_epoch(self.history[-1], self.seconds, self.finished)

    def log_last(self) -> None:
        """Log the newest row of the history; a resumed run takes the row of an epoch once."""
        if self.run and self.history:
            self.run.metrics(self.history[-1] | self.timing, step=len(self.history))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.interrupted = isinstance(exception, KeyboardInterrupt)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if hasattr(self, "line"):
            self.line.close()
