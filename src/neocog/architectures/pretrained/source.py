"""Where first weights come from: their tensors, their SHA-256, and the input normalization they were trained with."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from neocog.architectures.pretrained.digest import BUNDLE_WEIGHTS, CARD
from neocog.core.errors import UserError

COUNTER = "num_batches_tracked"  # of a normalization: read by nothing, absent from older files
Normalization = tuple[
    tuple[float, ...], tuple[float, ...]
]  # mean and standard deviation by channel, pixels scaled to 0..1


@dataclass(frozen=True)
class FirstWeights:
    """Tensors by name; `origin` is how they are named in a bundle's provenance."""

    origin: str
    sha256: str
    tensors: Mapping[str, Tensor] = field(repr=False)

    @property
    def told(self) -> dict[str, str]:
        """The entry of a bundle's provenance."""
        return {"origin": self.origin, "sha256": self.sha256}


def from_file(weights: str, *, asked: Sequence[str], where: str, name: str) -> FirstWeights:
    """The tensors of a safetensors or .pth file, or of a bundle's folder, under the names `asked` for. Raises UserError."""
    from timm.models import load_state_dict

    path = file_of(weights)
    if not path.is_file():
        raise UserError(
            f"{where}: there is no such file; name a .safetensors or .pth file of {name}, or a bundle's folder"
        )
    content = path.read_bytes()
    try:
        found: dict[str, Tensor] = load_state_dict(str(path))
    except UserError:
        raise
    except Exception as error:
        said = " ".join((str(error) or type(error).__name__).split())
        raise UserError(
            f"{where}: no weights for {name} could be had; name a file of tensors that was saved for it ({said[:200]})"
        ) from error
    prefix = _prefix(found, asked)
    named = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
    return FirstWeights(weights, hashlib.sha256(content).hexdigest(), named)


def file_of(weights: str) -> Path:
    """The file that holds the tensors: `weights` itself, or that of a bundle's folder."""
    return Path(weights) / BUNDLE_WEIGHTS if Path(weights).is_dir() else Path(weights)


def of_tensors(origin: str, tensors: Mapping[str, Tensor]) -> FirstWeights:
    """Those of a download, which is no file here: the SHA-256 is that of names and values in order."""
    total = hashlib.sha256()
    for key, value in tensors.items():
        total.update(key.encode() + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return FirstWeights(origin, total.hexdigest(), tensors)


def bundle_normalization(weights: str) -> Normalization | None:
    """That of the bundle which `weights` names, by its folder or its file; None for any other file."""
    card = file_of(weights).parent / CARD
    if not card.is_file() or file_of(weights).name != BUNDLE_WEIGHTS:
        return None
    try:
        told = json.loads(card.read_text(encoding="utf-8"))["preprocessing"]
        return tuple(map(float, told["mean"])), tuple(map(float, told["std"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{card} is damaged ({error}): the normalization of its network cannot be read") from error


def in_channels(normalization: Normalization, channels: int) -> Normalization:
    """The same for images of another number of channels: the mean over the channels that it had."""
    if len(normalization[0]) == channels:
        return normalization
    mean, std = (sum(each) / len(each) for each in normalization)
    return (mean,) * channels, (std,) * channels


def _prefix(held: Iterable[str], asked: Sequence[str]) -> str:
    """What more than half of the names `asked` for have before them in a file: `network.` in neocog's own bundles."""
    before = Counter(key[: -len(name)] for key in held for name in asked if key == name or key.endswith("." + name))
    [(prefix, times)] = before.most_common(1) or [("", 0)]
    return prefix if 2 * times > len(asked) else ""
