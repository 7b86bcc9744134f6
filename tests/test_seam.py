"""The seam: what outputs mean is known in tasks/<task>/ alone; no other code says top1 or takes an argmax over classes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from imports import ROOT

from neocog import compression
from neocog.compression.chain.goals import goals
from neocog.core.errors import UserError
from neocog.core.validation import typed
from neocog.params import judged
from neocog.tasks.task import task

WORD = re.compile(r"top_?1(?![0-9])")
ELSEWHERE = {  # files that say it and may, and why
    "src/neocog/architectures/svm.py": "a classifier of its own rule, which counts its training images",
    "src/neocog/cli/handbook.py": "prose of docs/compression.md, with classification as its example",
    "src/neocog/compression/thresholds.py": "a method of classification, by its TASKS",
}


def said(text: str) -> Iterator[str]:
    """What a file says of classification in its code: names, keys and strings with `top1`, and argmax over axis 1. Docstrings are prose."""
    tree = ast.parse(text)
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            names = [node.value]
        else:
            names = [getattr(node, key, None) for key in ("id", "attr", "arg", "name")]
        yield from (f"line {node.lineno}: {name}" for name in names if isinstance(name, str) and WORD.search(name))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "argmax":
            axes = [*node.args[-1:], *(each.value for each in node.keywords if each.arg in ("axis", "dim"))]
            if any(isinstance(axis, ast.Constant) and axis.value == 1 for axis in axes):
                yield f"line {node.lineno}: argmax over axis 1"


def files() -> list[str]:
    rooms = [*(ROOT / "src/neocog").rglob("*.py"), *(ROOT / "pipelines").glob("*.py")]
    paths = sorted(path.relative_to(ROOT).as_posix() for path in rooms)
    return [path for path in paths if not path.startswith("src/neocog/tasks/")]


def test_only_a_task_says_what_is_right():
    walked = files()
    assert len(walked) > 200
    found = {path: list(said((ROOT / path).read_text(encoding="utf-8"))) for path in walked}
    assert {path: words for path, words in found.items() if words and path not in ELSEWHERE} == {}
    assert all(found[path] for path in ELSEWHERE), "a file that says it no longer is taken off the list"


@pytest.mark.parametrize(
    "code",
    [
        "row.top1",
        "scores['val/top1']",
        "dict(top1=1)",
        "def f(top1_low): ...",
        "logits.argmax(1)",
        "logits.argmax(axis=1)",
        "logits.argmax(dim=1)",
        "np.argmax(logits, axis=1)",
        "top_1 = 0",
    ],
)
def test_the_control_what_a_file_says_is_heard(code):
    assert list(said(f'"""Of top1."""\n{code}  # top1'))


@pytest.mark.parametrize("code", ["scores.argmax()", "x.argmax(axis=0)", "top10 = 1", "def f():\n    '''top1'''"])
def test_the_control_prose_and_other_words_are_not(code):
    assert not list(said(f'"""Of top1."""\n{code}  # top1'))


def test_the_control_a_task_is_heard_too():
    assert list(said((Path(ROOT) / "src/neocog/tasks/classification/metrics.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("method", ["temperature", "thresholds", "distill"])
def test_a_recipe_with_a_method_of_another_task_is_refused(method):
    with pytest.raises(
        UserError, match=rf"steps\[0\].method \(='{method}'\) is for classification, not for multilabel"
    ):
        compression.check_task(method, "multilabel", where="params.yaml: compress.small.steps[0]")
    compression.check_task(method, "classification", where="the control")
    compression.check_task("quantize_static", "multilabel", where="the control")


def test_goals_bear_the_name_of_the_tasks_primary_metric():
    metric = task("multilabel").primary
    assert list(goals(metric).__annotations__) == ["max_map_drop", "min_speedup", "max_bytes"]
    how = typed(judged.register(metric), "register", {"goals": {"min_map": 0.5}})
    assert (how.prefer, how.goals.min_map) == ("map", 0.5)
    with pytest.raises(UserError, match=r"register.goals.min_top1 .*unknown key"):
        typed(judged.register(metric), "register", {"goals": {"min_top1": 0.5}})
    assert judged.metric_of({"data": {"task": "multilabel"}}) == metric != judged.metric_of({})
