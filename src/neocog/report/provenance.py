"""Provenance of a figure: the files it is drawn from, the commands that write them, their params, and how to find the commit.

A page that named a commit could not be the same bytes before and after its own results are committed. So each file is named with its
MD5, by which `dvc.lock` knows it: the commit that has this line is the one, and git finds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neocog.bundle.read import STAGES, Bundle
from neocog.core.lockfile import md5
from neocog.data.prepared import Prepared
from neocog.report.models import JudgedModel, makers
from neocog.report.templates import render

TRAINING = ("train", "architectures.{name}")
PARAMS = {  # stage -> sections of params.yaml, as dvc.yaml declares them
    "prepare": ("data",),
    "train": TRAINING,
    "tune": (*TRAINING, "tune"),
    "compress": ("compress.{name}",),
    "evaluate": ("evaluate",),
    "benchmark": ("benchmark", "architectures", "tune.architectures", "compress"),
    "robustness": ("robustness", "architectures", "tune.architectures", "compress"),
    "explain": ("explain", "architectures", "tune.architectures", "compress"),
    "audit": ("audit", "architectures", "tune.architectures", "compress"),
    "report": ("report", "architectures", "tune.architectures", "compress"),
}
FIND = "git log --format=%H -S{md5} -- dvc.lock | tail -1"


MANY = 4  # commands or sections, from which on they are told by their stage alone


@dataclass(frozen=True)
class FigureSource:
    """A file or folder that a stage wrote; `params` are the sections of params.yaml that the stage reads."""

    path: str
    command: str
    params: tuple[str, ...]
    md5: str = ""


def source(stage: str, path: str, *, file: Path | None = None) -> FigureSource:
    """What a stage without a `foreach` wrote; `file` is where it lies, if its MD5 is to be told."""
    return FigureSource(path, f"dvc repro {stage}", PARAMS[stage], md5(file) if file else "")


def trained(bundle: Bundle, folder: Path, *names: str) -> list[FigureSource]:
    """Files in reports/<model> that the stage wrote which made the bundle; those that are there."""
    there = [name for name in names if (folder / name).is_file()]
    return [replace(_made(bundle, f"reports/{bundle.model}/{name}"), md5=md5(folder / name)) for name in there]


def judged(bundle: Bundle, folder: Path, *names: str) -> list[FigureSource]:
    """Files and folders in reports/<model> that the stage `evaluate` wrote about a bundle; those that are there."""
    _, command = makers(bundle)
    there = [name for name in names if (folder / name).exists()]
    return [
        FigureSource(f"reports/{bundle.model}/{name}", command, PARAMS["evaluate"], md5(folder / name))
        for name in there
    ]


def bundled(bundle: Bundle) -> FigureSource:
    """The bundle itself."""
    return replace(_made(bundle, f"models/{bundle.model}"), md5=md5(bundle.folder))


def _made(bundle: Bundle, path: str) -> FigureSource:
    command, _ = makers(bundle)
    return FigureSource(
        path, command, tuple(section.format(name=bundle.name) for section in PARAMS[STAGES[bundle.kind]])
    )


def sweeps(models: Sequence[JudgedModel], *, data: str) -> dict[str, str]:
    """The disclosure of each sweep, by the architecture that was tuned."""
    tuned = [model.bundle for model in models if model.row.kind == "tuned"]
    return {bundle.name: how([bundled(bundle)], data=data) for bundle in tuned}


def chapters(models: Sequence[JudgedModel], prepared: Prepared, *, reports: Path) -> dict[str, str]:
    """The disclosures of the figures about all `models`, by the ids of their chapters."""

    def of_stage(stage: str, name: str) -> list[FigureSource]:
        return [source(stage, f"reports/{name}", file=reports / name)] if (reports / name).exists() else []

    def each(name: str) -> list[FigureSource]:
        return [found for model in models for found in judged(model.bundle, model.folder, name)]

    scored, timed = each("metrics.json"), of_stage("benchmark", "benchmark.csv")
    bundles = [bundled(model.bundle) for model in models]
    compressed = [found for found, model in zip(bundles, models, strict=True) if model.row.kind == "compressed"]
    found = {
        "years": scored,
        "board": [*timed, *scored],
        "price": [*timed, *scored],
        "learning": [found for model in models for found in trained(model.bundle, model.folder, "history.csv")],
        "compression": [*compressed, *timed, *scored],
        "compare": each("predictions.parquet"),
        "explained": of_stage("explain", "explained"),
        "audit": [found for name in ("audit.json", "labels.csv") for found in of_stage("audit", f"audit/{name}")],
        "duplicates": [
            found for name in ("audit.json", "duplicates.csv") for found in of_stage("audit", f"audit/{name}")
        ],
        "robustness": [*of_stage("robustness", "robustness.csv"), *of_stage("robustness", "robustness.json")],
        "inside": bundles,
        "data": [source("prepare", "data/prepared", file=prepared.folder)],
    }
    return {name: how(sources, data=prepared.digest) for name, sources in found.items()}


def how(sources: Sequence[FigureSource], *, data: str) -> str:
    """The disclosure as markup; `data` is the digest of the prepared data. Empty without sources."""
    if not sources:
        return ""
    commands = _few([each.command for each in sources], end="@")
    sections = _few([section for each in sources for section in each.params], end=".")
    known = [each.md5 for each in sources if each.md5]
    entries = [
        ("drawn from", [f"{each.path}  md5 {each.md5}" if each.md5 else each.path for each in sources], ""),
        ("made by", commands, ""),
        ("params", [", ".join(sorted(sections))], ""),
        ("data digest", [data], ""),
    ]
    if known:
        others = " (and so for every other md5)" if len(known) > 1 else ""
        entries.append(("git commit", [FIND.format(md5=known[0])], others))
    return render(Path(__file__).with_name("provenance.html"), entries=entries)


def _few(words: Sequence[str], *, end: str) -> list[str]:
    """Each once; if they are many, only up to the first `end`."""
    once = list(dict.fromkeys(words))
    return once if len(once) < MANY else list(dict.fromkeys(word.partition(end)[0] for word in once))
