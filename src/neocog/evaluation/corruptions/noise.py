"""Noise: Gaussian, shot, impulse. Images float [N, H, W, C], 0 to 1."""

import numpy as np

from neocog.evaluation.corruptions import Pictures, Strengths

STRENGTHS: Strengths = {
    "gaussian_noise": {
        "cifar10": ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
        "tiny_imagenet": ((0.04,), (0.08,), (0.12,), (0.15,), (0.18,)),
        "imagenet": ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
    },
    "shot_noise": {
        "cifar10": ((500,), (250,), (100,), (75,), (50,)),
        "tiny_imagenet": ((250,), (100,), (50,), (30,), (15,)),
        "imagenet": ((60,), (25,), (12,), (5,), (3,)),
    },
    "impulse_noise": {
        "cifar10": ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,)),
        "tiny_imagenet": ((0.01,), (0.02,), (0.05,), (0.08,), (0.14,)),
        "imagenet": ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
    },
}


def gaussian_noise(images: Pictures, draw: np.random.Generator, scale: float) -> Pictures:
    """Every value is off by a normal error of standard deviation `scale`."""
    return images + scale * draw.standard_normal(images.shape, np.float32)


def shot_noise(images: Pictures, draw: np.random.Generator, photons: float) -> Pictures:
    """Light is counted, white being `photons` on average: Poisson noise."""
    return draw.poisson(images * photons) / photons


def impulse_noise(images: Pictures, draw: np.random.Generator, share: float) -> Pictures:
    """A `share` of the values is black or white, as often the one as the other (salt and pepper)."""
    hit, salt = draw.random((2, *images.shape), np.float32)
    return np.where(hit < share, salt < 0.5, images)
