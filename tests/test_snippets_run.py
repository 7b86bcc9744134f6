"""Every command of README and docs runs: README's first step from a fresh clone to its report, then all others in what that leaves.

What is not run stands below with its reason, and is held to be short and still there.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest
import yaml
from clones import commit, environment, run, set_up
from imports import ROOT
from PIL import Image
from snippets import Snippet, commands, paste, snippets
from waiting import wait_for

from neocog.cli import main
from neocog.data.sources.digits import digits

NAMES = ("zero", "one", "two")  # the classes of the user's images
IMAGES = 30  # of each
STAND_INS = {  # what a reader puts in the place of a name that only the text has
    r"BUNDLE|\bMODEL\b": "models/trained/resnet",
    "<name>": "resnet",
    "fastest vgg": "fastest resnet",
    "trained/vit": "trained/mobilenet",
    "--of Sneaker": "--of two",
    "/mnt/team/neocog": "../store",
    "~/photos": "data/raw",
    "--local /path": "--local .dvc/cache",
    r"\bARCH\b": "resnet",
    "--nodes 8 --gpus 8": "--nodes 2 --gpus 8",  # of 32 images a batch
}
ALSO = {  # what is added, so that it takes seconds
    "neocog fastest": "--seconds 0.05 --size 16",
    "neocog reproduce models/trained/resnet": "--plan",  # the champion is made again in full
    "dvc repro -f -s train": "--dry",
}
NOT_RUN = {
    r"^(ray|helm|kubectl|srun|sleep|head=|#SBATCH|export RAY)": "needs a cluster; tests/test_tuning_cluster.py",
    r"^neocog repro --ray": "needs a cluster; tests/test_repro_ray.py",
    r"s3|store profile": "needs a bucket and its package; tests/test_remote.py runs the same with a folder",
    r"^pip |^make wheel$|^neocog init$|^neocog init --update$": "tests/test_wheel.py and test_init.py",
    r"^make (test|check|edge|env)|make env$": "what CI itself does first; they install an environment",
    r"git clone \. ": "is what CI does with this commit",
    r"^python -m (pytest|benchmarks)": "tests run by themselves; tests/test_benchmarks.py runs every benchmark",
    r"--to (executorch|openvino)": "needs `make edge`, after which CI runs tests/test_edge.py",
    r"(dvc|neocog) exp run|^for |^set |^done": "trainings of minutes; tests/test_snippets.py applies their overrides",
    r"dvc repro (tune@|.*compress@)": "minutes; tests/test_tune_stage.py and test_compress_stage.py",
    r"^neocog (VERB|serve|reproduce|export|predict)$": "a name in a sentence",
    r"^(mlflow models serve|mlflow ui|dvc exp|dvc exp run|dvc plots|git push|git pull|dvc gc)$": "a name in a sentence",
    r"^curl": "asks the server below",
    r"^make (repro|ui)|^neocog serve": "have tests of their own below",
}


def stood_in(command: str) -> str:
    """A command as a reader of the text would give it here."""
    for pattern, there in STAND_INS.items():
        command = re.sub(pattern, there, command)
    return command + "".join(f" {more}" for beginning, more in ALSO.items() if command.startswith(beginning))


ALL = [each for each in snippets() if each.kind == "shell"]
COMMANDS = list(dict.fromkeys(command for each in ALL for command in commands(each)))
RUN = [command for command in COMMANDS if not any(re.search(pattern, command) for pattern in NOT_RUN)]
RUN = list({stood_in(command): command for command in reversed(RUN)}.values())[::-1]  # each once
RUN.sort(key=lambda command: "dvc remote add" not in command)  # before the sentences that speak of `dvc push`
IN_THIS_PROCESS = {
    "augment",
    "models",
    "shapes",
    "inspect",
    "explain",
    "fastest",
    "predict",
    "sensitivity",
}  # torch is here
INSTALLED = ("-o", ".venv/.locked")  # make takes the environment as it is
pytestmark = pytest.mark.slow


def first_step() -> Snippet:
    """The params of README's first step."""
    [found] = [each for each in snippets() if each.where.startswith("README") and "compress: {}" in each.text]
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A fresh clone after README's first step, with images of digits and two epochs, committed on main."""
    params = paste(yaml.safe_load((ROOT / "params.yaml").read_text()), first_step().text)
    params["train"]["epochs"] = 2
    folder = set_up(tmp_path_factory.mktemp("snippets") / "project", params)
    for name in NAMES:
        (folder / "data/raw" / name).mkdir()
    source = digits()
    for number, (pixels, label) in enumerate(zip(source.images, source.targets, strict=True)):
        if label < len(NAMES) and number < 10 * IMAGES:
            image = Image.fromarray(pixels.squeeze()).resize((40, 32))
            image.convert("RGB").save(folder / "data/raw" / NAMES[label] / f"{number}.jpg")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".git/info").mkdir(exist_ok=True)
    (folder / ".git/info/exclude").write_text("/.venv\n")
    commit(folder, "my images")
    run(folder, "make", *INSTALLED, "repro")
    left = run(folder, "git", "status", "--porcelain", "-uall").splitlines()
    assert left and all(line[3:].startswith(("reports/", "dvc.lock")) for line in left), "as the README says"
    commit(folder, "the first run")
    shutil.copy(next((folder / "data/raw/two").iterdir()), folder / "shoe.jpg")
    shutil.copytree(folder / "data/raw/two", folder / "photos")
    (folder / "docs").mkdir()
    return folder


