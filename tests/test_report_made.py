"""How a figure was made is told truthfully: the stages, params and files are those of dvc.yaml, and git finds the commit by the MD5."""

import re
import subprocess
from html import unescape

import pytest
import tiny
import yaml
from imports import ROOT

from neocog.core import lockfile
from neocog.report import models, provenance

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def heads(sections) -> set[str]:
    """Sections of params.yaml without their parts."""
    return {section.partition(".")[0] for section in sections}


@pytest.mark.parametrize("stage", provenance.PARAMS)
def test_the_params_of_a_stage_are_those_that_dvc_watches(stage):
    declared = STAGES[stage].get("do", STAGES[stage])["params"]
    assert heads(provenance.PARAMS[stage]) == heads(declared)


def test_no_stage_that_makes_figures_is_missing():
    without = {"register"} | {stage for stage in STAGES if stage.startswith("evaluate_")}
    assert set(provenance.PARAMS) >= {
        "prepare",
        "train",
        "tune",
        "compress",
        "evaluate",
        "benchmark",
        "robustness",
        "report",
    }
    assert set(provenance.PARAMS) <= set(STAGES) - without


def test_a_folder_has_the_md5_that_dvc_gives_it(tmp_path):
    import dvc_data.hashfile.build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs.local import LocalFileSystem

    (tmp_path / "bundle/seeds").mkdir(parents=True)
    for name, text in (("model.onnx", "a"), ("bundle.json", "é"), ("seeds/1", "c")):
        (tmp_path / "bundle" / name).write_text(text)
    database = HashFileDB(LocalFileSystem(), str(tmp_path / "cache"))
    _, _, found = dvc_data.hashfile.build.build(database, str(tmp_path / "bundle"), LocalFileSystem(), "md5")
    assert lockfile.md5(tmp_path / "bundle") == found.hash_info.value


@pytest.fixture
def site(tmp_path):
    data = tiny.digits(tmp_path / "prepared")
    bundles = [
        tiny.train(tmp_path, data, "perceptron", epochs=1),
        tiny.train(tmp_path, data, "tiny", kind="compressed", architecture="mlp", hidden=8),
    ]
    tiny.judge(tmp_path, data, bundles)
    return tmp_path, data, models.gather(bundles, data, reports=tmp_path / "reports")


def test_every_chapter_names_its_files_commands_params_and_data(site):
    root, data, found = site
    told = provenance.chapters(found, data, reports=root / "reports")
    figures = {"years", "board", "price", "learning", "inside", "data"}
    assert set(told) == figures | {"compression", "compare", "robustness", "explained", "audit", "duplicates"}
    assert told["robustness"] == "", "the stage never ran"
    for markup in filter(None, told.values()):
        assert markup.startswith('<details class="made">') and data.digest in markup
        assert set(re.findall(r"dvc repro (\w+)", markup)) <= set(STAGES)
        assert "git log" in markup
    assert lockfile.md5(root / "reports/benchmark.csv") in told["price"]


def test_a_stage_that_writes_a_folder_is_known_by_the_folder(site):
    """dvc.lock has no MD5 of the files in it."""
    root, data, found = site
    folder = root / "reports/explained"
    folder.mkdir()
    (folder / "maps.npz").write_text("maps")
    markup = provenance.chapters(found, data, reports=root / "reports")["explained"]
    assert f"reports/explained  md5 {lockfile.md5(folder)}" in markup and lockfile.md5(folder).endswith(".dir")
    assert "maps.npz" not in markup and lockfile.md5(folder / "maps.npz") not in markup


def test_what_is_told_of_a_model_is_about_it(site):
    _, data, found = site
    compressed = next(model for model in found if model.row.kind == "compressed")
    sources = [
        provenance.bundled(compressed.bundle),
        *provenance.judged(compressed.bundle, compressed.folder, "metrics.json", "no.csv"),
    ]
    assert [source.command for source in sources] == [
        "dvc repro compress@tiny",
        "dvc repro evaluate_compressed@tiny",
    ]
    assert sources[0].params == ("compress.tiny",)
    assert sources[1].path == "reports/compressed/tiny/metrics.json"
    markup = provenance.how(sources, data=data.digest)
    assert sources[1].md5 in markup
    assert provenance.how([], data=data.digest) == ""


def test_the_command_finds_the_commit_that_has_the_file(tmp_path):
    def git(*words: str) -> str:
        told = subprocess.run(["git", *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    git("init", "-q")
    commits, found = [], []
    for text in ("first", "second", "second"):
        table = tmp_path / "benchmark.csv"
        table.write_text(text)
        found.append(lockfile.md5(table))
        (tmp_path / "dvc.lock").write_text(f"outs:\n- path: benchmark.csv\n  md5: {found[-1]}\n# {len(commits)}\n")
        git("add", "-A")
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", text)
        commits.append(git("rev-parse", "HEAD"))
    markup = provenance.how([provenance.source("benchmark", "reports/benchmark.csv", file=table)], data="")
    command = next(unescape(code) for code in re.findall(r"<code>(.*?)</code>", markup) if code.startswith("git log"))
    told = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert told == commits[1]
    assert (
        subprocess.run(
            command.replace(found[1], found[0]), shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()
        == commits[0]
    )
