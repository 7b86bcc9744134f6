"""dvc.yaml tells the truth: each stage's deps are the rooms whose code it runs, and an edit runs again what it must and nothing else."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from clones import params_on_digits, run, set_up
from imports import ROOT, closure

from neocog import architectures
from neocog.bundle.sources import PACKAGE, sources
from neocog.params.sections import SECTIONS
from neocog.tasks import task as tasks

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SRC, PIPELINES = ROOT / "src/neocog", ROOT / "pipelines"
UNWATCHED = {SRC / room for room in ("params", "tracking", "orchestration", "cli")} | {
    PIPELINES / "item.py"
}  # change no output
ONLY_DRAWS = {"tune": SRC / "report"}  # pictures for tracking, which are in no out
TASK = {"statistics", "tasks"}  # a task and what it stands on
BY_NAME = {  # rooms that a script reaches by a name at run time, which no import statement shows
    **dict.fromkeys(("prepare", "evaluate", "evaluate_tuned", "evaluate_compressed", "report"), TASK),
    **dict.fromkeys(("benchmark", "robustness", "audit", "register"), TASK),
    "architectures": {"architectures"} | TASK,
    "compress": {"architectures", "compression"} | TASK,
    "explain": {"architectures", "inspect"} | TASK,
}
BY_ARCHITECTURE = (
    "train",
    "tune",
)  # depend on their block's file in data/architectures instead of its network's and its task's code


def script(stage: str) -> Path:
    """The file that a stage runs: its own, or of `evaluate_tuned` that of `evaluate`."""
    return PIPELINES / f"{stage.partition('_')[0]}.py"


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def code_deps(stage: str) -> set[Path]:
    return {ROOT / dep for dep in body(stage)["deps"] if dep.startswith(("src/", "pipelines/"))}


def has_code(path: Path) -> bool:
    """Whether a file holds more than its docstring."""
    nodes = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in nodes)


def imported(stage: str) -> set[Path]:
    """The files with code that a stage imports, but for those that change no output."""
    without = UNWATCHED | ({ONLY_DRAWS[stage]} if stage in ONLY_DRAWS else set())
    return {file for file in closure(script(stage), without=without) if has_code(file)}


def stale(file: str) -> set[str]:
    """The stages that an edit of a file makes run again, their blocks aside."""
    return {stage for stage in STAGES if any((ROOT / file).is_relative_to(dep) for dep in code_deps(stage))}


def read_sections(stage: str) -> set[str]:
    text = script(stage).read_text()
    found = set(re.findall(rf"settings\.({'|'.join(SECTIONS)})\b", text)) - {"ray", "tracking"}
    found |= {"train", "architectures"} if "settings.recipe(" in text else set()
    found |= {"architectures", "tune", "compress"} if "settings.models" in text else set()
    found |= {"architectures"} if "settings.architectures" in text else set()
    return found | ({"compress"} if "settings.compression(" in text else set())


def test_it_fits_on_one_screen():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) < 150


@pytest.mark.parametrize("stage", STAGES)
def test_the_rooms_of_a_stage_cover_what_it_imports(stage):
    covered = code_deps(stage)
    missing = {file for file in imported(stage) if not any(file.is_relative_to(dep) for dep in covered)}
    if stage in BY_ARCHITECTURE:
        assert any(dep.startswith("data/architectures/$") for dep in body(stage)["deps"])
        missing -= set(sources("perceptron", "classification"))
    assert not {str(file.relative_to(ROOT)) for file in missing}, (
        f"{stage} imports these, but dvc.yaml does not watch them"
    )
    assert {SRC / room for room in BY_NAME.get(stage, ())} <= covered


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_watched_in_vain(stage):
    needed = imported(stage) | {SRC / room / "x" for room in BY_NAME.get(stage, ())} | sections_of(stage)
    vain = {dep for dep in code_deps(stage) if not any(file.is_relative_to(dep) for file in needed)}
    assert not {str(dep.relative_to(ROOT)) for dep in vain}
    assert all(dep.exists() for dep in code_deps(stage))


def sections_of(stage: str) -> set[Path]:
    """The files of the sections whose defaults a stage reads."""
    found = read_sections(stage) - ({"tune", "compress"} if "settings.models" in script(stage).read_text() else set())
    return {path for name in found if (path := SRC / f"params/sections/{name}.py").exists()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_watches_the_defaults_of_its_section(stage):
    assert sections_of(stage) == {dep for dep in code_deps(stage) if dep.parent.name == "sections"}


def test_a_new_import_would_be_noticed(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "src/neocog/report").mkdir(parents=True)
    (tmp_path / "src/neocog/report/__init__.py").write_text("x = 1")
    (tmp_path / "src/neocog/report/page.py").write_text("import neocog.report")
    script = tmp_path / "pipelines/train.py"
    script.write_text("def f():\n    from neocog.report import page\n")
    found = {path.relative_to(tmp_path).as_posix() for path in closure(script, root=tmp_path)}
    assert found == {"pipelines/train.py", "src/neocog/report/__init__.py", "src/neocog/report/page.py"}


@pytest.mark.parametrize(
    "file",
    [
        *("compression/distill.py", "report/page.py", "params/checks.py", "params/load.py", "evaluation/audit.py"),
        *("serving/app.py", "data/sources/folder.py", "data/prepare.py", "tracking/run.py", "cli/main.py"),
        *("orchestration/forked_stage.py", "tuning/sweep.py", "inspect/catalog.py", "drawing/svg.py"),
    ],
)
def test_an_edit_there_makes_no_training_stale(file):
    assert (SRC / file).is_file()
    assert not {"train", *(() if file.startswith("tuning") else ["tune"])} & stale(f"src/neocog/{file}")
    for name in architectures.names():
        assert SRC / file not in sources(name, "classification")


@pytest.mark.parametrize("file", ["training/fit.py", "bundle/write.py", "core/errors.py", "data/loader.py"])
def test_an_edit_there_makes_every_training_stale(file):
    assert {"train", "tune"} <= stale(f"src/neocog/{file}")


def test_an_architectures_file_is_in_the_sources_of_its_blocks_and_of_no_others():
    walked = 0
    for name in architectures.names():
        own = SRC / f"architectures/{name}.py"
        assert not {"train", "tune"} & stale(own.relative_to(ROOT).as_posix())
        assert [other for other in architectures.names() if own in sources(other, "classification")] == [name]
        walked += 1
    assert walked > 15
    assert SRC / "architectures/blocks/norm.py" in sources("resnet", "classification"), "exchanged by name"
    assert SRC / "architectures/blocks/norm.py" not in sources("perceptron", "classification")


@pytest.mark.parametrize("task", tasks.names())
def test_what_is_said_and_drawn_of_a_task_is_in_no_training(task):
    found = {path.relative_to(PACKAGE).as_posix() for path in sources("mlp", task)}
    assert f"tasks/{task}/objective.py" in found and f"tasks/{task}/metrics.py" in found
    assert not [name for name in found if "/chapters/" in name or name.endswith("respond.py")]


def test_the_code_digest_of_a_bundle_is_of_what_its_training_watches():
    from neocog.bundle.provenance import ROOMS

    watched = {dep.relative_to(SRC).as_posix() for dep in code_deps("train") if SRC in dep.parents}
    assert watched == {*ROOMS, "core"}, "of core it is what the others import"


def test_every_script_is_a_stage_of_the_same_name_and_exposes_it_as_a_function():  # `code` in projects beside the package
    scripts = {path.stem for path in PIPELINES.glob("*.py")} - {"__init__", "item", "stale", "code"}
    assert scripts == {script(stage).stem for stage in STAGES} <= set(STAGES)
    for stage in STAGES:
        assert body(stage)["cmd"].startswith(f"python -m pipelines.{script(stage).stem}")
        assert re.search(rf"^def {script(stage).stem}\(", script(stage).read_text(), re.MULTILINE)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_the_sections_it_declares_and_no_other(stage):
    assert read_sections(stage) == {name.partition(".")[0] for name in body(stage)["params"]}


@pytest.mark.slow
def test_dvc_runs_again_what_an_edit_touches_and_nothing_else(tmp_path):
    params = params_on_digits()
    blocks = {
        "perceptron": {"label_smoothing": 0.0},
        "mlp": {"epochs": 1},
        "wide": {"architecture": "mlp", "widths": [512], "epochs": 1},
    }
    folder = set_up(tmp_path / "clone", params | {"architectures": blocks})
    trainings = [f"train@{name}" for name in blocks]
    run(folder, "dvc", "repro", *trainings)

    def again(*edited: str) -> set[str]:
        """Which trainings DVC calls stale once `architectures` has run, after a comment at the end of each file."""
        before = {name: (folder / "src/neocog" / name).read_text() for name in edited}
        for name, text in before.items():
            (folder / "src/neocog" / name).write_text(f"{text}# edited\n")
        run(folder, "dvc", "repro", "architectures")
        status = run(folder, "dvc", "status", "--json", *trainings)
        for name, text in before.items():
            (folder / "src/neocog" / name).write_text(text)
        return set(json.loads(status.strip().splitlines()[-1]))

    assert again("params/checks.py", "params/load.py", "compression/distill.py", "report/page.py") == set()
    assert again("architectures/perceptron.py") == {"train@perceptron"}
    assert again("architectures/mlp.py") == {"train@mlp", "train@wide"}
    assert again("training/fit.py") == set(trainings)
