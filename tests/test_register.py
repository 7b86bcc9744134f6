"""The champion: chosen by the rule, registered once, and never half, in a real MLflow store on real bundles."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny
import yaml
from imports import ROOT, closure
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PyFuncModel, scoring_server
from PIL import Image
from servers import base64_of
from waiting import wait_for

from neocog import tracking
from neocog.bundle import locate
from neocog.bundle.read import Bundle, digest, read
from neocog.cli import main
from neocog.core.errors import UserError
from neocog.registry import choose, pack, register
from neocog.serving import predictor, pyfunc
from neocog.tasks import task as tasks
from neocog.tasks.classification.metrics import PRIMARY
from pipelines import register as stage

ROWS = {  # model: top-1, ms, bytes
    "trained/perceptron": (0.85, 0.03, 30_000),
    "trained/mlp": (0.93, 0.20, 900_000),
    "compressed/small": (0.92, 0.05, 90_000),
}
VERDICT = {"recipe": "small", "parent": "trained/mlp", "ended": None, "steps": [], "speedup": 2.0}
VERDICT["before"] = {"top1": 0.9, "params": 1, "macs": 1, "size_bytes": 1}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three bundles and their leaderboard."""
    root = tmp_path_factory.mktemp("models")
    data = tiny.digits(root / "data" / "prepared")
    tiny.train(root, data, "perceptron", epochs=1)
    tiny.train(root, data, "mlp", architecture="mlp", hidden=32, epochs=1)
    tiny.train(root, data, "small", kind="compressed", architecture="mlp", hidden=8, epochs=1)
    for model in ROWS:
        card = read(root / "models" / model).card | {"parity": {"images": 1, "top1_agreement": 1.0}}
        (root / "models" / model / "bundle.json").write_text(json.dumps(card))
    verdict(root / "models/compressed/small", met=True)
    with (root / "reports" / "leaderboard.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["model", "top1", "latency_ms_p50", "size_bytes"])
        table.writerows([model, *values] for model, values in ROWS.items())
    return root


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: making its schema takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def project(models: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, with an empty store, as the working directory."""
    subprocess.run(["cp", "-r", f"{models}/.", tmp_path / "project"], check=True)
    subprocess.run(["cp", empty, tmp_path / "project" / "mlflow.db"], check=True)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "project"


@pytest.fixture
def store(project: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project}/mlflow.db")


def verdict(folder: Path, *, met: bool) -> None:
    goal = {"goal": "max_top1_drop", "limit": 0.01, "value": 0.0 if met else 0.2, "met": met, "by": 0.0}
    (folder / "verdict.json").write_text(json.dumps({**VERDICT, "met": met, "goals": [goal]}))


def bundle(model: str) -> Bundle:
    return read(Path("models") / model)


def promote(model: str) -> register.Promoted:
    return register.register(bundle(model), name="neocog", experiment="test")


def aliases(store: MlflowClient) -> dict[str, str]:
    """Alias -> the model that it stands for."""
    named = store.get_registered_model("neocog").aliases
    return {alias: store.get_model_version("neocog", str(version)).tags["model"] for alias, version in named.items()}


def versions(store: MlflowClient) -> list[str]:
    """The model of each version, the first first."""
    found = store.search_model_versions("name = 'neocog'")
    return [each.tags["model"] for each in sorted(found, key=lambda each: int(each.version))]


@pytest.mark.parametrize(
    ("prefer", "goals", "chosen"),
    [
        ("top1", {}, "trained/mlp"),
        ("latency", {}, "trained/perceptron"),
        ("size", {"min_top1": 0.9}, "compressed/small"),
        ("top1", {"max_latency_ms": 0.1}, "compressed/small"),
        ("top1", {"max_bytes": 50_000}, "trained/perceptron"),
    ],
)
def test_the_best_of_those_that_meet_the_goals_is_chosen(project: Path, prefer: str, goals: dict, chosen: str) -> None:
    assert choose.best(prefer=prefer, limits=goals)[0].model == chosen


def test_what_missed_its_verdict_or_was_never_compared_is_not_chosen(project: Path) -> None:
    verdict(project / "models/compressed/small", met=False)
    assert choose.best(prefer="size", limits={"min_top1": 0.9})[0].model == "trained/mlp"
    card = bundle("trained/mlp").card
    (project / "models/trained/mlp/bundle.json").write_text(json.dumps({**card, "parity": {}}))
    assert choose.best(prefer="top1", limits={})[0].model == "trained/perceptron"
    with pytest.raises(UserError, match="held against PyTorch"):
        promote("trained/mlp")


def spoil(folder: Path, how: str) -> None:
    """Damage a bundle in one of the ways in which files get damaged."""
    path = folder / "model.onnx"
    if how == "garbage":
        path.write_bytes(b"garbage")
    elif how in ("cold", "no temperature"):
        card = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(card | {"temperature": 0 if how == "cold" else None}))
    elif how == "NaN":
        graph = onnx.load(path)
        for each in graph.graph.initializer:
            if each.data_type == onnx.TensorProto.FLOAT:
                each.CopyFrom(
                    onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(each) * np.float32("nan"), each.name)
                )
        onnx.save(graph, path)
    else:
        card = json.loads((folder / "bundle.json").read_text())
        (folder / "bundle.json").write_text(json.dumps(card | {"classes": card["classes"][:-1]}))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("garbage", "model.onnx is damaged (InvalidProtobuf)"),
        ("NaN", "NaN or infinite"),
        ("classes", "shape [1, 10], not [1, 9]"),
        ("cold", "bundle.json is damaged (ValueError('temperature 0'))"),
        ("no temperature", "bundle.json is damaged"),
    ],
)
def test_what_cannot_answer_an_image_becomes_no_champion(
    project: Path, store: MlflowClient, capsys: pytest.CaptureFixture[str], how: str, told: str
) -> None:
    spoil(project / "models/trained/mlp", how)
    with pytest.raises(SystemExit) as ended:
        main.main(["register", "models/trained/mlp"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and told in said and said.count("\n") == 1
    assert not store.search_registered_models()
    if how in ("garbage", "NaN", "classes"):
        assert choose.best(prefer="top1", limits={})[0].model == "compressed/small", "the next best is chosen"


def test_when_none_is_good_enough_it_says_what_each_lacks(project: Path) -> None:
    verdict(project / "models/compressed/small", met=False)
    with pytest.raises(UserError) as error:
        choose.best(prefer="top1", limits={"min_top1": 0.9, "max_latency_ms": 0.1})
    for told in ("0.2 misses max_latency_ms 0.1", "0.85 misses min_top1 0.9", "missed max_top1_drop", "register.goals"):
        assert told in str(error.value)
    with pytest.raises(UserError, match="did you mean 'min_top1'"):
        choose.goals({"min_top": 0.9}, PRIMARY)
    Path("reports/leaderboard.csv").unlink()
    with pytest.raises(UserError, match="dvc repro report"):
        choose.best(prefer="top1", limits={})


def test_a_champion_is_replaced_and_may_return_and_no_bundle_becomes_two_versions(
    project: Path, store: MlflowClient
) -> None:
    promote("trained/perceptron")
    assert aliases(store) == {"champion": "trained/perceptron"}
    promote("trained/perceptron")
    promote("trained/mlp")
    assert aliases(store) == {"champion": "trained/mlp", "previous": "trained/perceptron"}
    promote("trained/mlp")
    assert aliases(store) == {"champion": "trained/mlp", "previous": "trained/perceptron"}
    promote("trained/perceptron")
    assert aliases(store) == {"champion": "trained/perceptron", "previous": "trained/mlp"}
    assert versions(store) == ["trained/perceptron", "trained/mlp"]


def test_a_version_leads_to_the_run_that_made_its_bundle(project: Path, store: MlflowClient) -> None:
    made = bundle("trained/mlp")
    for name in ("evaluate@mlp", "train@mlp", "register"):
        with tracking.start(name, experiment="test", tags={"bundle.sha256": digest(made.folder)}):
            pass
    promoted = promote("trained/mlp")
    version = store.get_model_version_by_alias("neocog", "champion")
    assert version.run_id == promoted.run_id
    assert store.get_run(version.run_id).data.tags["stage"] == "train@mlp"
    assert version.tags["bundle.sha256"] == digest(made.folder)
    assert store.get_logged_model(version.source.removeprefix("models:/")).source_run_id == version.run_id
    assert promote("compressed/small").run_id is None


def test_what_is_registered_is_the_bundle_and_mlflow_reads_the_rest(project: Path, store: MlflowClient) -> None:
    promote("trained/mlp")
    found = locate.find("models:/neocog@champion")
    assert digest(found.folder) == digest(project / "models/trained/mlp")
    assert digest(locate.find("models:/neocog/1").folder) == digest(found.folder)
    model = Model.load(found.folder.parent)
    assert model.signature.inputs.input_names() == ["image"]
    assert model.signature.outputs.input_names() == ["class", "probability", "probabilities"]
    assert model.load_input_example(str(found.folder.parent)).columns.tolist() == ["image"]
    assert model.metadata["bundle.sha256"] == digest(found.folder)
    for where, told in {
        "models:/neocog@champoin": "did you mean '@champion'? known: /1, @champion",
        "models:/neocog/9": "known: /1, @champion",
        "models:/neocg@champion": "did you mean 'neocog'? known: neocog",
        "models:/neocog": "name an alias, or a version",
        "models:/neocog/99999999999999999999": "of at most 9 digits",
    }.items():
        with pytest.raises(UserError, match=re.escape(told)):
            locate.find(where)
    (found.folder / "bundle.json").write_text(json.dumps(found.card | {"temperature": 9.0}))
    with pytest.raises(UserError, match="changed after it was registered"):
        locate.find("models:/neocog@champion")


@pytest.mark.parametrize("name", tasks.names())
def test_the_code_that_travels_is_all_that_the_model_needs(name: str) -> None:
    package = ROOT / "src/neocog"
    always = closure(package / "serving/pyfunc.py")
    assert sorted(path.relative_to(package).as_posix() for path in always) == sorted(pyfunc.FILES)
    respond = package / f"tasks/{name}/respond.py"
    more = (closure(respond) | {respond.with_name("__init__.py")}) - always
    assert sorted(path.relative_to(package).as_posix() for path in more) == sorted(tasks.task(name).respond.FILES)


def test_mlflow_loads_it_and_gets_the_bundles_own_answers_from_the_code_it_brought(project: Path) -> None:
    promote("trained/mlp")
    images = np.ascontiguousarray(tiny.digits(project / "again").split("test").images[:4])
    code = """
import json, sys
import mlflow.pyfunc, numpy as np, pandas as pd
model = mlflow.pyfunc.load_model("models:/neocog@champion")
import neocog
assert "mlartifacts" in neocog.__file__, neocog.__file__
texts, arrays = json.load(sys.stdin)
for given in (pd.DataFrame({"image": texts}), pd.DataFrame({"image": arrays}), {"image": texts}, model.input_example):
    answers = model.predict(given)
    print(json.dumps([list(answer["probabilities"].values()) + [answer["class"]] for answer in answers]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([[base64_of(each) for each in images], images.tolist()]),
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    *asked, _ = [json.loads(line) for line in ended.stdout.splitlines()]
    own = predictor.load(bundle("trained/mlp"))
    expected = own.answers(own.predictions(images))
    for answers in asked:
        for answer, told in zip(answers, expected, strict=True):
            assert answer[-1] == told["class"]
            np.testing.assert_allclose(answer[:-1], list(told["probabilities"].values()), atol=1e-6)


KILLED = """
import os, signal, sys
from mlflow import MlflowClient
from neocog.bundle import read
from neocog.registry import register

def die(self, *arguments, **more):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(call):
    def instead(self, *arguments, **more):
        call(self, *arguments, **more)
        die(self)
    return instead

name, after = sys.argv[1].split(":")
setattr(MlflowClient, name, die_after(getattr(MlflowClient, name)) if after else die)
register.register(read.read("models/trained/mlp"), name="neocog", experiment="test")
"""
MOMENTS = [
    "create_logged_model:after",
    "log_model_artifacts:",
    "log_model_artifacts:after",
    "finalize_logged_model:after",
    "create_registered_model:",
    "create_model_version:",
    "create_model_version:after",
    "set_registered_model_alias:",
    "set_registered_model_alias:after",
]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_leaves_nothing_half_and_the_next_one_finishes(
    project: Path, store: MlflowClient, moment: str
) -> None:
    promote("trained/perceptron")
    ended = subprocess.run([sys.executable, "-c", KILLED, moment], check=False)
    assert ended.returncode == -9
    assert aliases(store)["champion"] == "trained/perceptron", "the alias comes last"
    for version in store.search_model_versions("name = 'neocog'"):
        where = store.get_model_version_download_uri("neocog", version.version)
        assert (Path(where.removeprefix("file://")) / "MLmodel").is_file(), "a version is whole"
    promote("trained/mlp")
    assert versions(store) == ["trained/perceptron", "trained/mlp"]
    assert aliases(store) == {"champion": "trained/mlp", "previous": "trained/perceptron"}
    where = store.get_experiment_by_name("test").experiment_id
    logged = store.search_logged_models([where])
    assert len(logged) == 2 and all(each.status == "READY" for each in logged)
    assert digest(locate.find("models:/neocog@champion").folder) == digest(project / "models/trained/mlp")


TOGETHER = """
import os, sys, time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from mlflow import MlflowClient
from neocog.bundle import read
from neocog.registry import register
from neocog.tracking import registry

publish = MlflowClient.create_model_version

def wait_for_the_other(self, *arguments, **more):
    Path(f"at-{os.getpid()}").touch()
    while len(list(Path().glob("at-*"))) < 2:
        time.sleep(0.01)
    return publish(self, *arguments, **more)

if sys.argv[1] == "two machines":
    registry.atomic = SimpleNamespace(lock=lambda path: nullcontext())
    MlflowClient.create_model_version = wait_for_the_other
register.register(read.read("models/trained/mlp"), name="neocog", experiment="test")
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["one machine", "two machines"])
def test_twice_at_once_makes_one_version(project: Path, store: MlflowClient, where: str) -> None:
    """The lock is this machine's; from two machines, both are about to publish before either has."""
    both = [subprocess.Popen([sys.executable, "-c", TOGETHER, where]) for _ in range(2)]
    assert [each.wait(timeout=200) for each in both] == [0, 0]
    assert len(list(project.glob("at-*"))) == (2 if where == "two machines" else 0)
    assert versions(store) == ["trained/mlp"]
    assert aliases(store) == {"champion": "trained/mlp"}


def test_an_alias_that_another_machine_sets_in_the_same_moment_is_looked_at_again(
    project: Path, store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow looks for the row and inserts it: of two at once its database refuses one."""
    set_alias, refused = MlflowClient.set_registered_model_alias, []

    def too_late(self: MlflowClient, *arguments: str) -> None:
        set_alias(self, *arguments)
        if not refused:
            refused.append(arguments)
            raise MlflowException("UNIQUE constraint failed: registered_model_aliases.alias", error_code=BAD_REQUEST)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", too_late)
    promote("trained/mlp")
    assert refused and aliases(store) == {"champion": "trained/mlp"}
    refused.clear()
    promote("trained/perceptron")
    assert refused and aliases(store) == {"champion": "trained/perceptron", "previous": "trained/mlp"}


def test_the_verb_follows_params_yaml_and_says_what_it_did(
    project: Path, store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    how = {"name": "neocog", "prefer": "size", "goals": {"min_top1": 0.9}}
    Path("params.yaml").write_text(yaml.safe_dump({"register": how}))
    main.main(["register"])
    assert "compressed/small is now models:/neocog@champion, version 1" in capsys.readouterr().out
    assert aliases(store) == {"champion": "compressed/small"}
    main.main(["register", "models/trained/mlp", "--name", "other"])
    assert "trained/mlp is now models:/other@champion" in capsys.readouterr().out
    assert aliases(store) == {"champion": "compressed/small"}


def test_a_bundle_that_is_named_passes_the_goals_by_only_when_told_to(
    project: Path, store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").write_text(yaml.safe_dump({"register": {"goals": {"min_top1": 0.9, "max_bytes": 10_000}}}))
    (project / "models/trained/mlp").rename("other")
    for named, lacking in (
        ("models/trained/perceptron", "0.85 misses min_top1 0.9, 30000 misses max_bytes 10000"),
        ("other", "it was never judged here"),
    ):
        with pytest.raises(SystemExit) as ended:
            main.main(["register", named])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and lacking in said and "--anyway" in said
        assert not versions(store)
        main.main(["register", named, "--anyway", "--name", "other"])
        assert lacking in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main.main(["register", "--anyway"])


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (b"register: {prefr: size}", "register.prefr: unknown key; did you mean 'prefer'?"),
        (b"register: {prefer: fast}", "register.prefer (='fast')"),
        (b"register: {name: 3}", "register.name (=3) must be text"),
        (b"register: [1]", "register (=[1]) must be a section with name, prefer, goals"),
        (b"register: {goals: [1]}", "register.goals (=[1]) must be a section"),
        (b"register: {goals: {min_top1: high}}", "register.goals.min_top1 (='high') must be a number"),
        (b"register: {goals: {min_top1: .nan}}", "register.goals.min_top1 (=nan) must be a number"),
        (b"register: {goals: {max_bytes: true}}", "register.goals.max_bytes (=True) must be a number"),
        (b"tracking: 3", "tracking (=3) must be a section with experiment"),
        (b"tracking: {experiment: null}", "tracking.experiment (=None) must be text"),
        (b"- 1", "params.yaml must hold sections, not list"),
        (b"register: {name: \xff}", "invalid start byte); write it in UTF-8"),
        (b"register: {", "params.yaml is not valid YAML"),
    ],
)
def test_what_is_wrong_in_params_yaml_is_said_in_a_sentence(
    project: Path, capsys: pytest.CaptureFixture[str], params: bytes, told: str
) -> None:
    Path("params.yaml").write_bytes(params)
    with pytest.raises(SystemExit) as ended:
        main.main(["register"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and told in said and said.count("\n") == 1


VERBS = {
    "predict": ["x.png"],
    "serve": [],
    "inspect": ["--image", "x.png"],
    "explain": ["--image", "x.png"],
    "sensitivity": [],
    "register": [],
}


def test_wherever_a_bundle_is_named_a_registered_one_may_be(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    promote("trained/mlp")
    for verb, more in VERBS.items():
        with pytest.raises(SystemExit) as ended:
            main.main([verb, "models:/neocog@nobody", *more])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and "models:/neocog@nobody is not registered; known: /1, @champion" in said, verb
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("x.png")
    main.main(["inspect", "models:/neocog@champion", "--image", "x.png"])
    assert "mlp-inside.png: trained/mlp says" in capsys.readouterr().out


def test_asking_where_nothing_is_registered_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: MlflowClient
) -> None:
    with pytest.raises(UserError, match=r"models:/neocog@champion is not registered; no model is; `neocog register`"):
        locate.find("models:/neocog@champion")
    (tmp_path / "nothing").mkdir()
    monkeypatch.chdir(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"no model is registered here: .*mlflow.db.*`neocog register`"):
        locate.find("models:/neocog@champion")
    assert not list(Path().iterdir())


def test_the_stage_writes_what_equal_runs_share(project: Path, store: MlflowClient) -> None:
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"register": {"params": ["register"]}}}))
    Path("params.yaml").write_text(yaml.safe_dump({"architectures": {"mlp": {}}, "register": {"prefer": "latency"}}))
    written = []
    for _ in range(2):
        stage.register()
        written.append(stage.REGISTERED.read_bytes())
    assert written[0] == written[1]
    told = json.loads(written[0])
    assert told == {
        "name": "neocog",
        "model": "trained/perceptron",
        "bundle_sha256": digest(Path("models/trained/perceptron")),
        "top1": 0.85,
        "latency_ms": 0.03,
        "size_bytes": 30_000,
    }
    assert aliases(store) == {"champion": "trained/perceptron"}
    where = store.get_experiment_by_name("neocog").experiment_id
    runs = store.search_runs([where])
    assert [run.info.run_name for run in runs] == ["register", "register"]
    assert all(run.data.tags["bundle.sha256"] == told["bundle_sha256"] for run in runs)


def test_who_made_a_model_and_the_model_show_what_the_leaderboard_says(project: Path, store: MlflowClient) -> None:
    made = digest(Path("models/trained/mlp"))
    with tracking.start("train@mlp", experiment="test", tags={"bundle.sha256": made}) as log:
        log.dataset(name="digits", digest="d", source="data/prepared", context="train")
    promote("trained/mlp")
    for _ in range(2):
        assert register.score() == 1, "no run made the other two"
    where = store.get_experiment_by_name("test").experiment_id
    [run] = store.search_runs([where], order_by=["metrics.`test/top1` DESC"])
    shown = {"test/top1": 0.93, "benchmark/latency_ms_p50": 0.20, "benchmark/size_bytes": 900_000}
    assert shown.items() <= run.data.metrics.items()
    assert [len(store.get_metric_history(run.info.run_id, name)) for name in shown] == [1, 1, 1], "twice is once"
    [model] = store.search_logged_models([where])
    assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]
    assert {(each.key, each.value, each.dataset_name) for each in model.metrics} == {
        (name, value, "digits") for name, value in shown.items()
    }


def test_a_registry_that_is_not_there_is_said_at_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://joe:s3cret@127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main.main(["register", "models/trained/mlp"])
    assert time.monotonic() - began < 10
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "http://127.0.0.1:9" in said and "run the same again" in said
    assert "s3cret" not in said


def test_a_name_that_mlflow_does_not_take_is_refused(project: Path) -> None:
    with pytest.raises(UserError, match=r"register\.name"):
        register.register(bundle("trained/mlp"), name="a/b", experiment="test")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"inputs": ["no picture"]}, "image 0: not base64"),
        ({"inputs": []}, "image 0: shape [0], not [8, 8, 1]"),
        ({"dataframe_split": {"columns": ["image"], "data": []}}, "no image; send at least one"),
        ({"inputs": [[[1, 2], [3]]]}, "image 0: rows of different lengths"),
        ({"dataframe_split": {"columns": ["image"], "data": [[None]]}}, "image 0: neither base64 text nor an array"),
        ({"dataframe_records": [{"image": "aGVsbG8="}]}, "image 0: not an image"),
        ({"dataframe_split": {"columns": ["picture"], "data": [["aGVsbG8="]]}}, "missing inputs ['image']"),
    ],
)
def test_mlflows_server_answers_what_is_wrong_with_the_sentence(project: Path, body: dict, told: str) -> None:
    folder = project / "packed"
    given = bundle("trained/mlp")
    pack.write(folder, given, digest=digest(given.folder), model_id="m-1", location="here", run_id=None)
    meta = Model.load(folder)
    model = PyFuncModel(model_meta=meta, model_impl=pyfunc.Model(folder / "bundle"))
    with pytest.raises(MlflowException) as error:
        scoring_server.invocations(json.dumps(body), "application/json", model, meta.get_input_schema())
    answer = error.value.serialize_as_json()
    assert error.value.get_http_status_code() == 400
    assert told in json.loads(answer)["message"] and "Traceback" not in answer


@pytest.fixture
def served(project: Path) -> Iterator[int]:
    """The port of `mlflow models serve` with the champion."""
    promote("trained/mlp")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/neocog@champion"]
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    server = subprocess.Popen(
        [*command, "--env-manager", "local", "-p", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def answers() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
            return True
        return False

    try:
        assert wait_for(answers, seconds=300, process=server), "it answers, and lives"
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


@pytest.mark.slow
def test_mlflow_models_serve_answers_what_the_bundle_answers(project: Path, served: int) -> None:
    images = np.ascontiguousarray(tiny.digits(project / "again").split("test").images[:3])
    own = predictor.load(bundle("trained/mlp"))
    expected = own.answers(own.predictions(images))
    texts, arrays = [base64_of(each) for each in images], images.tolist()
    asked = [
        {"dataframe_split": {"columns": ["image"], "data": [[each] for each in texts]}},
        {"dataframe_split": {"columns": ["image"], "data": [[each] for each in arrays]}},
        {"inputs": texts},
        {"inputs": arrays},
    ]
    for body in asked:
        request = urllib.request.Request(
            f"http://127.0.0.1:{served}/invocations",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        answers = json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
        for answer, told in zip(answers, expected, strict=True):
            assert answer["class"] == told["class"]
            assert answer["probabilities"] == pytest.approx(told["probabilities"], abs=1e-6)
    wrong = urllib.request.Request(request.full_url, json.dumps({"inputs": ["no picture"]}).encode(), request.headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(wrong, timeout=60)
    said = refused.value.read().decode()
    assert refused.value.code == 400 and "image 0: not base64" in said and "Traceback" not in said
