"""Mean and standard deviation of pixels that do not fit into memory, from exact integer sums."""

import numpy as np


class PixelSums:
    """Sums of uint8 [n, H, W, C] by channel; `mean` and `std` are in the pixel scale 0..1."""

    def __init__(self, channels: int) -> None:
        self.histogram = np.zeros((channels, 256), np.int64)

    def add(self, images: np.ndarray) -> None:
        """Count the pixels of uint8 [n, H, W, C]."""
        for channel in range(len(self.histogram)):
            self.histogram[channel] += np.bincount(images[..., channel].ravel(), minlength=256)

    def mean(self) -> list[float]:
        """The mean of each channel [C]."""
        return [round(mean / 255, 6) for mean in self._means()]

    def std(self) -> list[float]:
        """The standard deviation of each channel [C], at least one gray level, so that nobody divides by zero."""
        squares = (self.histogram * np.arange(256) ** 2).sum(1) / self._counts()
        variance = squares - self._means() ** 2
        return [round(std / 255, 6) for std in np.sqrt(np.maximum(1.0, variance))]

    def _counts(self) -> np.ndarray:
        return np.maximum(1, self.histogram.sum(1))

    def _means(self) -> np.ndarray:
        return (self.histogram * np.arange(256)).sum(1) / self._counts()
