"""Distillation: a student learns what a teacher answers, also how it hesitates, instead of labels alone.

Hinton, G., Vinyals, O. & Dean, J. (2015). Distilling the knowledge in a neural network. arXiv:1503.02531.

The teacher's probabilities, softened by a `temperature`, say which wrong classes an image resembles; the student is trained towards them
and, for the rest of the loss, towards the labels. Several teachers are an ensemble: their logits are averaged. What they answer is computed
once, as ONNX graphs on the training images as they are, and used in every epoch, though the student sees the images augmented.

The first teacher can show its maps too: as `hints`, which the student's own shall equal (FitNets, Romero et al. 2015, arXiv:1412.6550),
or as `attention`, the places where they are large (Zagoruyko & Komodakis 2017, arXiv:1612.03928). A student so guided trains without
auxiliary classifiers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog import architectures
from neocog.bundle.read import Bundle, read
from neocog.bundle.rebuild import rebuild
from neocog.compression.chain import feature_distillation as maps
from neocog.compression.chain.candidate import Candidate
from neocog.compression.chain.finetune import Train
from neocog.core.constrained_types import Fraction, ModelFolder, NonNegative, Positive
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared

IDEA = "Trains the network, or a smaller one, towards the answers of a larger one"
COST = "A whole training; the student repeats its teacher's mistakes too"
SUGGESTED = {"temperature": 4.0, "share": 0.7, "train": {"epochs": 4, "label_smoothing": 0.0}}
PAPER = "Hinton et al. 2015, arXiv:1503.02531"
ON = "network"
TRAINS = "must"
TASKS = ("classification",)
REFUSES = {
    "perceptron": "it learns by its own rule, which knows right and wrong but no probabilities",
    "adaline": "it learns by its own rule, which knows right and wrong but no probabilities",
    "madaline": "it learns by its own rule, which knows right and wrong but no probabilities",
    "svm": "it is solved for labels at once; it does not learn from probabilities",
}
BATCH = 256  # images that a teacher is asked at a time


@dataclass(frozen=True)
class SoftTargets:
    """Teacher's logits `rows` [N, K], one row for each training image, as an AuxiliaryLoss."""

    rows: Tensor
    temperature: float
    share: float

    def attach(self, network: nn.Module) -> None:
        """Answers are all that is looked at."""

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """T^2 KL(teacher || student) at temperature T over logits and rows [B, K]: its gradient does not fade as T rises."""
        student = F.log_softmax(logits.float() / self.temperature, dim=1)
        teacher = F.log_softmax(rows.float() / self.temperature, dim=1)
        return self.temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def apply(
    candidate: Candidate,
    data: Prepared,
    *,
    train: Train | None = None,
    teachers: Sequence[ModelFolder] = (),
    student: str | None = None,
    sizes: Mapping[str, Any] | None = None,
    temperature: Positive = 4.0,
    share: Fraction = 0.7,
    hints: NonNegative = 0.0,
    attention: NonNegative = 0.0,
) -> Candidate:
    """Train the candidate, or a fresh `student` of `sizes`, on the answers of `teachers`, folders of bundles; of the recipe's
    own model if none.

    `share`: of the loss that is the teachers'; the labels have the rest. `hints`, `attention`: weights of the maps beside the answers,
    within that share; try 1 and 10. Raises UserError when a teacher has other classes or images, or when there are no maps.
    """
    if train is None:
        raise UserError("distill: a student learns by training; give the step a block such as train: {epochs: 2}")
    bundles = [read(Path(folder)) for folder in teachers] or [candidate.parent]
    for bundle in bundles:
        if (bundle.classes, bundle.channels, bundle.size) != (data.classes, data.channels, data.size):
            raise UserError(
                f"distill: the teacher {bundle.folder} knows other classes or images than {data.folder}; train it on these data"
            )
    if student is not None:
        if reason := REFUSES.get(student):
            raise UserError(f"distill.student (={student}): {reason}")
        torch.manual_seed(0)
        network = architectures.build(
            student, channels=data.channels, size=data.size, classes=len(data.classes), sizes=sizes
        )
        candidate = replace(candidate, architecture=student, sizes=dict(sizes or {}), sparse=False, fresh=True).changed(
            network
        )
    rows = torch.from_numpy(answers(bundles, data.split("train").images))
    answering = SoftTargets(rows, temperature, share)
    if not (hints or attention):
        return train(candidate, auxiliary_loss=answering)
    student_network, teacher = candidate.copied(), rebuild(bundles[0])
    watched, auxiliary_loss = maps.give(student_network, teacher, data, answering, hints=hints, attention=attention)
    trained = train(candidate.changed(watched), auxiliary_loss=auxiliary_loss).network
    assert isinstance(trained, maps.Watched)
    if hasattr(trained.network, "drop_auxiliary"):
        trained.network.drop_auxiliary()  # type: ignore[operator]
    return candidate.changed(trained.network, fresh=False)


def answers(bundles: Sequence[Bundle], images: np.ndarray) -> np.ndarray:
    """The mean of the bundles' logits [N, K] for images uint8 [N, H, W, C]."""
    total = np.zeros((len(images), len(bundles[0].classes)), np.float32)
    for bundle in bundles:
        session = bundle.session()
        for start in range(0, len(images), BATCH):
            part = np.ascontiguousarray(images[start : start + BATCH])
            total[start : start + BATCH] += session.run(None, {"images": part})[0]
    return total / len(bundles)
