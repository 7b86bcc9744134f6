"""Execute a recipe step by step: apply, evaluate on the validation images, go on while the goal for the score is kept."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from rich.console import Console

from neocog import compression
from neocog.bundle.read import GRAPH, Bundle
from neocog.bundle.session import session
from neocog.compression.chain import export
from neocog.compression.chain.candidate import Candidate, begin
from neocog.compression.chain.finetune import Train
from neocog.compression.chain.goals import UNDECIDED, Goals, drop, dropped, judge
from neocog.compression.chain.point import Point
from neocog.data.prepared import Prepared
from neocog.evaluation import complexity, latency
from neocog.statistics.paired import Paired, compare_outputs
from neocog.tasks import task as tasks
from neocog.tasks.task import Metric, Task

ROUNDS, BATCH = 15, 64  # of the race against the parent


def walk(
    parent: Bundle,
    steps: Sequence[Mapping[str, Any]],
    goals: Goals,
    data: Prepared,
    *,
    recipe: str,
    trains: Sequence[Train],
) -> tuple[Candidate, dict[str, Any]]:
    """Apply `steps` to `parent` one after the other; `trains` has for each what it trains with, if it has a `train` block.

    Returns the model kept and its verdict, as in verdict.json. The first step after which the score dropped too far, by more than chance,
    ends the recipe; a step that trains answers for those just before it that do not. The model before it is kept, or, if there is none but
    the parent, the one that was found.
    """
    console, task, targets = Console(stderr=True), tasks.task(parent.task), data.split("val").targets
    kept = candidate = begin(parent)
    outputs = before = _outputs(kept, data)
    start = point = _point(kept, data, outputs, task)
    records: list[dict[str, Any]] = []
    ended = None
    waiting: list[dict[str, Any]] = []  # steps of which it is not known yet whether they are kept
    for number, (step, train) in enumerate(zip(steps, trains, strict=True), 1):
        began, method = perf_counter(), step["method"]
        with console.status(f"{recipe}: {method} ({number}/{len(steps)})"):
            candidate = compression.apply(step, candidate, data, train=train if "train" in step else None)
            now = _outputs(candidate, data)
        reached = _point(candidate, data, now, task)
        settings = {key: value for key, value in step.items() if key != "method"}
        seconds = round(perf_counter() - began, 1)
        waiting.append(
            {"method": method, "settings": settings, "kept": False, **reached.entry(task.primary), "seconds": seconds}
        )
        print(f"{recipe} {number}/{len(steps)}  {method}: {reached.text(task.primary)}")
        records.append(waiting[-1])
        if "train" not in step and number < len(steps) and "train" in steps[number]:
            continue
        ended = _too_far(
            goals,
            compare_outputs(task.metrics, now, before, targets),
            f"step {number} ({method})",
            metric=task.primary,
            parent=parent.model,
            n=len(targets),
        )
        if ended and not any(each["kept"] for each in records):
            ended += "; what it made is kept, for nothing better was found"
        elif ended:
            ended += "; the model before is kept"
            break
        for each in waiting:
            each["kept"] = True
        kept, point, outputs, waiting = candidate, reached, now, []
        if ended:
            break
    changed = any(step["kept"] for step in records)
    speedup = _speedup(parent, kept, data) if changed else 1.0
    found = compare_outputs(task.metrics, outputs, before, targets)
    judged = judge(goals, found=found, metric=task.primary, speedup=speedup, size_bytes=point.size_bytes)
    return (
        kept,
        {
            "recipe": recipe,
            "parent": parent.model,
            "met": not ended and all(goal.met for goal in judged),
            "missed": bool(ended) or any(goal.missed for goal in judged),
            "ended": ended,
            "images": len(targets),
            "goals": [goal.entry() for goal in judged],
            "before": start.entry(task.primary),
            "steps": records,
            "paired": asdict(found),
            "speedup": round(speedup, 3),
        },
    )


def _too_far(goals: Goals, found: Paired, step: str, *, metric: Metric, parent: str, n: int) -> str | None:
    """Why a recipe ends after a step: the score fell beyond the goal, and beyond chance."""
    limit = goals.get(drop(metric))
    if limit is None or not (judged := dropped(limit, found, metric)).missed:
        return None
    ends = " to ".join(f"{100 * end:.2f}" for end in (judged.low or 0.0, judged.high or 0.0))
    return (
        f"{step}: {metric.heading} is {100 * judged.value:.2f} points below {parent} ({ends} by {n:,} validation images), "
        f"more than {judged.goal} (={limit})"
    )


def sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in one line."""
    sides = [f"{goal['goal']} {goal['value']:g} ({_outcome(goal, verdict['images'])})" for goal in verdict["goals"]]
    summary = (
        f"{outcome(verdict).replace('missed', 'MISSED')}; {verdict['speedup']:.2f}x as fast as {verdict['parent']}"
    )
    return "; ".join([summary, *sides, *([verdict["ended"]] if verdict["ended"] else [])])


def outcome(verdict: Mapping[str, Any]) -> str:
    """met, missed, or `not decided` by so few validation images."""
    return "met" if verdict["met"] else "missed" if verdict["missed"] else UNDECIDED


def _outcome(goal: Mapping[str, Any], images: int) -> str:
    if goal["met"] or goal["missed"]:
        return f"{'met' if goal['met'] else 'missed'}: {goal['limit']:g}"
    return f"{UNDECIDED} with {images:,} validation images, {goal['low']:g} to {goal['high']:g}: {goal['limit']:g}"


def metrics(verdict: Mapping[str, Any], metric: Metric) -> dict[str, float]:
    """The outcome as numbers for tracking."""
    last = next((step for step in reversed(verdict["steps"]) if step["kept"]), verdict["before"])
    values = {f"compress/{key}": float(last[key]) for key in (metric.name, "params", "macs", "size_bytes")}
    return values | {
        f"compress/{metric.name}_drop": metric.better * (verdict["before"][metric.name] - last[metric.name]),
        "compress/speedup": verdict["speedup"],
        "compress/met": float(verdict["met"]),
    }


def _outputs(candidate: Candidate, data: Prepared) -> NDArray[np.float32]:
    """The outputs [N, ...] of the graph that would be shipped, for the validation images."""
    return export.logits(candidate.shipped(data), data.split("val").images)


def _point(candidate: Candidate, data: Prepared, outputs: NDArray[np.float32], task: Task) -> Point:
    with tempfile.TemporaryDirectory(prefix="neocog-") as folder:
        path = Path(folder) / GRAPH
        onnx.save(candidate.shipped(data), path)
        macs, size = complexity.macs(path), path.stat().st_size
    params = sum(each.numel() for each in candidate.network.parameters())
    score = round(float(task.metrics.primary(outputs, data.split("val").targets)), 6)
    return Point(score, params=params, macs=macs, size_bytes=size)


def _speedup(parent: Bundle, kept: Candidate, data: Prepared) -> float:
    """Images a second of the model kept over its parent's, taking turns."""
    running = session(kept.shipped(data), threads=1)
    models = {
        "parent": latency.predictor(parent),
        "kept": lambda images: running.run(None, {"images": images}),
    }
    found = latency.measure(models, data.split("val").images, rounds=ROUNDS, batch_size=BATCH, seed=0)
    return found["kept"].throughput_ips / found["parent"].throughput_ips
