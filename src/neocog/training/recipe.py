"""The hyperparameters of a training in one frozen dataclass, which is also the schema of `train` in params.yaml."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from neocog.core.constrained_types import (
    AtLeast1,
    Below1,
    Count,
    Decay,
    Devices,
    Fraction,
    Images,
    NonNegative,
    Pixels,
    Positive,
    Processes,
    Seed,
)
from neocog.core.errors import UserError
from neocog.data.augmentations import card as augmentations

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "step", "exponential", "cosine", "cyclical", "warm_restarts", "one_cycle"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of one training. An architecture's block in params.yaml may override any of them."""

    # how long
    epochs: AtLeast1 = 6
    images: Images | None = None  # of the training images, so many are used; None = all
    batch_size: AtLeast1 = 128  # of one optimizer step on all devices together, before accumulation
    accumulate: AtLeast1 = 1  # batches whose gradients are added up before a step
    patience: Count = 0  # stop after so many epochs without a better val/top1; 0 = never
    keep: Literal["last", "best"] = "last"  # which epoch's weights end in the bundle, best = highest val/top1

    # optimizer
    optimizer: Optimizer = "sgd"
    lr: Positive = 0.2
    momentum: Below1 = 0.9  # sgd and rmsprop
    nesterov: bool = True  # sgd
    betas: tuple[Below1, Below1] = (0.9, 0.999)  # adam and adamw
    weight_decay: NonNegative = 5e-4  # never on biases and norms
    clip_norm: NonNegative = 0.0  # largest norm of the gradient; 0 = no limit

    # schedule: what lr is multiplied by, step by step
    schedule: Schedule = "one_cycle"
    warmup: Below1 = 0.2  # part of all steps in which lr rises linearly to its value
    final: Fraction = 0.0  # of lr, where one_cycle, cosine, cyclical and warm_restarts come down to
    drop: Positive = 0.1  # step and exponential: factor a period
    period: Positive = 0.34  # step, exponential, cyclical, warm_restarts: length of a period as part of all steps
    stretch: Positive = 1.0  # warm_restarts: each period is so much longer than the one before

    # fine-tuning of a network that begins with weights
    freeze: AtLeast1 | Literal["none", "backbone", "norms"] = (
        "none"  # what does not learn: a number = backbone, so many epochs
    )
    unfreeze: Literal["once", "gradual"] = (
        "once"  # after freeze (a number): all of the backbone, or from its last layer on
    )
    layer_decay: Decay = 1.0  # lr of each layer, of the one behind it; the head has 1
    head_lr: Positive | None = None  # of the head; None = lr

    # fairness: whose errors count
    balance: Literal["none", "class", "group"] = "none"  # how alike images are drawn: as they are, or equally of each
    objective: Literal["mean", "group_dro"] = (
        "mean"  # of the images' losses: their mean, or the worst groups' before all
    )
    dro_step: Positive = 0.01  # group_dro: how fast the weight of a group follows its loss
    groups: str | None = None  # column of data.groups; a group is a class and a value of it

    # regularization
    label_smoothing: Below1 = 0.1
    focal: NonNegative = 0.0  # exponent by which the loss of images that are right already shrinks; 0 = off
    class_weights: Literal["none", "balanced"] = (
        "none"  # of the loss: each class as it is, or by 1 / its number of images
    )
    ema: Below1 = 0.0  # decay of the moving average of the weights that is kept; 0 = none

    # augmentation of training batches
    augment: tuple[
        dict[str, Any], ...
    ] = ()  # methods of data/augmentations with their settings, one after the other, before the next five
    flip: Fraction = 0.0  # chance of a left-right flip
    crop: Pixels = 0  # pixels by which an image may be shifted
    cutout: Pixels = 0  # side of a square set to the mean, pixels
    mixup: NonNegative = 0.0  # alpha of the Beta distribution; 0 = off
    cutmix: NonNegative = 0.0

    # machine
    seed: Seed = 0
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: Devices | Literal["auto"] = 1
    num_nodes: Devices = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    precision: Precision = "32-true"
    channels_last: bool = True  # memory format; `neocog fastest ARCH` measures both
    threads: Processes = 0  # CPU threads of a process; 0 = one for each core
    on_oom: Literal["stop", "accumulate"] = (
        "stop"  # a batch that does not fit: stop with exit 3, or halve it and accumulate
    )

    def __post_init__(self) -> None:
        augmentations.check(self.augment)
        if self.nesterov and self.optimizer == "sgd" and self.momentum == 0:
            raise UserError("nesterov (=true) needs a momentum above 0 (=0.0); set momentum: 0.9 or nesterov: false")
        if self.mixup and self.cutmix:
            raise UserError(
                f"mixup (={self.mixup}) and cutmix (={self.cutmix}) exclude each other; set mixup: 0.0 or cutmix: 0.0"
            )
        self._check_freezing()
        for key in ("balance", "objective"):
            if getattr(self, key) in ("group", "group_dro") and self.groups is None:
                raise UserError(
                    f"{key} (={getattr(self, key)}) needs groups, but groups (=null); name a column of the file data.groups"
                )
        if self.objective == "group_dro" and (self.mixup or self.cutmix):
            raise UserError(
                f"objective (=group_dro) asks which group an image is of, but mixup (={self.mixup}) and cutmix (={self.cutmix}) "
                "blend images; set mixup: 0.0 and cutmix: 0.0, or objective: mean"
            )
        if self.strategy != "auto" and self.devices == 1 and self.num_nodes == 1:
            raise UserError(
                f"strategy (={self.strategy}) spreads over devices, but devices (=1); set devices: 2, or strategy: auto"
            )
        if self.strategy == "fsdp" and self.ema:
            raise UserError(
                f"strategy (=fsdp) shards the weights, of which ema (={self.ema}) keeps a whole average; set ema: 0.0, or strategy: ddp"
            )
        if self.strategy == "fsdp" and self.precision == "16-mixed":
            raise UserError(
                "strategy (=fsdp) shards the gradients, which precision (=16-mixed) must scale together; "
                "set precision: bf16-mixed, or strategy: ddp"
            )
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            raise UserError(
                "precision (=16-mixed) needs a GPU, but accelerator (=cpu); set precision: bf16-mixed or precision: 32-true"
            )
        if isinstance(self.devices, int) and self.batch_size < self.devices * self.num_nodes:
            raise UserError(
                f"batch_size (={self.batch_size}) is smaller than the number of devices (={self.devices * self.num_nodes}) that share it; "
                f"set batch_size: {self.devices * self.num_nodes}"
            )
        if self.on_oom == "accumulate" and (self.devices != 1 or self.num_nodes != 1):
            raise UserError(
                f"on_oom (=accumulate) works on one device, but devices (={self.devices}) and num_nodes (={self.num_nodes}); "
                "set on_oom: stop"
            )

    def _check_freezing(self) -> None:
        if self.unfreeze == "gradual" and not isinstance(self.freeze, int):
            raise UserError(
                f"unfreeze (=gradual) begins when freeze ends, but freeze (={self.freeze}); set freeze to a number of epochs, such as 1"
            )
        if isinstance(self.freeze, int) and self.freeze >= self.epochs:
            raise UserError(
                f"freeze (={self.freeze}) lasts for all of epochs (={self.epochs}); set freeze: backbone, or less than epochs"
            )
        if self.strategy == "fsdp" and self.freeze != "none":
            raise UserError(
                f"strategy (=fsdp) spreads weights that learn alike, but freeze (={self.freeze}); set freeze: none, or strategy: ddp"
            )

    def check_images(self, images: int) -> None:
        """Raise UserError when what is used of a training set of so many `images` does not fill one batch."""
        images = min(images, self.images or images)
        if self.batch_size > images:
            raise UserError(
                f"train.batch_size (={self.batch_size}) is larger than the training set ({images} images); set it to {images} or less"
            )

    def asdict(self) -> dict[str, Any]:
        """Plain values, as in params.yaml."""
        return asdict(self) | {"betas": list(self.betas), "augment": [dict(each) for each in self.augment]}


KEYS = tuple(field.name for field in fields(Recipe))
