"""Summary of an export: files, parity, size, speed and accuracy."""

from collections.abc import Mapping
from typing import Any


def page(record: Mapping[str, Any]) -> str:
    """The lines for a `record` of `export`: files, agreement, and size, time and accuracy beside the bundle's graph."""
    parity, rows = record["parity"], {record["files"][0]: record["file"], "model.onnx": record["bundle graph"]}
    width = max(map(len, rows))
    metric = next(name for name in record["file"] if name.startswith("val/"))
    agreement = parity[f"{metric.removeprefix('val/')}_agreement"]
    lines = [
        f"{' and '.join(record['files'])}: {record['bundle']} for {record['to']}, {record['precision']}; takes {record['input']}",
        f"gives {record['output']}; {record['answers']}",
        f"agrees with the bundle on {agreement:.2%} of {parity['images']:,} val images",
        "",
        f"{'':{width}}  {'bytes':>12}  {'ms an image':>12}  {'95 % under':>12}  {metric:>9}",
    ]
    lines += [
        f"{name:{width}}  {row['size_bytes']:12,}  {row['latency_ms_p50']:12.3f}  {row['latency_ms_p95']:12.3f}  {row[metric]:9.2%}"
        for name, row in rows.items()
    ]
    return "\n".join(lines)
