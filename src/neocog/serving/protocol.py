"""MLflow's scoring protocol: parse the images of a request, write the predictions of a response.

    {"dataframe_split": {"columns": ["image"], "data": [["<base64>"], ...]}}
    {"dataframe_records": [{"image": "<base64>"}, ...]}
    {"inputs": ["<base64>", ...]}, {"inputs": [[[[0], ...]]]}: uint8 [N, H, W, C], {"inputs": {"image": [...]}}; `instances` likewise

A picture file may also be the body itself, as image/jpeg, image/png, ...
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

import codecs
import json
from collections.abc import Mapping
from typing import Any

from neocog.core.errors import UserError

COLUMN = "image"  # of a data frame: base64 text, or an array [H, W, C], a row
KINDS = ("dataframe_split", "dataframe_records", "inputs", "instances")


class Unsupported(UserError):
    """The media type is not supported."""


class TooLarge(UserError):
    """The request exceeds a limit."""


def memory(body: bytes, content_type: str) -> int:
    """Upper bound of the memory that parsing a body takes: JSON grows up to 45 times."""
    if _kind(content_type) != "application/json":
        return len(body)
    wide = not body.isascii() or b"\\u" in body  # one character beyond U+FFFF makes every other of its text four bytes
    values = 96 * body.count(b"[") + 240 * body.count(b"{") + 64 * body.count(b'"') + 44 * body.count(b",")
    return (10 if wide else 4) * len(body) + values


def items(body: bytes, content_type: str) -> list[Any]:
    """Parse the images of a body: base64 text, picture files as bytes, or arrays. Raises UserError saying what it should look like."""
    kind = _kind(content_type)
    if kind.startswith("image/"):
        return [body]
    if kind != "application/json":
        raise Unsupported(
            f"content type {brief(kind) or 'missing'}; send application/json, or a picture as image/jpeg or image/png"
        )
    _check_charset(content_type)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the body is not JSON ({str(error)[:120]})") from None
    if not isinstance(value, dict) or len(found := [key for key in KINDS if key in value]) != 1:
        raise UserError(f"the body must be a JSON object with exactly one of {', '.join(KINDS)}")
    if odd := sorted(set(value) - {*found, "params"}):
        raise UserError(f"{brief(odd[0])} beside {found[0]} is unknown; remove it")
    images = _READ[found[0]](value[found[0]])
    if not images:
        raise UserError(f"{found[0]} holds no image; send at least one")
    return images


def response(rows: list[dict[str, Any]]) -> bytes:
    """Response body {"predictions": [...]}."""
    return dumps({"predictions": rows})


def refusal(code: str, sentence: str) -> bytes:
    """Error body as MLflow's: `error_code` and `message`."""
    return dumps({"error_code": code, "message": sentence})


def dumps(value: Any) -> bytes:
    """JSON in ASCII: a lone surrogate, which JSON may name and UTF-8 cannot hold, passes too."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def brief(value: Any) -> str:
    """Abbreviate a client's value for an error message: short, not nested, no control characters."""
    if value is None:
        return "null"
    if isinstance(value, list | dict):
        return {list: "a list", dict: "an object"}[type(value)]
    if isinstance(value, str):
        return ascii(value[:60]) + ("..." if len(value) > 60 else "") if value else ""
    return f"{type(value).__name__} {str(value)[:40]}"


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _check_charset(content_type: str) -> None:
    for parameter in content_type.split(";")[1:]:
        name, _, charset = parameter.partition("=")
        charset = charset.strip().strip("\"'")
        if name.strip().lower() != "charset":
            continue
        try:
            known = codecs.lookup(charset).name  # `utf8`, `UTF_8` and `utf-8` are one
        except (LookupError, ValueError):
            known = ""
        if known not in ("utf-8", "utf-8-sig", "ascii"):
            raise Unsupported(f"charset {brief(charset) or 'missing'}: JSON is read as UTF-8 only")


def _split(value: Any) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise UserError("dataframe_split must be an object with `columns` and `data`, a list of rows")
    columns = value.get("columns", [COLUMN])
    if not isinstance(columns, list) or COLUMN not in columns:
        raise UserError(f"dataframe_split has no column {COLUMN!r}, but {_names(columns)}")
    index = columns.index(COLUMN)
    rows = value["data"]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise UserError(f"row {number} of dataframe_split must be a list with {len(columns)} cells, one a column")
    return [row[index] for row in rows]


def _names(columns: Any) -> str:
    return ", ".join(map(brief, columns[:5])) or "none" if isinstance(columns, list) else brief(columns)


def _records(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"dataframe_records must be a list of objects with the key {COLUMN!r}")
    return [_cell(each, number) for number, each in enumerate(value)]


def _inputs(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        value = _cell(value, None)
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise UserError("inputs must be a list of images: base64 text, or arrays [H, W, C]")
    return [_cell(each, number) if isinstance(each, Mapping) else each for number, each in enumerate(value)]


def _cell(value: Any, number: int | None) -> Any:
    if not isinstance(value, Mapping) or COLUMN not in value:
        raise UserError(
            f"{'inputs' if number is None else f'record {number}'} must be an object with the key {COLUMN!r}"
        )
    return value[COLUMN]


_READ = {"dataframe_split": _split, "dataframe_records": _records, "inputs": _inputs, "instances": _inputs}
