"""Source: what every data source returns."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from neocog.core.image_size import Size
from neocog.data.decoding.decode import content_hash
from neocog.data.decoding.resize import to_row


@dataclass(frozen=True)
class Source:
    """Every readable image of a source, at its final size, and what was refused.

    Image i is `images[rows[i]]`. `given[i]` is the split that the source itself names; the splits in `carved` it does
    not have: they are cut out of its train images. `refused` pairs a path with the reason. `digest` is the sha256 of
    what came in. `notes` are what a user should know of it, `leftovers` what was passed over: path -> kind.
    """

    name: str
    classes: tuple[str, ...]
    images: Any  # uint8 [M, H, W, C], may be a memmap; or EncodedFiles
    rows: np.ndarray  # int64 [N]
    targets: (
        np.ndarray
    )  # [N, ...], as the task's `targets.py` has them: of the sources of this folder the labels, int64 [N]
    given: Sequence[str]
    carved: Collection[str]
    sha256: Sequence[str]  # of the pixels before they were resized
    paths: Sequence[str]
    refused: Sequence[tuple[str, str]]
    digest: str
    notes: Sequence[str] = ()
    leftovers: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str | None]] = field(
        default_factory=dict
    )  # what else it knows of each image, by column


def packed(
    name: str,
    pixels: np.ndarray,
    labels: np.ndarray,
    *,
    classes: Sequence[str],
    given: Sequence[str],
    carved: Collection[str],
    paths: Sequence[str],
    digest: str,
    size: Size | None,
    channels: int | None,
) -> Source:
    """A source whose images lie in one array of gray pixels, uint8 [N, H, W]; they are stretched to `size`."""
    sha256 = [content_hash(image) for image in pixels]
    if size is not None and size != pixels.shape[1:]:
        pixels = np.stack(
            [to_row(Image.fromarray(image), size=size, channels=1, resize="stretch")[..., 0] for image in pixels]
        )
    return Source(
        name=name,
        classes=tuple(classes),
        images=np.broadcast_to(pixels[..., None], (*pixels.shape, channels or 1)),
        rows=np.arange(len(pixels)),
        targets=labels.astype(np.int64),
        given=given,
        carved=carved,
        sha256=sha256,
        paths=paths,
        refused=(),
        digest=digest,
    )
