"""dvc.yaml tells the truth: each stage's deps are the code it runs, no more and no less; each script is a stage of the same name."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from imports import ROOT, closure

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
DYNAMIC = {  # code that a script reaches by a name at run time, which no import statement shows
    "train": {"src/neocog/architectures/${key}.py", "src/neocog/architectures/blocks", "src/neocog/tasks"},
    "tune": {"src/neocog/architectures/${item}.py", "src/neocog/architectures/blocks", "src/neocog/tasks"},
    "compress": {
        "src/neocog/architectures",
        "src/neocog/compression",
        "src/neocog/architectures/blocks",
        "src/neocog/tasks",
    },
    "explain": {"src/neocog/architectures", "src/neocog/architectures/blocks", "src/neocog/inspect/explain"},
}
ONLY_REFUSES = ROOT / "src/neocog/params/checks.py"  # it changes no output: it lets a stage run or not
ONLY_DRAWS = {"tune": ROOT / "src/neocog/report"}  # pictures for tracking, which are in no out
BY_PROCESS = {"src/neocog/tracking"}  # its sender is a process of its own


def script(stage: str) -> Path:
    """The file that a stage runs: its own, or of `evaluate_tuned` that of `evaluate`."""
    return ROOT / "pipelines" / f"{stage.partition('_')[0]}.py"


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def code_deps(stage: str) -> set[str]:
    return {dep for dep in body(stage)["deps"] if dep.startswith(("src/", "pipelines/"))}


def has_code(path: Path) -> bool:
    """Whether a file holds more than its docstring."""
    nodes = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in nodes)


def unwatched(stage: str) -> set[Path]:
    return {ONLY_REFUSES, *([ONLY_DRAWS[stage]] if stage in ONLY_DRAWS else [])}


def files(deps: set[str]) -> set[Path]:
    paths = [ROOT / dep for dep in deps]
    return {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]) if has_code(file)}


@pytest.mark.parametrize("stage", STAGES)
def test_the_deps_of_a_stage_are_exactly_the_code_it_runs(stage):
    hidden = DYNAMIC.get(stage, set()) | BY_PROCESS
    assert hidden <= code_deps(stage)
    named = files(code_deps(stage) - hidden)
    imported = {file for file in closure(script(stage), without=unwatched(stage)) if has_code(file)}
    imported -= files({dep for dep in hidden if "$" not in dep})
    missing = {str(file.relative_to(ROOT)) for file in imported - named}
    assert not missing, f"{stage} imports these, but dvc.yaml does not watch them"
    assert not {str(file.relative_to(ROOT)) for file in named - imported}, f"dvc.yaml watches these for {stage} in vain"


def test_a_new_import_would_be_noticed(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "src/neocog/report").mkdir(parents=True)
    (tmp_path / "src/neocog/report/__init__.py").write_text("x = 1")
    (tmp_path / "src/neocog/report/page.py").write_text("import neocog.report")
    script = tmp_path / "pipelines/train.py"
    script.write_text("def f():\n    from neocog.report import page\n")
    found = {path.relative_to(tmp_path).as_posix() for path in closure(script, root=tmp_path)}
    assert found == {"pipelines/train.py", "src/neocog/report/__init__.py", "src/neocog/report/page.py"}


def test_every_script_is_a_stage_of_the_same_name_and_exposes_it_as_a_function():
    scripts = {path.stem for path in (ROOT / "pipelines").glob("*.py")} - {
        "__init__",
        "item",
        "stale",
    }
    assert scripts == {script(stage).stem for stage in STAGES} <= set(STAGES)
    for stage in STAGES:
        assert body(stage)["cmd"].startswith(f"python -m pipelines.{script(stage).stem}")
        assert re.search(rf"^def {script(stage).stem}\(", script(stage).read_text(), re.MULTILINE)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_the_sections_it_declares_and_no_other(stage):
    text = script(stage).read_text()
    read = set(
        re.findall(r"settings\.(data|train|tune|evaluate|audit|benchmark|explain|robustness|register|report)\b", text)
    )
    if "settings.recipe(" in text:
        read |= {"train", "architectures"}
    if "settings.models" in text:
        read |= {"architectures", "tune", "compress"}
    if "settings.compression(" in text:
        read |= {"compress"}
    declared = {name.partition(".")[0] for name in body(stage)["params"]}
    assert read == declared