def test_the_first_step_ends_with_the_leaderboard_of_three_networks(project):
    board = pd.read_csv(project / "reports/leaderboard.csv")
    assert sorted(board["model"]) == ["trained/lenet", "trained/mobilenet", "trained/resnet"]
    assert (project / "reports/report.html").stat().st_size > 100_000
    card = yaml.safe_load((project / "data/prepared/dataset.json").read_text())
    assert sorted(card["classes"]) == sorted(NAMES) and (card["size"], card["channels"]) == (64, 1)


def test_what_is_not_run_is_little_and_still_there():
    for pattern in NOT_RUN:
        assert any(re.search(pattern, command) for command in COMMANDS), f"no command is {pattern} any more"
    assert len(RUN) >= 35, f"{len(RUN)} of {len(COMMANDS)}"
    for name in [*STAND_INS, *ALSO]:
        assert any(re.search(name, command) for command in COMMANDS), name


@pytest.mark.parametrize("command", RUN)
def test_it_runs(command, project, monkeypatch):
    asked = stood_in(command)
    verb = asked.split()[1] if asked.startswith("neocog ") else ""
    if verb in IN_THIS_PROCESS:
        monkeypatch.chdir(project)
        main.main(shlex.split(asked)[1:])
    else:
        run(project, "bash", "-c", asked)


def test_a_command_that_fails_is_found(project, monkeypatch):
    monkeypatch.chdir(project)
    with pytest.raises(SystemExit):
        main.main(["inspect", "models/trained/resnett"])
    with pytest.raises(AssertionError, match="nowhere"):
        run(project, "bash", "-c", "dvc pull nowhere")


def test_the_server_answers_readmes_curl(project):
    [curl] = {command for command in COMMANDS if command.startswith("curl")}
    [serve] = {command for command in COMMANDS if re.match("neocog serve .*champion", command)}
    with started(project, f"exec {serve} --port {{port}}", "ping") as port:
        said = run(project, "bash", "-c", curl.replace(":8000", f":{port}"))
    assert set(re.findall("zero|one|two", said)) == set(NAMES), said


def test_mlflows_pages_open(project):
    command = f"exec make {' '.join(INSTALLED)} ui PORT={{port}}"
    with started(project, command, "") as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
        assert b"MLflow" in page.read()


@contextmanager
def started(project: Path, command: str, page: str) -> Iterator[int]:
    """A server whose `page` answers, at the port that is given; ended at the end."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]

    def answers() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
            return answer.status == 200
        return False

    process = subprocess.Popen(
        ["bash", "-c", command.format(port=port)], cwd=project, env=environment(project), start_new_session=True
    )
    try:
        assert wait_for(answers, seconds=180, process=process), "no answer"
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
