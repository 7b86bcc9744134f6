"""MLflow's scoring protocol, both ways: a request's body to images one by one, probabilities to a response's body.

    {"dataframe_split": {"columns": ["image"], "data": [["<base64>"], ...]}}
    {"dataframe_records": [{"image": "<base64>"}, ...]}
    {"inputs": ["<base64>", ...]}, {"inputs": [[[[0], ...]]]}: uint8 [N, H, W, C], {"inputs": {"image": [...]}}; `instances` likewise

A picture file may also be the body itself, as image/jpeg, image/png, ...
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

import json
from collections.abc import Mapping
from typing import Any

from neocog.errors import UserError

COLUMN = "image"  # of a data frame: base64 text, or an array [H, W, C], a row
KINDS = ("dataframe_split", "dataframe_records", "inputs", "instances")


class Unsupported(UserError):
    """The body is of a kind that is not read."""


def items(body: bytes, content_type: str) -> list[Any]:
    """The images in a body: base64 text, picture files as bytes, or arrays. Raises UserError saying what it should look like."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind.startswith("image/"):
        return [body]
    if kind != "application/json":
        raise Unsupported(
            f"content type {kind or 'missing'!r}; send application/json, or a picture as image/jpeg or image/png"
        )
    if "charset" in parameters.lower() and "utf-8" not in parameters.lower():
        raise Unsupported(f"{parameters.strip()}: JSON is read as UTF-8 only")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the body is not JSON ({str(error)[:120]})") from None
    if not isinstance(told, dict) or len(found := [key for key in KINDS if key in told]) != 1:
        raise UserError(f"the body must be a JSON object with exactly one of {', '.join(KINDS)}")
    if odd := sorted(set(told) - {*found, "params"}):
        raise UserError(f"{odd[0]!r} beside {found[0]} is unknown; remove it")
    images = _READ[found[0]](told[found[0]])
    if not images:
        raise UserError(f"{found[0]} holds no image; send at least one")
    return images


def response(rows: list[dict[str, Any]]) -> bytes:
    """{"predictions": [...]}."""
    return json.dumps({"predictions": rows}, ensure_ascii=False, separators=(",", ":")).encode()


def refusal(code: str, sentence: str) -> bytes:
    """What is wrong, as MLflow words it: `error_code` and `message`."""
    return json.dumps({"error_code": code, "message": sentence}, ensure_ascii=False).encode()


def _split(told: Any) -> list[Any]:
    if not isinstance(told, dict) or not isinstance(told.get("data"), list):
        raise UserError("dataframe_split must be an object with `columns` and `data`, a list of rows")
    columns = told.get("columns", [COLUMN])
    if not isinstance(columns, list) or COLUMN not in columns:
        raise UserError(f"dataframe_split has no column {COLUMN!r}, but {str(columns)[:80]}")
    place = columns.index(COLUMN)
    rows = told["data"]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise UserError(f"row {number} of dataframe_split must be a list with {len(columns)} cells, one a column")
    return [row[place] for row in rows]


def _records(told: Any) -> list[Any]:
    if not isinstance(told, list):
        raise UserError(f"dataframe_records must be a list of objects with the key {COLUMN!r}")
    return [_cell(each, number) for number, each in enumerate(told)]


def _inputs(told: Any) -> list[Any]:
    if isinstance(told, Mapping):
        told = _cell(told, None)
    if isinstance(told, str):
        return [told]
    if not isinstance(told, list):
        raise UserError("inputs must be a list of images: base64 text, or arrays [H, W, C]")
    return [_cell(each, number) if isinstance(each, Mapping) else each for number, each in enumerate(told)]


def _cell(told: Any, number: int | None) -> Any:
    if not isinstance(told, Mapping) or COLUMN not in told:
        raise UserError(
            f"{'inputs' if number is None else f'record {number}'} must be an object with the key {COLUMN!r}"
        )
    return told[COLUMN]


_READ = {"dataframe_split": _split, "dataframe_records": _records, "inputs": _inputs, "instances": _inputs}
