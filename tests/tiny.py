"""Small real models for tests that need bundles and no torch: softmax regression, on random features if wanted."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from neocog.bundle.read import Bundle, read
from neocog.core import image_size
from neocog.data import prepared_writer
from neocog.data.prepared import Prepared
from neocog.data.sources.digits import digits as all_digits
from neocog.evaluation import complexity, latency, predictions
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification.metrics import headlines

RATE = 0.1


def digits(folder: Path, *, classes: Sequence[str] | None = None) -> Prepared:
    """scikit-learn's digits as a prepared data set, or only the first of them under other names."""
    source = all_digits()
    names = tuple(classes or source.classes)
    rows = np.flatnonzero(source.targets < len(names))
    splits = ["test" if i % 5 == 0 else "val" if i % 5 == 1 else "train" for i in range(len(rows))]
    samples = prepared_writer.Samples(
        rows=rows,
        targets=source.targets[rows],
        splits=splits,
        sha256=[source.sha256[row] for row in rows],
        sources=[source.paths[row] for row in rows],
    )
    return prepared_writer.write(
        folder, name="digits", classes=names, images=source.images, samples=samples, source_digest=source.digest
    )


def train(
    root: Path,
    data: Prepared,
    name: str,
    *,
    kind: str = "trained",
    architecture: str = "perceptron",
    hidden: int = 0,
    epochs: int = 5,
) -> Bundle:
    """Fit by gradient descent; writes <root>/models/<kind>/<name> and its history and summary under <root>/reports."""
    draw = np.random.default_rng(0)
    started = perf_counter()
    inputs = math.prod(data.size) * data.channels
    lift = draw.normal(0, 30 / (inputs * hidden) ** 0.5, (inputs, hidden)).astype(np.float32) if hidden else None
    weights = np.zeros((hidden or inputs, len(data.classes)), np.float32)
    bias = np.zeros(len(data.classes), np.float32)
    (x, y), (vx, vy) = (_features(data, split, lift) for split in ("train", "val"))
    history = []
    for epoch in range(1, epochs + 1):
        for batch in np.array_split(draw.permutation(len(x)), max(1, len(x) // 64)):
            error = _softmax(x[batch] @ weights + bias)
            error[np.arange(len(batch)), y[batch]] -= 1
            weights -= (RATE / len(batch)) * x[batch].T @ error
            bias -= RATE * error.mean(axis=0)
        scores = {"epoch": epoch, "lr": RATE}
        for split, (a, b) in {"train": (x, y), "val": (vx, vy)}.items():
            p = _softmax(a @ weights + bias)
            loss = -np.log(p[np.arange(len(b)), b] + 1e-9).mean()
            scores |= {f"{split}/loss": float(loss), f"{split}/top1": float((p.argmax(axis=1) == b).mean())}
        history.append(scores)
    folder = write(root / "models" / kind / name, data, weights, bias, lift=lift, architecture=architecture)
    reports = root / "reports" / kind / name
    reports.mkdir(parents=True)
    _table(reports / "history.csv", history)
    summary = {"train/seconds": perf_counter() - started, "train/epochs": epochs, "val/top1": history[-1]["val/top1"]}
    (reports / "training.json").write_text(json.dumps(summary))
    return read(folder)


def write(
    folder: Path,
    data: Prepared,
    weights: np.ndarray,
    bias: np.ndarray,
    *,
    lift: np.ndarray | None = None,
    architecture: str = "perceptron",
) -> Path:
    """The bundle of relu(images / 255 @ lift) @ weights + bias; kind and name are the last two parts of `folder`."""
    folder.mkdir(parents=True)
    tensors = {"weight": weights, "bias": bias} | ({} if lift is None else {"lift": lift})
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["flat"]),
    ]
    if lift is not None:
        nodes += [helper.make_node("MatMul", ["flat", "lift"], ["up"]), helper.make_node("Relu", ["up"], ["features"])]
    nodes.append(helper.make_node("Gemm", ["flat" if lift is None else "features", "weight", "bias"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *data.size, data.channels])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(data.classes)])],
        [numpy_helper.from_array(value, key) for key, value in {**tensors, "scale": np.float32(255)}.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "model.onnx"
    )
    save_file(tensors, folder / "weights.safetensors")
    card = {
        "format": 1,
        "kind": folder.parent.name,
        "name": folder.name,
        "architecture": architecture,
        "year": {"perceptron": 1958, "mlp": 1986, "lenet": 1998, "vgg": 2014}.get(architecture, 2015),
        "task": data.task,
        "classes": list(data.classes),
        "input": {"channels": data.channels, "size": image_size.short(data.size)},
        "temperature": 1.0,
        "build": {"buffers": ["lift"]},
        "provenance": {
            "data_digest": data.digest,
            "params": {"lr": RATE},
            "seed": 0,
            "libraries": {"numpy": np.__version__},
        },
    }
    (folder / "bundle.json").write_text(json.dumps(card))
    return folder


def judge(root: Path, data: Prepared, bundles: Sequence[Bundle]) -> None:
    """What the stages evaluate and benchmark write about the bundles, under <root>/reports."""
    test = data.split("test")
    for bundle in bundles:
        logits = predictions.outputs(bundle, test.images, batch_size=256)
        scores = headlines(logits, test.targets, bins=15, resamples=50, seed=0)
        folder = root / "reports" / bundle.model
        (folder / "metrics.json").write_text(json.dumps({f"test/{name}": score for name, score in scores.items()}))
        class_predictions.write(
            folder / "predictions.parquet", class_predictions.of(logits, ids=test.ids, targets=test.targets)
        )
    models = {bundle.model: latency.predictor(bundle) for bundle in bundles}
    speeds = latency.measure(models, test.images, rounds=2, batch_size=8, seed=0)
    rows = [{"model": b.model} | complexity.count(b) | asdict(speeds[b.model]) for b in bundles]
    _table(root / "reports" / "benchmark.csv", rows)


def project(folder: Path, *, architectures: Sequence[str] = ("perceptron", "mlp")) -> Path:
    """A project with digits and bundles of a perceptron and an mlp, ready for the stages behind training."""
    data = digits(folder / "data" / "prepared")
    train(folder, data, "perceptron", epochs=1)
    train(folder, data, "mlp", architecture="mlp", hidden=32, epochs=1)
    (folder / "dvc.yaml").write_text((Path(__file__).parents[1] / "dvc.yaml").read_text())
    short = {
        "train": {"label_smoothing": 0.0},
        "evaluate": {"bootstrap": 50},
        "benchmark": {"rounds": 3},
        "report": {"mistakes": 4},
    }
    (folder / "params.yaml").write_text(json.dumps({"architectures": {name: {} for name in architectures}} | short))
    return folder


def _table(path: Path, rows: Sequence[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _features(data: Prepared, split: str, lift: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    part = data.split(split)
    flat = part.images.reshape(len(part.images), -1).astype(np.float32) / 255
    return (flat if lift is None else np.maximum(flat @ lift, 0)), part.targets


def _softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)
