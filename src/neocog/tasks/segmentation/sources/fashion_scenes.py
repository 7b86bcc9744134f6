"""The scenes of detection's source `fashion_scenes` with the exact mask of each thing in place of its box."""

from pathlib import Path
from typing import Any

from neocog.data.sources.source import Source
from neocog.tasks.detection.sources import fashion_scenes


def read(root: Path, **how: Any) -> Source:
    """Those scenes; the first class is the background, which is right wherever no thing is."""
    return fashion_scenes.read(root, masks=True, **how)
