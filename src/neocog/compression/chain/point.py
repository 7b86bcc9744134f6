"""Where a model stands between two steps of a recipe."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """Top-1 on the validation images, a fraction, and what the graph weighs."""

    top1: float
    params: int
    macs: int
    size_bytes: int

    def __str__(self) -> str:
        return f"val/top1 {self.top1:.4f}, {self.params:,} parameters, {self.macs:,} MACs, {self.size_bytes / 1000:,.0f} kB"
