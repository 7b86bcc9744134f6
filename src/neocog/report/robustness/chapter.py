"""Chapter "Robustness", on corrupted images (ImageNet-C): one image under every corruption, and what each model makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neocog.data.prepared import Prepared
from neocog.drawing import images as pictures
from neocog.drawing.images import Pixels
from neocog.evaluation.corruptions.suite import CORRUPTIONS, corrupt
from neocog.report.chapters import Chapter
from neocog.report.models import classes_phrase
from neocog.report.robustness import figures, narrative
from neocog.report.robustness.read import RobustnessFindings, read
from neocog.report.templates import render
from neocog.tasks.task import Metric

SEVERITY = 3  # of the pictures
LOOKED_AT = 100  # test images among which to choose


@dataclass(frozen=True)
class RobustnessFigures:
    """What was found, its heat map as SVG text, and (what was done to it, picture) of one test image of `label`."""

    found: RobustnessFindings
    heatmap: str
    pictures: tuple[tuple[str, str], ...]
    label: str

    @property
    def files(self) -> dict[str, str]:
        """The figures by the names of their files."""
        return {"robustness": self.heatmap}


def draw(prepared: Prepared, metric: Metric, *, reports: Path, called: Mapping[str, str]) -> RobustnessFigures | None:
    """The chapter's figures about the models in `called`; None if there is no robustness.csv in `reports`."""
    found = read(reports, metric, called=called)
    if found is None:
        return None
    test = prepared.split("test", limit=LOOKED_AT)
    order = np.argsort([_detail(image) for image in test.images], kind="stable")
    chosen = int(order[3 * (len(order) - 1) // 4])  # rich in detail, but not the richest: that is an odd one
    image = np.asarray(test.images[chosen : chosen + 1])
    corrupted = {narrative.words(name): corrupt(image, name, severity=SEVERITY)[0] for name in CORRUPTIONS}
    shown = {"clean": image[0]} | corrupted
    tiles = tuple((words, pictures.picture(pictures.shrunk(each, side=112))) for words, each in shown.items())
    return RobustnessFigures(
        found, figures.heatmap(found), tiles, classes_phrase(prepared, test.targets[chosen : chosen + 1])
    )


def chapter(drawn: RobustnessFigures | None, *, made: str = "") -> Chapter:
    """The chapter `robustness`, empty if nothing was drawn. `made` is how its figure was made."""
    if drawn is None:
        return Chapter("robustness", "Robustness", "")
    markup = render(
        Path(__file__).with_name("robustness.html"),
        found=drawn.found,
        heatmap=drawn.heatmap,
        pictures=drawn.pictures,
        label=drawn.label,
        severity=SEVERITY,
        narrative=narrative,
        made=made,
    )
    return Chapter("robustness", "Robustness", markup, figures=drawn.files)


def _detail(image: Pixels) -> float:
    """Mean difference between pixels beside and below each other."""
    pixels = image.astype(np.float32)
    return float(np.abs(np.diff(pixels, axis=0)).mean() + np.abs(np.diff(pixels, axis=1)).mean())
