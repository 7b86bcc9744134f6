"""Weather: snow, frost, fog, brightness. Images float [N, H, W, C], 0 to 1."""

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.corruptions import Pictures, Strengths
from neocog.evaluation.corruptions.blur import smeared, zoomed
from neocog.evaluation.corruptions.plasma import plasma

STRENGTHS: Strengths = {
    "snow": {  # flakes (mean, spread, size, the least that is one), their trail (radius and sigma, px), part of the image kept
        "cifar10": (
            ((0.1, 0.2, 1, 0.6), (8, 3), 0.95),
            ((0.1, 0.2, 1, 0.5), (10, 4), 0.9),
            ((0.15, 0.3, 1.75, 0.55), (10, 4), 0.9),
            ((0.25, 0.3, 2.25, 0.6), (12, 6), 0.85),
            ((0.3, 0.3, 1.25, 0.65), (14, 12), 0.8),
        ),
        "tiny_imagenet": (
            ((0.1, 0.2, 1, 0.6), (8, 3), 0.8),
            ((0.1, 0.2, 1, 0.5), (10, 4), 0.8),
            ((0.15, 0.3, 1.75, 0.55), (10, 4), 0.7),
            ((0.25, 0.3, 2.25, 0.6), (12, 6), 0.65),
            ((0.3, 0.3, 1.25, 0.65), (14, 12), 0.6),
        ),
        "imagenet": (
            ((0.1, 0.3, 3, 0.5), (10, 4), 0.8),
            ((0.2, 0.3, 2, 0.5), (12, 4), 0.7),
            ((0.55, 0.3, 4, 0.9), (12, 8), 0.7),
            ((0.55, 0.3, 4.5, 0.85), (12, 8), 0.65),
            ((0.55, 0.3, 2.5, 0.85), (12, 12), 0.55),
        ),
    },
    "frost": {  # part of the image and of the ice
        "cifar10": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        "tiny_imagenet": ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
        "imagenet": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    },
    "fog": {  # how much, and how smooth it is
        "cifar10": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        "tiny_imagenet": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
        "imagenet": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    },
    "brightness": {
        "cifar10": ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)),
        "tiny_imagenet": ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
        "imagenet": ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
    },
}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue in gray (ITU-R BT.601)
ICE = np.array([0.86, 0.95, 1.0], np.float32)  # its color


def snow(
    images: Pictures,
    draw: np.random.Generator,
    flakes: tuple[float, float, float, float],
    trail: tuple[int, float],
    kept: float,
) -> Pictures:
    """Flakes fall steeply across an image that is whitened, each with another opposite."""
    mean, spread, size, least = flakes
    layer = zoomed(draw.normal(mean, spread, (*images.shape[:3], 1)).astype(np.float32), size)
    layer = np.clip(np.where(layer < least, 0, layer), 0, 1)
    layer = smeared(layer, draw.uniform(-135, -45, len(images)), radius=trail[0], sigma=trail[1])
    white = np.maximum(images, 1.5 * _gray(images) + 0.5)
    return kept * images + (1 - kept) * white + layer + layer[:, ::-1, ::-1]


def frost(images: Pictures, draw: np.random.Generator, kept: float, ice: float) -> Pictures:
    """The image under ice. The authors lay cuttings of five photographs of frost over it; drawn ice stands for these here."""
    tint = ICE if images.shape[3] == 3 else np.ones(1, np.float32)
    return kept * images + ice * crystals(images.shape[:3], draw)[..., None] * tint


def fog(images: Pictures, draw: np.random.Generator, much: float, smooth: float) -> Pictures:
    """Clouds are added, and the whole is darkened so that the brightest point stays what it was."""
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    clouds = plasma(images.shape[:3], decay=smooth, draw=draw)[..., None]
    return (images + much * clouds) * (brightest / (brightest + much))


def brightness(images: Pictures, draw: np.random.Generator, much: float) -> Pictures:
    """The largest channel of each pixel (V of HSV) grows by `much`, to at most 1; hue and saturation stay."""
    value = images.max(axis=3, keepdims=True)
    brighter = np.minimum(1, value + much)
    return np.where(value > 0, images * (brighter / np.where(value > 0, value, 1)), brighter)


def crystals(shape: tuple[int, ...], draw: np.random.Generator) -> NDArray[np.float32]:
    """Ice [N, H, W], 0 to 1: bright crests where two rough cloud maps cross their middle heights, over a dimmer film."""
    n, height, width = shape
    maps = [plasma((n, height, width), decay=1.6, draw=draw) for _ in range(2)]
    crests = np.maximum(*(1 - np.abs(2 * each - 1) for each in maps)) ** 4
    film = plasma((n, height, width), decay=2.5, draw=draw)
    return 0.7 * crests + 0.3 * film


def _gray(images: Pictures) -> Pictures:
    return images if images.shape[3] == 1 else (images @ LUMA)[..., None]
