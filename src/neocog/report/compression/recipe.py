"""Compressed model: the verdict of its recipe, the model itself and the one it began with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from neocog.core.errors import UserError
from neocog.report.compression import verdict
from neocog.report.compression.verdict import RecipeVerdict
from neocog.report.models import JudgedModel
from neocog.statistics.paired import Paired


@dataclass(frozen=True)
class CompressedModel:
    """What became of `parent`, both judged on the same test images."""

    verdict: RecipeVerdict
    model: JudgedModel
    parent: JudgedModel

    @cached_property
    def paired(self) -> Paired:
        """The difference of the primary metric on the test images, model minus parent, image by image."""
        return self.model.against(self.parent)

    @property
    def share(self) -> float:
        """The size of the model file as a fraction of its parent's."""
        return self.model.row.size_bytes / self.parent.row.size_bytes


def gather(models: Sequence[JudgedModel]) -> list[CompressedModel]:
    """The recipe of each compressed model, in the order of `models`.

    Raises UserError for a verdict that is missing or damaged, and where the parent is not among `models`.
    """
    known = {model.row.model: model for model in models}
    found = []
    for model in models:
        if model.row.kind == "compressed":
            recorded = verdict.read(model.bundle.folder)
            if recorded.parent not in known:
                raise UserError(
                    f"{model.bundle.folder / verdict.VERDICT}: parent (={recorded.parent}) is not among the models of the report; "
                    "params.yaml must name it too, or the recipe another model"
                )
            found.append(CompressedModel(recorded, model, known[recorded.parent]))
    return found
