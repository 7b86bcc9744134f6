"""A model is made again from what is recorded of it: bit by bit where nothing changed, with the reasons where something did."""

import hashlib
import json
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import tiny
from clones import commit, environment, params_on_digits, run, set_up, write_params
from waiting import wait_for

from neocog.bundle import read
from neocog.cli import main
from neocog.core.errors import UserError
from neocog.reproduce import compare, git, origin, plan, summary, worktree

MODEL = "models/trained/mlp"
BLOCK = {"widths": [256, 128], "optimizer": "adamw", "lr": 0.003, "label_smoothing": 0.0, "channels_last": False}


def reproduce(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of `neocog reproduce`, and all it says."""
    command = [sys.executable, "-m", "neocog.cli.main", "reproduce", *arguments]
    ended = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of two commits: params that say 3 epochs, never run; then the 2 epochs that made models/trained/mlp."""
    params = params_on_digits()
    params["architectures"] = {"mlp": {**BLOCK, "epochs": 3}}
    folder = set_up(tmp_path_factory.mktemp("reproduce") / "project", params)
    commit(folder, "three epochs")
    params["architectures"]["mlp"]["epochs"] = 2
    write_params(folder, params)
    run(folder, "dvc", "repro", "train@mlp")
    commit(folder, "two epochs, trained")
    (folder / "README.md").write_text("later\n")
    commit(folder, "later")
    return folder


def state(folder: Path) -> dict[str, object]:
    """All that reproducing must leave as it is: files, branch, index, worktrees, DVC's cache, MLflow's store."""
    kept = [path for path in folder.rglob("*") if path.is_file() and not {"tmp", ".git"} & set(path.parts[-6:])]
    kept = [path for path in kept if "__pycache__" not in path.parts and ".dvc/tmp" not in path.as_posix()]
    return {
        "files": {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in kept},
        "index": (folder / ".git/index").read_bytes(),
        "head": (folder / ".git/HEAD").read_text(),
        "branches": run(folder, "git", "for-each-ref"),
        "worktrees": run(folder, "git", "worktree", "list"),
    }


@pytest.mark.slow
def test_what_was_committed_comes_out_bit_by_bit_and_nothing_else_changes(project):
    before = state(project)
    code, said = reproduce(project, MODEL)
    assert code == 0, said
    assert "identical: the weights are the same to the last bit" in said
    made = run(project, "git", "rev-parse", "--short=10", "HEAD~1").strip()
    assert made in said and "the first whose dvc.lock has this bundle" in said, "not the later commit that has it too"
    assert state(project) == before
    assert len(before["files"]) > 100 and len(before["worktrees"].splitlines()) == 1


@pytest.mark.slow
def test_what_nobody_committed_comes_from_its_own_params(project):
    tip = run(project, "git", "rev-parse", "HEAD").strip()
    run(project, "git", "update-ref", "refs/heads/main", "HEAD~2")
    try:
        code, said = reproduce(project, MODEL)
    finally:
        run(project, "git", "update-ref", "refs/heads/main", tip)
    assert code == 0, said
    assert "uncommitted" in said and "its MLflow run names this commit" in said
    assert "from bundle.json" in said, "that commit's params.yaml says 3 epochs"


@pytest.mark.slow
def test_other_params_give_another_model_and_a_sentence_that_says_so(project):
    code, said = reproduce(project, MODEL, "--at", "HEAD~2")
    assert code == 1, said
    assert "differs: the weights are not bit-identical" in said
    assert "train.epochs 2, now 3" in said
    assert "other data" not in said and "other code" not in said
    assert "test/top1:" in said and "the same on" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "reached"), [(signal.SIGINT, "."), (signal.SIGTERM, ".neocog/training"), (signal.SIGKILL, ".dvc/tmp")]
)
def test_a_kill_leaves_no_worktree_and_no_training_behind(project, number, reached):
    def worktrees() -> list[Path]:
        return [Path(line.split()[0]) for line in run(project, "git", "worktree", "list").splitlines()][1:]

    def at_work(folder: Path) -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cwd"]) if (each.info["cwd"] or "").startswith(str(folder))]

    command = [sys.executable, "-m", "neocog.cli.main", "reproduce", MODEL]
    started = subprocess.Popen(command, cwd=project, env=environment(project), stderr=subprocess.DEVNULL)

    def is_there() -> bool:
        with suppress(AssertionError):  # git lists a worktree that is just being made as a fault
            return any((folder / reached).is_dir() for folder in worktrees())
        return False

    assert wait_for(is_there, seconds=120)
    [folder] = worktrees()
    started.send_signal(number)
    assert started.wait(timeout=60) == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert wait_for(lambda: not at_work(folder), seconds=30)
    if number == signal.SIGKILL:  # nothing could be done then, but by the next one
        assert worktrees() == [folder]
        with worktree.clean(git.project(project), "HEAD"):
            assert folder not in worktrees()
    assert not worktrees()
    assert not folder.exists()


