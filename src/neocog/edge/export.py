"""Export a bundle for another runtime: written, compared with the bundle on real images, timed beside it."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from neocog.bundle import parity
from neocog.bundle.parity import MAX_ERROR, MIN_AGREEMENT, ParityError
from neocog.bundle.read import GRAPH, Bundle, digest
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.edge import EXTRAS, require
from neocog.edge.captured_output import quiet
from neocog.evaluation import latency, predictions
from neocog.evaluation.latency import Images, Predict
from neocog.statistics.intervals import wilson
from neocog.tasks import task as tasks
from neocog.tasks.task import Task

CALIBRATION = 300  # training images behind the ranges of integers
CHECKED = 1024  # val images on which file and bundle are compared
MIN_ROUNDED = 0.95  # of answers that rounding must leave as they are; a mistake in preprocessing leaves about half
ROUNDS = 30


def export(bundle: Bundle, data: Prepared, *, to: str, int8: bool, out: Path | None = None) -> dict[str, Any]:
    """Write `bundle` for the runtime `to` into `out` (or a file named after it), and beside it `<out>.json`, which is returned.

    Raises UserError when the extra is not installed, the data are not the bundle's or `out` cannot be; ParityError, and nothing is
    written, when the file's answers are not the bundle's.
    """
    runtime = load(to)
    predictions.match(bundle, data)
    path = out or Path(f"{bundle.name}{'-int8' if int8 else ''}{runtime.SUFFIX}")
    if path.suffix != runtime.SUFFIX or not path.parent.is_dir():
        raise UserError(f"--out {path}: {to} writes a {runtime.SUFFIX} into a folder that is there")
    rounded = int8 or "integer" in bundle.card["parity"]
    val = data.split("val", limit=CHECKED)
    expected = predictions.outputs(bundle, val.images, batch_size=256)
    with tempfile.TemporaryDirectory(prefix=".neocog-", dir=path.parent) as temporary:
        file = Path(temporary) / path.name
        with quiet():
            runtime.write(bundle, file, calibration=data.split("train", limit=CALIBRATION).images if int8 else None)
            predict = runtime.predictor(file)
        answered = one_by_one(predict, val.images)
        agreement = compare(expected, answered, rounded=rounded, task=tasks.task(bundle.task))
        models = {"file": predict, "bundle graph": latency.predictor(bundle)}
        speeds = latency.measure(models, val.images, rounds=ROUNDS, batch_size=1, seed=0)
        written = sorted(Path(temporary).iterdir())
        respond = tasks.task(bundle.task).respond
        record = {
            "bundle": bundle.model,
            "bundle.sha256": digest(bundle.folder),
            "to": to,
            "precision": "int8" if int8 else "as the bundle" if rounded else "fp32",
            "files": [each.name for each in written],
            "input": f"uint8 {[runtime.BATCH, *bundle.size, bundle.channels]}",
            "output": _output(bundle),
            respond.CALIBRATION: bundle.card.get(respond.CALIBRATION),
            "answers": respond.rule(bundle.card),
            "parity": agreement,
            "file": figures(written, speeds["file"], answered, val.targets, task=tasks.task(bundle.task)),
            "bundle graph": figures(
                [bundle.folder / GRAPH], speeds["bundle graph"], expected, val.targets, task=tasks.task(bundle.task)
            ),
            "libraries": {package: version(package) for package in EXTRAS[to]},
        }
        for each in written:
            each.replace(path.with_name(each.name))
    path.with_name(f"{path.name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def summary(record: Mapping[str, Any]) -> str:
    """Summary of an export, from its `record`: files, agreement, and size, time and accuracy beside the bundle's graph."""
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


def _output(bundle: Bundle) -> str:
    """The name and shape of what a bundle's graph gives out: `logits [N, 10]`."""
    output = bundle.session().get_outputs()[0]
    return f"{output.name} [{', '.join(['N', *map(str, output.shape[1:])])}]"


def figures(
    files: Sequence[Path], speed: latency.Latency, outputs: np.ndarray, targets: np.ndarray, *, task: Task
) -> dict[str, float]:
    """Bytes, milliseconds of one image on one thread, and the score of outputs [N, ...] by the task's primary metric."""
    return {
        "size_bytes": sum(file.stat().st_size for file in files),
        "latency_ms_p50": float(f"{speed.latency_ms_p50:.4g}"),
        "latency_ms_p95": float(f"{speed.latency_ms_p95:.4g}"),
        f"val/{task.primary.name}": round(float(task.metrics.primary(outputs, targets)), 6),
    }


def load(to: str) -> ModuleType:
    """The file of one runtime. Raises UserError when its extra is not installed."""
    require(to)
    with quiet():
        return import_module(f"neocog.edge.{to}")


def one_by_one(predict: Predict, images: Images) -> np.ndarray:
    """Outputs [N, ...] for images uint8 [N, H, W, C], asked one image at a time."""
    return np.concatenate([np.asarray(predict(image[None].copy())) for image in images])


def compare(expected: np.ndarray, answered: np.ndarray, *, rounded: bool, task: Task) -> dict[str, Any]:
    """Hold the file's outputs [N, ...] against the bundle's; returns the `parity` entry of a bundle's card.

    Raises ParityError when they differ, in floats by what the gate of bundles allows, in integers by more answers than rounding changes.
    """
    agreement, error = parity.compare(expected, answered, task=task)
    least, most = (MIN_ROUNDED, float("inf")) if rounded else (MIN_AGREEMENT, MAX_ERROR)
    seen = wilson(round(agreement * len(expected)), len(expected))[1] if rounded else agreement  # beyond chance
    if not (seen >= least and error <= most):  # NaN fails too
        raise ParityError(
            f"the file and the bundle differ on {len(expected)} real images: "
            f"{task.primary.heading} agreement {agreement:.4f} (at least {least}), "
            f"relative error of the outputs {error:.2e}{'' if rounded else f' (at most {most:.0e})'}; nothing was written"
        )
    return parity.entry(len(expected), agreement, error, task=task)
