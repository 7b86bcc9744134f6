"""Blur: defocus, frosted glass, motion, zoom. Images float [N, H, W, C], 0 to 1."""

from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from neocog.evaluation.corruptions import Pictures, Strengths

STRENGTHS: Strengths = {
    "defocus_blur": {  # radius of the disk, px; sigma by which its edge is softened, px
        "cifar10": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        "tiny_imagenet": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
        "imagenet": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    },
    "glass_blur": {  # sigma, px; how far a pixel may be moved, px; how often all are moved
        "cifar10": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        "tiny_imagenet": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
        "imagenet": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    },
    "motion_blur": {  # radius and sigma of the trail, px
        "cifar10": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        "tiny_imagenet": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
        "imagenet": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    },
    "zoom_blur": {  # where the zoom ends, in which steps
        "cifar10": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        "tiny_imagenet": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        "imagenet": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    },
}


def defocus_blur(images: Pictures, draw: np.random.Generator, radius: float, edge: float) -> Pictures:
    """Every point becomes a disk; the image is mirrored at its borders."""
    kernel = disk(radius, edge)
    reach = len(kernel) // 2
    around = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = np.pad(images, around, mode="reflect")
    shape = padded.shape[1:3]
    spectrum = fft.rfft2(padded, axes=(1, 2)) * fft.rfft2(kernel.astype(np.float32), shape)[None, :, :, None]
    return fft.irfft2(spectrum, shape, axes=(1, 2))[:, 2 * reach :, 2 * reach :]


def glass_blur(images: Pictures, draw: np.random.Generator, sigma: float, reach: int, rounds: int) -> Pictures:
    """Between two blurs every pixel, from the last to the first, changes places with one near by.

    The authors' code meant to swap the two, but in its arrays the second pixel is overwritten first; here they are swapped.
    """
    found = _blurred(images, sigma)
    height, width = images.shape[1:3]
    every = np.arange(len(images))
    for _ in range(rounds):
        steps = draw.integers(-reach, reach, (height, width, 2, len(images)))
        for y in range(height - reach, reach, -1):
            for x in range(width - reach, reach, -1):
                other = (every, y + steps[y - 1, x - 1, 0], x + steps[y - 1, x - 1, 1])
                here = found[:, y, x].copy()
                found[:, y, x] = found[other]
                found[other] = here
    return _blurred(found, sigma)


def motion_blur(images: Pictures, draw: np.random.Generator, radius: int, sigma: float) -> Pictures:
    """The camera moved in some direction within 45 degrees of level."""
    return smeared(images, draw.uniform(-45, 45, len(images)), radius=radius, sigma=sigma)


def zoom_blur(images: Pictures, draw: np.random.Generator, end: float, step: float) -> Pictures:
    """The mean of the image and of all its enlargements."""
    factors = np.arange(1, end, step)
    return (images + sum(zoomed(images, float(factor)) for factor in factors)) / (len(factors) + 1)


def disk(radius: float, edge: float) -> NDArray[np.float64]:
    """A disk with a soft edge as a kernel [k, k] of sum 1, without borders of zeros."""
    reach = 8 if radius <= 8 else ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = (x**2 + y**2 <= radius**2).astype(np.float64)
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    soft = np.exp(-(taps**2) / (2 * edge**2))
    for axis in (0, 1):
        inside = ndimage.correlate1d(inside, soft / soft.sum(), axis=axis, mode="mirror")
    used = reach - int(np.flatnonzero(inside.any(axis=0))[0])
    inside = inside[reach - used : reach + used + 1, reach - used : reach + used + 1]
    return np.asarray(inside / inside.sum())


def smeared(images: Pictures, angles: NDArray[np.float64], *, radius: int, sigma: float) -> Pictures:
    """Every point leaves a trail that fades like half a normal curve, in a direction (degrees [N]) of its image's own.

    As ImageMagick's motion blur: a trail of 2 radius + 1 whole pixels; beyond its borders an image goes on as it ends there.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).astype(np.float32)
    reach, (height, width) = 2 * radius, images.shape[1:3]
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    found = np.zeros_like(images)
    for n, angle in enumerate(np.deg2rad(angles)):
        across = np.ceil(steps * np.cos(angle) - 0.5).astype(int) + reach
        down = np.ceil(steps * np.sin(angle) - 0.5).astype(int) + reach
        for weight, x, y in zip(weights, across, down, strict=True):
            found[n] += weight * padded[n, y : y + height, x : x + width]
    return found


def zoomed(images: Pictures, factor: float) -> Pictures:
    """The middle of the images, enlarged to their size by linear interpolation."""
    for axis in (1, 2):
        side = images.shape[axis]
        inner = ceil(side / factor)
        outer = round(inner * factor)
        places = (np.arange(side) + (outer - side) // 2) * ((inner - 1) / max(1, outer - 1))
        low = places.astype(int)
        high, first = np.minimum(low + 1, inner - 1), (side - inner) // 2
        part = (places - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(4)])
        images = (1 - part) * images.take(first + low, axis) + part * images.take(first + high, axis)
    return images


def _blurred(images: Pictures, sigma: float) -> Pictures:
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")
