"""What tells models of one architecture apart: the settings in which they differ."""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from neocog.report.models import JudgedModel


def differences(models: Sequence[JudgedModel]) -> dict[str, str]:
    """`freeze: backbone`, `epochs: 30`, ... by model, for those whose architecture others of `models` have too."""
    found: dict[str, str] = {}
    for _, each in groupby(sorted(models, key=_architecture), key=_architecture):
        settings = {model.row.model: _settings(model) for model in each}
        keys = dict.fromkeys(key for own in settings.values() for key in own)
        differ = [key for key in keys if len({json.dumps(own.get(key)) for own in settings.values()}) > 1]
        if differ:
            found |= {
                model: ", ".join(f"`{key}: {_written(own.get(key))}`" for key in differ)
                for model, own in settings.items()
            }
    return found


def repeated(models: Sequence[JudgedModel]) -> list[str]:
    """Those of `models` whose architecture an earlier one has."""
    seen = [_architecture(model) for model in models]
    return [model.row.model for i, model in enumerate(models) if seen[i] in seen[:i]]


def _architecture(model: JudgedModel) -> str:
    return model.bundle.architecture


def _settings(model: JudgedModel) -> dict[str, Any]:
    params = model.bundle.card["provenance"].get("params", {})
    return {**params.get("architecture", {}), **params.get("train", {})}


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