@pytest.mark.slow
def test_a_plan_names_everything_and_runs_nothing(project):
    before = state(project)
    code, said = reproduce(project, MODEL, "--plan")
    card = read.read(project / MODEL).card["provenance"]
    assert code == 0, said
    assert "two epochs, trained" in said and card["data_digest"][:12] in said and card["code_digest"][:12] in said
    assert "epochs 2" in said and "requirements.lock" in said and "train@mlp" in said and "identical" not in said
    assert state(project) == before


@pytest.mark.parametrize(("asked", "warned"), [(version("neocog"), False), ("0.0.1", True)])
def test_a_project_of_ones_own_names_its_packages_in_requirements_txt(asked, warned):
    held = {"requirements.txt": f"neocog[pretrained]=={asked}  # or its wheel\n"}
    held_project = SimpleNamespace(
        describe=lambda commit: commit, blob=lambda _, name: "abc" * (name in held), file=lambda _, name: held.get(name)
    )
    train = {"optimizer": "sgd", "lr": 0.1, "epochs": 1, "batch_size": 1}
    made = {"data_digest": "", "code_digest": "", "params": {"train": train}, "seed": 0, "libraries": {}, "threads": 1}
    bundle = SimpleNamespace(card={"provenance": made}, kind="trained", name="mlp", model="trained/mlp")
    made_at = SimpleNamespace(commit="HEAD", how="lock", committed=True)
    said = plan.Plan(bundle, held_project, made_at).page()
    assert "packages  requirements.txt abc, that of HEAD" in said
    assert ("warning: requirements.txt of that commit asks for neocog 0.0.1" in said) == warned
    held.clear()
    assert "neither requirements.lock nor requirements.txt" in plan.Plan(bundle, held_project, made_at).page()


@pytest.fixture
def small(digits, tmp_path, monkeypatch):
    """A git repository with two bundles that were never committed, as the working directory."""
    tiny.train(tmp_path, digits, "a", epochs=1)
    tiny.train(tmp_path, digits, "b", epochs=2)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text("architectures: {a: {}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for command in (["init", "-q"], ["add", "dvc.yaml", "params.yaml"], ["commit", "-qm", "start"]):
        run(tmp_path, "git", "-c", "user.email=test@example.org", "-c", "user.name=test", *command)
    return tmp_path


def test_a_bundle_is_found_by_what_it_holds_in_any_branch(small):
    bundle = read.read(small / "models/trained/a")
    found = origin.find(bundle, git.project(small), cache=Path)
    assert found.how == "head", "no commit has it yet"
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in bundle.folder.iterdir()}
    entry = "    - path: models/trained/a\n      hash: md5\n      md5: {}.dir\n"
    configured = ["-c", "user.email=test@example.org", "-c", "user.name=test"]
    run(small, "git", "checkout", "-qb", "aside")
    for number, md5 in enumerate(["0" * 32, origin.folder_hash(sums), "1" * 32]):
        (small / "dvc.lock").write_text(f"stages:\n  train@a:\n    outs:\n{entry.format(md5)}")
        run(small, "git", "add", "dvc.lock")
        run(small, "git", *configured, "commit", "-qm", f"commit {number}")
    run(small, "git", "checkout", "-q", "-")
    found = origin.find(bundle, git.project(small), cache=Path)
    assert found.how == "lock" and "commit 1" in git.project(small).describe(found.commit)
    assert origin.find(read.read(small / "models/trained/b"), git.project(small), cache=Path).how == "head"


