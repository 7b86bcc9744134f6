"""Feature distillation: a student learns from the teacher's feature maps before the head, besides its outputs.

Romero, A. et al. (2015). FitNets: hints for thin deep nets. ICLR. arXiv:1412.6550.
Zagoruyko, S. & Komodakis, N. (2017). Paying more attention to attention. ICLR. arXiv:1612.03928.

Hints: the student's maps, translated by a 1x1 convolution that is thrown away afterwards, shall be the teacher's. Attention: they shall be
large at the same places. Both papers look at several depths; here it is the last, which any two convolutional networks have.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.compression.chain.candidate import normalized
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.training.module import AuxiliaryLoss

MOST = 4 * 2**30  # bytes of memory that a teacher's maps may take
BATCH = 256  # images that a teacher looks at at a time


class Watched(nn.Module):
    """`network`, which keeps its last `maps` [N, F, h, w] while it trains, and a `translation` that trains along."""

    def __init__(self, network: nn.Module, translation: nn.Module) -> None:
        super().__init__()
        self.network, self.translation = network, translation
        self.maps: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        maps = features(self.network, images)
        self.maps = maps if self.training else None
        logits: Tensor = self.network.head(maps)  # type: ignore[operator]
        return logits


@dataclass
class Hints:
    """An AuxiliaryLoss that has a row [K + F h w] for each image: what `answers` gives [K], then the teacher's maps, in half precision.

    To the loss of `answers` come those of the maps, times the weights `hints` and `attention`.
    """

    answers: AuxiliaryLoss
    rows: Tensor
    shape: tuple[int, int, int]
    hints: float
    attention: float
    watched: Watched | None = None

    @property
    def share(self) -> float:
        return self.answers.share

    def attach(self, network: nn.Module) -> None:
        assert isinstance(network, Watched)
        self.watched = network

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        assert self.watched is not None and self.watched.maps is not None
        known, teacher = rows[:, : logits.shape[1]], rows[:, logits.shape[1] :].float().unflatten(1, self.shape)
        student = F.adaptive_avg_pool2d(self.watched.maps.float(), self.shape[1:])
        loss = self.answers.loss(logits, known)
        if self.hints:
            loss = loss + self.hints * F.mse_loss(self.watched.translation(student).float(), teacher)
        if self.attention:
            loss = loss + self.attention * (attention_map(student) - attention_map(teacher)).square().sum(1).mean()
        return loss


def attention_map(maps: Tensor) -> Tensor:
    """Attention map of feature maps [N, F, h, w]: their energy at each position, [N, h w], normalized to length 1."""
    return F.normalize(maps.square().sum(1).flatten(1), dim=1)


def features(network: nn.Module, images: Tensor) -> Tensor:
    """The maps [N, F, h, w] before the head of `network`. Raises UserError when it has none."""
    if not hasattr(network, "forward_features") or not hasattr(network, "head"):
        raise UserError(f"distill: {type(network).__name__} has no maps before its head; set hints and attention to 0")
    maps: Tensor = network.forward_features(images)  # type: ignore[operator]
    return maps


def give(
    student: nn.Module, teacher: nn.Module, data: Prepared, answers: AuxiliaryLoss, *, hints: float, attention: float
) -> tuple[Watched, Hints]:
    """The student as it is to be trained, and its auxiliary loss: the teacher's maps of all training images, computed once.

    Maps of different sizes are averaged to the smaller. Raises UserError when the maps are too many for memory, or nothing to learn from.
    """
    images = data.split("train").images
    with torch.inference_mode():
        batch = normalized(images[:BATCH], data)
        first = [features(network.eval(), batch) for network in (student, teacher)]
        if not torch.allclose(student.head(first[0]), student(batch), rtol=1e-3, atol=1e-3):  # type: ignore[operator]
            raise UserError(
                "distill: the student's head asks for more than its maps (a class token); set hints and attention to 0"
            )
        h, w = (min(sides) for sides in zip(*(maps.shape[2:] for maps in first), strict=True))
        if attention and h * w == 1:
            raise UserError(
                f"distill.attention (={attention}): the maps are one pixel large, with no place to look at; set it to 0"
            )
        count = first[1].shape[1] if hints else 1
        if (size := 2 * len(images) * (answers.rows.shape[1] + count * h * w)) > MOST:
            raise UserError(
                f"distill.hints (={hints}): the teacher's {count} maps of {h} x {w} for {len(images):,} images take {size / 2**30:.1f} GiB "
                f"of memory (at most {MOST / 2**30:.0f}); set hints: 0.0 and attention instead, or take a teacher with fewer maps"
            )
        scale = first[1].square().mean().sqrt()  # so that a weight means the same for every teacher
        rows = torch.empty(len(images), answers.rows.shape[1] + count * h * w, dtype=torch.float16)
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            maps = F.adaptive_avg_pool2d(features(teacher, normalized(images[part], data)) / scale, (h, w))
            kept = maps if hints else maps.square().sum(1, keepdim=True).sqrt()
            rows[part] = torch.cat([answers.rows[part].half(), kept.flatten(1).half()], dim=1)
    torch.manual_seed(0)
    translation: nn.Module = nn.Conv2d(first[0].shape[1], count, 1) if hints else nn.Identity()
    return Watched(student, translation), Hints(answers, rows, (count, h, w), hints, attention)
