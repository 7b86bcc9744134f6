"""Section `robustness` of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from neocog.core.constrained_types import Images, ModelName, Positive, Seed
from neocog.core.validation import STRICT


class Robustness(BaseModel):
    """How bundles are tried on corrupted images (ImageNet-C)."""

    model_config = STRICT
    images: Images = 400
    megapixels: Positive = 2.0
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = [1, 2, 3, 4, 5]
    baseline: ModelName | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _each_severity_once(self) -> "Robustness":
        if (once := sorted(set(self.severities))) != sorted(self.severities):
            raise ValueError(f"severities (={self.severities}) names one twice; set severities: {once}")
        return self