def test_a_part_of_a_cached_folder_is_found_too(small):
    """The registry keeps three files of what `tune` leaves."""
    bundle = read.read(small / "models/trained/a")
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in bundle.folder.iterdir()}
    whole = origin.folder_hash(sums | {"trials.csv": "2" * 32})
    (small / "dvc.lock").write_text(f"    - path: models/trained/a\n      hash: md5\n      md5: {whole}.dir\n")
    run(small, "git", "add", "dvc.lock")
    run(small, "git", "-c", "user.email=test@example.org", "-c", "user.name=test", "commit", "-qm", "lock")
    assert origin.find(bundle, git.project(small), cache=lambda: small / "cache").how == "head", "not in the cache"
    listed = small / "cache/files/md5" / whole[:2] / f"{whole[2:]}.dir"
    listed.parent.mkdir(parents=True)
    listed.write_text(str([{"md5": each, "relpath": name} for name, each in sums.items()]).replace("'", '"'))
    assert origin.find(bundle, git.project(small), cache=lambda: small / "cache").how == "lock"


def test_two_models_differ_in_figures_and_one_is_equal_to_itself(small, digits):
    a, b = (read.read(small / "models/trained" / name) for name in "ab")
    same = compare.compare(a, a, lambda: pytest.fail("equal graphs need no images"))
    assert same.identical and summary.page(same).startswith("identical")
    other = compare.compare(a, b, lambda: digits)
    assert not other.identical and 0 < other.weights.changed <= other.weights.values
    assert other.answers.images == digits.num_images("test") and 0 < other.answers.agreement < 1
    assert all(was != now for was, now in other.answers.metrics.values())
    assert summary.page(other).startswith("differs")


def test_a_library_of_another_version_is_named(small):
    bundle = read.read(small / "models/trained/a")
    bundle.card["provenance"] |= {"libraries": {"numpy": "1.0.0"}, "threads": 1}
    planned = plan.Plan(bundle, git.project(small), origin.Origin("HEAD", "head"))
    assert [each for each in planned.warnings() if each.startswith("numpy made it at 1.0.0, here is")]
    bundle.card["provenance"]["libraries"] = {}
    assert not planned.warnings()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["models/trained/nothing"], "is not a bundle"),
        (["models:/neocog"], "name an alias"),
        (["models/trained/a", "--at", "nowhere"], "nowhere: no commit"),
        (["models/trained/b", "--at", "HEAD"], "train@b: params.yaml of"),
    ],
)
def test_what_cannot_be_run_is_named(small, arguments, named, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["reproduce", *arguments])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    "broken",
    [b"architectures: {a: [}", b"architectures: 3", b"- a", b"text", b"tune: 3", b"a: \xff", b"day: 2026-13-45"],
)
def test_a_commit_whose_params_cannot_be_read_is_named_with_the_remedy(small, broken, capsys):
    (small / "params.yaml").write_bytes(broken)
    run(small, "git", "-c", "user.email=test@example.org", "-c", "user.name=test", "commit", "-qam", "broken")
    with pytest.raises(SystemExit) as ended:
        main.main(["reproduce", "models/trained/a", "--plan"])
    assert ended.value.code == 2
    commit = run(small, "git", "rev-parse", "HEAD")[:10]
    said = capsys.readouterr().err
    assert said.startswith(f"neocog: params.yaml of {commit} cannot be read (") and said.count("\n") == 1
    assert said.rstrip().endswith("; name another with --at")


@pytest.mark.parametrize("provenance", [None, 3, {}, {"seed": 0, "params": {}}])
def test_a_bundle_that_does_not_say_what_made_it_has_no_plan(small, provenance, capsys):
    path = small / "models/trained/a/bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": provenance}))
    with pytest.raises(SystemExit) as ended:
        main.main(["reproduce", "models/trained/a", "--plan"])
    assert ended.value.code == 2
    assert "bundle.json: no data_digest, code_digest, " in (said := capsys.readouterr().err)
    assert "`dvc repro train@a --force` makes one that says it" in said and said.count("\n") == 1


def test_a_folder_without_a_pipeline_or_without_git_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no dvc\.yaml"):
        git.project(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(UserError, match="not in a git repository"):
        git.project(tmp_path)
