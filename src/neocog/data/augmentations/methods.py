"""Augmentations by torchvision.transforms.v2: a function each, whose keywords are its settings in params.yaml.

`size` is [height, width] of the images, `fill` the mean color 0..255 by channel, which stands where an image no longer is. Each returns
what is applied to one uint8 image [C, H, W], drawing by torch's generator.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Le
from torchvision.transforms import v2

from neocog.core.constrained_types import Fraction, NonNegative, Positive, Scale

BILINEAR = v2.InterpolationMode.BILINEAR
Fill = Sequence[float]


def random_resized_crop(
    *, size: Any, fill: Fill, scale: tuple[Scale, Scale] = (0.35, 1.0), ratio: tuple[Scale, Scale] = (0.75, 1.333)
) -> Any:
    """A part, `scale` of the area and `ratio` of width to height, resized to the whole (Szegedy et al. 2015, arXiv:1409.4842)."""
    return v2.RandomResizedCrop(size, scale=scale, ratio=ratio, antialias=True)


def vertical_flip(*, size: Any, fill: Fill) -> Any:
    """Upside down, with `chance`; train.flip is left-right."""
    return v2.RandomVerticalFlip(p=1.0)


def rotation(*, size: Any, fill: Fill, degrees: Positive = 15.0) -> Any:
    """Turned by up to `degrees` to either side."""
    return v2.RandomRotation(degrees, interpolation=BILINEAR, fill=list(fill))


def affine(
    *,
    size: Any,
    fill: Fill,
    degrees: NonNegative = 10.0,
    translate: Fraction = 0.1,
    scale: tuple[Scale, Scale] = (0.9, 1.1),
    shear: NonNegative = 0.0,
) -> Any:
    """Turned by up to `degrees`, shifted by up to `translate` of a side, scaled, and sheared by up to `shear` degrees."""
    shift = (translate, translate)
    return v2.RandomAffine(degrees, shift, scale, shear or None, interpolation=BILINEAR, fill=list(fill))


def perspective(*, size: Any, fill: Fill, distortion: Fraction = 0.3) -> Any:
    """Seen from another side: corners move by up to `distortion` of half a side."""
    return v2.RandomPerspective(distortion, p=1.0, fill=list(fill))


def color_jitter(
    *,
    size: Any,
    fill: Fill,
    brightness: NonNegative = 0.3,
    contrast: NonNegative = 0.3,
    saturation: NonNegative = 0.3,
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.0,
) -> Any:
    """Brightness, contrast and saturation times 1 - x to 1 + x, hue turned by up to `hue` of the circle."""
    return v2.ColorJitter(brightness, contrast, saturation, hue)


def grayscale(*, size: Any, fill: Fill) -> Any:
    """Without color, with `chance`."""
    return v2.RandomGrayscale(p=1.0)


def gaussian_blur(*, size: Any, fill: Fill, sigma: tuple[Positive, Positive] = (0.1, 2.0)) -> Any:
    """Blurred by a Gaussian of `sigma` pixels."""
    side = 2 * round(1.5 * sigma[1]) + 1
    return v2.GaussianBlur(side, sigma)


def trivial_augment(*, size: Any, fill: Fill) -> Any:
    """One of fourteen changes, of any strength (TrivialAugment Wide; Müller & Hutter 2021, arXiv:2103.10158)."""
    return v2.TrivialAugmentWide(fill=list(fill))


def rand_augment(
    *, size: Any, fill: Fill, count: Annotated[int, Ge(1), Le(10)] = 2, magnitude: Annotated[int, Ge(0), Le(30)] = 9
) -> Any:
    """`count` of fourteen changes one after the other, each of strength `magnitude` of 30 (Cubuk et al. 2020, arXiv:1909.13719)."""
    return v2.RandAugment(count, magnitude, fill=list(fill))


def aug_mix(*, size: Any, fill: Fill, severity: Annotated[int, Ge(1), Le(10)] = 3) -> Any:
    """Several chains of changes blended with the image (AugMix; Hendrycks et al. 2020, arXiv:1912.02781)."""
    return v2.AugMix(severity, fill=list(fill))


def random_erasing(
    *, size: Any, fill: Fill, scale: tuple[Fraction, Fraction] = (0.02, 0.2), ratio: tuple[Scale, Scale] = (0.3, 3.3)
) -> Any:
    """A rectangle of `scale` of the area set to the mean color (Zhong et al. 2020, arXiv:1708.04896)."""
    return v2.RandomErasing(1.0, scale, ratio, value=list(fill))
