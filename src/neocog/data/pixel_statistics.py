"""Mean and standard deviation of more pixels than fit into memory, from exact integer sums."""

import numpy as np


class PixelSums:
    """Sums of uint8 [n, H, W, C] by channel; `mean` and `std` are in the pixel scale 0..1."""

    def __init__(self, channels: int) -> None:
        self.sums = np.zeros((2, channels), np.int64)  # of values, and of their squares
        self.pixels = 0

    def add(self, images: np.ndarray) -> None:
        """Count the pixels of uint8 [n, H, W, C]."""
        self.add_sums(sums_of(images), pixels=images[..., 0].size)

    def add_sums(self, sums: np.ndarray, *, pixels: int) -> None:
        """Count so many pixels whose sums [2, C] are known."""
        self.sums += sums
        self.pixels += pixels

    def mean(self) -> list[float]:
        """The mean of each channel [C]."""
        return [round(mean / 255, 6) for mean in self._means()]

    def std(self) -> list[float]:
        """The standard deviation of each channel [C], at least one gray level, so that nobody divides by zero."""
        variance = self.sums[1] / max(1, self.pixels) - self._means() ** 2
        return [round(std / 255, 6) for std in np.sqrt(np.maximum(1.0, variance))]

    def _means(self) -> np.ndarray:
        means: np.ndarray = self.sums[0] / max(1, self.pixels)
        return means


def sums_of(images: np.ndarray) -> np.ndarray:
    """Sums of values and of squares of uint8 [..., C] by channel, int64 [2, C]."""
    levels = np.arange(256)
    histograms = np.stack([np.bincount(images[..., k].ravel(), minlength=256) for k in range(images.shape[-1])], axis=1)
    return np.stack([levels @ histograms, levels**2 @ histograms])
