"""The LightningModule: a network, its task's objective, a recipe."""

import math
from functools import partial
from types import ModuleType
from typing import Any, Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from neocog.core import private_apis
from neocog.core.errors import Diverged
from neocog.data.augment import Augmentation, normalize, training_batch
from neocog.data.augmentations.apply import Augmentations
from neocog.data.prepared import Prepared
from neocog.tasks import task as tasks
from neocog.training import fairness, freezing, optimizer, sharding
from neocog.training.fairness import GroupDRO
from neocog.training.programs.supervised import SupervisedLearning
from neocog.training.recipe import Recipe

CHECK_EVERY = 50  # steps between looks at the loss on an accelerator, where each look waits for the device


class AuxiliaryLoss(Protocol):
    """A loss beside the task's own, from `rows` [N, ...], one for each training image, such as a teacher's outputs for it.

    `share` of the whole is its part, the task's loss has the rest.
    """

    @property
    def rows(self) -> Tensor:
        """What is known of the training images, in their order."""

    @property
    def share(self) -> float:
        """From 0, the task's loss alone, to 1."""

    def attach(self, network: nn.Module) -> None:
        """Take the network, once, before it is trained."""

    def loss(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Mean over outputs [B, ...] and the rows [B, ...] of the same images."""


def augmentation(recipe: Recipe, *, size: tuple[int, int], mean: tuple[float, ...]) -> Augmentation:
    """What the recipe does to training images of `size` (height, width), whose `mean` is in the pixel scale 0..1."""
    fill = [255 * each for each in mean]
    return Augmentation(
        listed=Augmentations(recipe.augment, size=size, fill=fill) if recipe.augment else None,
        flip=recipe.flip,
        crop=recipe.crop,
        cutout=recipe.cutout,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
    )


class Learner(pl.LightningModule):
    """Trains `model` in the way of its `program` on packed batches (images uint8 [N, H, W, C], targets [N, ...]).

    An `auxiliary_loss` has its share of the loss; `dro`, `GroupDRO`, weighs the images' losses by group. With either, batches bring the
    indices of their images in the train split. `mean` and `std` are in the pixel scale 0..1.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        size: tuple[int, int],
        classes: int,
        task: str,
        program: SupervisedLearning,
        auxiliary_loss: AuxiliaryLoss | None = None,
        dro: GroupDRO | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.classes = model, recipe, classes
        self.program, self.auxiliary_loss = program, auxiliary_loss
        if auxiliary_loss is not None:
            auxiliary_loss.attach(model)
        self.dro, self.class_weights = dro, class_weights
        self.task = tasks.task(task)
        self.augmentation = augmentation(recipe, size=size, mean=mean)
        self.register_buffer("mean", torch.tensor(mean) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std) * 255, persistent=False)
        self.decayed, self.layers = optimizer.decayed(model), optimizer.layers(model, recipe)
        if program.backpropagates:
            freezing.at_first(model, recipe)
        self.sums: dict[str, Tensor | None] = {"train": None, "val": None}

    @classmethod
    def of(
        cls,
        model: nn.Module,
        data: Prepared,
        recipe: Recipe,
        *,
        program: SupervisedLearning,
        auxiliary_loss: AuxiliaryLoss | None = None,
        dro: GroupDRO | None = None,
    ) -> "Learner":
        """One for the task of `data`, `model` in the recipe's memory format."""
        if recipe.channels_last and recipe.strategy != "fsdp":  # which shards contiguous weights alone
            model = model.to(memory_format=torch.channels_last)
        return cls(
            model,
            recipe,
            mean=data.mean,
            std=data.std,
            size=data.size,
            classes=len(data.classes),
            task=data.task,
            program=program,
            auxiliary_loss=auxiliary_loss,
            dro=dro,
            class_weights=fairness.class_weights(data, recipe),
        )

    @property
    def objective(self) -> ModuleType:
        """The task's `objective.py`."""
        return self.task.objective

    def __setattr__(self, name: str, value: Any) -> None:
        if name == private_apis.HOOK_NAME:  # past nn.Module's checks that is 0.2 ms a step less
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(self.layout(images))

    def outputs(self, packed: Tensor) -> Tensor:
        """Outputs [N, ...] for a packed batch without augmentation."""
        if self.program.takes_features:
            return self.program.outputs(self.model, packed)
        return self(normalize(packed, mean=self.mean, std=self.std))

    def loss(self, images: Tensor, targets: Tensor, *, indices: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What is minimized over normalized images [N, C, H, W], and the outputs [N, ...]."""
        dro = self.dro if indices is not None else None
        how: dict[str, Any] = {"label_smoothing": self.recipe.label_smoothing}
        if self.recipe.focal:
            how["focal"] = self.recipe.focal
        if self.class_weights is not None:
            how["class_weights"] = self.class_weights.to(images.device)
        if dro is not None:
            how["reduction"] = "none"
        loss, outputs = self.program.loss(self.model, self.layout(images), targets, partial(self.objective.loss, **how))
        if dro is not None and indices is not None:
            ranks, added = self.trainer.world_size, partial(self.trainer.strategy.reduce, reduce_op="sum")
            loss = dro.loss(loss, indices, ranks=ranks, added=added)
        if self.auxiliary_loss is not None and indices is not None:
            rows, share = self.auxiliary_loss.rows[indices.cpu()].to(outputs.device), self.auxiliary_loss.share
            loss = (1 - share) * loss + share * self.auxiliary_loss.loss(outputs, rows)
        return loss, outputs

    def _soften(self, targets: Tensor) -> Tensor:
        softened: Tensor = self.objective.soften(targets, classes=self.classes)
        return softened

    def layout(self, images: Tensor) -> Tensor:
        """`images` in the recipe's memory format."""
        return images if self.recipe.channels_last else images.contiguous()

    def on_train_epoch_start(self) -> None:
        freezing.apply(self.model, self.recipe, epoch=self.current_epoch)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Chance depends on nothing but where we are, so a resumed training goes on as if it had never stopped.
        seed = hash((self.recipe.seed, self.current_epoch, batch_idx, self.global_rank)) & 0x7FFF_FFFF_FFFF_FFFF
        torch.default_generator.manual_seed(
            seed
        )  # torch.manual_seed costs 0.5 ms more: it formats a stack trace for each absent accelerator
        if self.device.type != "cpu":
            getattr(torch, self.device.type).manual_seed(seed)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        images, targets, *indices = batch
        if not self.program.takes_features:
            images, targets = training_batch(
                images,
                targets,
                self.augmentation,
                mean=self.mean,
                std=self.std,
                soften=self._soften,
                move=self.task.move,
            )
        loss, outputs = self.loss(images, targets, indices=indices[0] if indices else None)
        if (self.device.type == "cpu" or batch_idx % CHECK_EVERY == 0) and not math.isfinite(loss.item()):
            raise self.diverged(f"the loss became {loss.item()}", batch_idx)
        self._add("train", outputs.detach(), targets, loss)
        return loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Fill `.grad`: by backpropagation, or with the directions that the program found."""
        if self.program.descent is None:
            loss.backward(*args, **kwargs)
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        share = (scaler.get_scale() if scaler else 1.0) / self.trainer.accumulate_grad_batches
        for parameter, own in self.program.descent.items():
            direction = self.trainer.strategy.reduce(own, reduce_op="mean")
            parameter.grad = (
                direction * share if parameter.grad is None else parameter.grad.add_(direction, alpha=share)
            )

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, targets = batch
        self._add("val", self.outputs(images), targets, None)

    def configure_model(self) -> None:
        if self.recipe.strategy == "fsdp":
            sharding.shard(self.model, sharding.mesh(self.trainer.strategy.root_device))

    def on_validation_start(self) -> None:
        if self.recipe.strategy == "fsdp":
            sharding.share_buffers(self.model)

    def configure_optimizers(self) -> Any:
        chosen = optimizer.optimizer(self.model, self.recipe, decayed=self.decayed, layers=self.layers)
        steps = int(self.trainer.estimated_stepping_batches)
        factor = LambdaLR(chosen, optimizer.schedule(self.recipe, steps))
        self.hyperparameters = optimizer.hyperparameters(chosen)
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": factor, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.dro is not None:
            checkpoint["group_dro"] = self.dro.weights

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.dro is not None:
            self.dro.weights = checkpoint["group_dro"]

    def restore_hyperparameters(self) -> None:
        """Give the optimizer the recipe's hyperparameters, also after a checkpoint of another recipe was loaded into it."""
        schedule = cast(LambdaLR, self.trainer.lr_scheduler_configs[0].scheduler)
        optimizer.restore(self.trainer.optimizers[0], schedule, self.hyperparameters)
        optimizer.check(self.trainer.optimizers[0], self.recipe)

    def diverged(self, what: str, batch_idx: int) -> Diverged:
        """The error that ends a training whose numbers are no longer finite."""
        kept = (
            f"the checkpoint of epoch {self.current_epoch}, the last finite one, is kept; "
            if self.current_epoch
            else ""
        )
        return Diverged(
            f"training diverged: {what} in epoch {self.current_epoch + 1}, step {batch_idx + 1} (lr {self.recipe.lr:g}); {kept}"
            "lower lr, raise warmup or set clip_norm"
        )

    def epoch_means(self, part: str) -> dict[str, float]:
        """`{"loss": ...}` and the task's metrics of the epoch's `train` or `val` part over all ranks; begins the next sum."""
        total = self.sums[part]
        assert total is not None, f"no {part} batch was seen"
        self.sums[part] = None
        return self.objective.means(self.trainer.strategy.reduce(total, reduce_op="sum"))

    def _add(self, part: str, outputs: Tensor, targets: Tensor, loss: Tensor | None) -> None:
        new = self.objective.sums(outputs, targets, loss=loss)
        total = self.sums[part]
        self.sums[part] = new if total is None else total + new
