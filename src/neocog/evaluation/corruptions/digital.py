"""Digital corruptions: contrast, elastic transform, pixelation, JPEG. Images float [N, H, W, C], 0 to 1."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from neocog.evaluation.corruptions import Pictures, Strengths

OFF = 244 / 224  # the authors wrote 244 where the side of their images was 224
STRENGTHS: Strengths = {
    "contrast": {
        "cifar10": ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,)),
        "tiny_imagenet": ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
        "imagenet": ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
    },
    "elastic_transform": {  # as parts of the side: how far pixels are moved, over which distance alike, how far the corners
        "cifar10": ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
        "tiny_imagenet": ((0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
        "imagenet": (
            (2 * OFF, 0.7 * OFF, 0.1 * OFF),
            (2 * OFF, 0.08 * OFF, 0.2 * OFF),
            (0.05 * OFF, 0.01 * OFF, 0.02 * OFF),
            (0.07 * OFF, 0.01 * OFF, 0.02 * OFF),
            (0.12 * OFF, 0.01 * OFF, 0.02 * OFF),
        ),
    },
    "pixelate": {
        "cifar10": ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
        "tiny_imagenet": ((0.9,), (0.8,), (0.7,), (0.6,), (0.5,)),
        "imagenet": ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
    },
    "jpeg_compression": {
        "cifar10": ((80,), (65,), (58,), (50,), (40,)),
        "tiny_imagenet": ((65,), (58,), (50,), (40,), (25,)),
        "imagenet": ((25,), (18,), (15,), (10,), (7,)),
    },
}


def contrast(images: Pictures, draw: np.random.Generator, part: float) -> Pictures:
    """Only a `part` of each value's distance from the channel's mean is left."""
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + part * (images - means)


def elastic_transform(
    images: Pictures, draw: np.random.Generator, moved: float, alike: float, corners: float
) -> Pictures:
    """Three points of the image are pulled apart, then its pixels moved by a smooth random field."""
    n, height, width, channels = images.shape
    side = min(height, width)
    straight = np.mgrid[:height, :width].astype(np.float32)
    maps = _affine((n, height, width), corners * side, draw)
    fields = draw.uniform(-1, 1, (n, 2, height, width)).astype(np.float32)
    fields = ndimage.gaussian_filter(fields, (0, 0, alike * side, alike * side), mode="reflect", truncate=3)
    found = np.empty_like(images)
    for image, source, (matrix, shift), field in zip(found, images, maps, fields, strict=True):
        pulled = np.tensordot(matrix, straight, 1) + shift[:, None, None]
        bent = straight + moved * side * field
        for channel in range(channels):
            flat = ndimage.map_coordinates(source[..., channel], pulled, order=1, mode="mirror")
            image[..., channel] = ndimage.map_coordinates(flat, bent, order=1, mode="reflect")
    return found


def pixelate(images: Pictures, draw: np.random.Generator, part: float) -> Pictures:
    """Fewer pixels: a `part` of each side, drawn as large as before."""

    def coarse(image: Image.Image) -> Image.Image:
        few = (max(1, int(image.width * part)), max(1, int(image.height * part)))
        return image.resize(few, Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)

    return _by_pillow(images, coarse)


def jpeg_compression(images: Pictures, draw: np.random.Generator, quality: int) -> Pictures:
    """Saved as JPEG of this quality, and read again."""

    def saved(image: Image.Image) -> Image.Image:
        file = BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _by_pillow(images, saved)


def _affine(shape: tuple[int, int, int], reach: float, draw: np.random.Generator) -> list[tuple[NDArray, NDArray]]:
    """Of each image (matrix [2, 2], shift [2]): from where to take a point (row, column), so that three points around the middle each
    land up to `reach` pixels off."""
    n, height, width = shape
    middle, arm = np.array([height // 2, width // 2]), min(height, width) // 3
    points = middle + arm * np.array([[1, 1], [-1, 1], [-1, -1]])
    landed = points + draw.uniform(-reach, reach, (n, 3, 2))
    back = np.linalg.solve(np.concatenate([landed, np.ones((n, 3, 1))], axis=2), points.astype(np.float64)[None])
    return [(each[:2].T.astype(np.float32), each[2].astype(np.float32)) for each in back]


def _by_pillow(images: Pictures, change: Callable[[Image.Image], Image.Image]) -> Pictures:
    found = np.empty_like(images)
    for image, source in zip(found, np.rint(images * 255).astype(np.uint8), strict=True):
        changed = change(Image.fromarray(source[..., 0] if source.shape[2] == 1 else source))
        image[:] = np.asarray(changed, np.float32).reshape(image.shape) / 255
    return found
