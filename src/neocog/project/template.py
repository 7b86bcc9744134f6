"""The files of a new project. They are those of neocog's own project (links to its root), so that there is one dvc.yaml for both."""

import re
import textwrap
from importlib.metadata import version
from pathlib import Path

from neocog.project import code

FOLDER = Path(__file__).parent / "template"
PLOTS = ".dvc/plots"
RAW = "data/raw"  # data.root of a new project: what sources fetch lies there, and git leaves it out
MODELS = ("trained", "tuned", "compressed")  # kinds of models that stages make

_HEADER = """\
# The pipeline, as neocog {version} has it; `neocog init --update` writes it anew after an upgrade. Own stages may stand at its end.
# Stage `code` writes the SHA-256 of the installed neocog's rooms and scripts into {code}: the others depend on those they run,
# so that an upgrade makes stale what it changes. Commands name no item: a stage finds its own in DVC_STAGE.
stages:
  code:
    cmd: python -m pipelines.code
    always_changed: true
    outs: [{code}]
"""


def pipeline() -> str:
    """The text of a project's dvc.yaml: the deps on code are digests of the installed code."""
    text = _read("pipeline.yaml")
    _, _, stages = text.partition("stages:\n")
    header = _HEADER.format(version=version("neocog"), code=code.FOLDER.as_posix())
    found = re.sub(r"\b(?:src/(neocog/[\w./]+)|(pipelines/[\w./]+))", _digest, stages)
    return header + "\n" + re.sub(r"deps: \[(.*?)\]", _wrapped, found, flags=re.DOTALL)


def _digest(found: re.Match[str]) -> str:
    return (code.FOLDER / code.name(found[1] or found[2])).as_posix()


def _wrapped(deps: re.Match[str]) -> str:
    lines = textwrap.wrap(" ".join(deps[1].split()), 130, break_long_words=False, break_on_hyphens=False)
    return "deps: [\n" + textwrap.indent("\n".join(lines), " " * 8) + "\n      ]"


def plots() -> dict[str, str]:
    """DVC's plot templates, file name -> text."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((FOLDER / "plots").glob("*.json"))}


def params() -> str:
    """The text of neocog's own params.yaml, whose comments explain every key."""
    return _read("params.yaml")


def files(name: str, *, images: str | None, data: str) -> dict[str, str]:
    """The other files, path -> text; `images`: a folder of the project for git to ignore, `data`: a sentence on where they are."""
    return {
        "dvc.yaml": pipeline(),
        ".gitignore": "\n".join([*ignored(), *([f"/{_escaped(images)}"] if images not in (None, RAW) else []), ""]),
        ".dvcignore": _read("dvcignore"),
        ".dvc/config": "[core]\n    analytics = false\n",
        "README.md": _read("README.md").format(name=name, data=data),
        "requirements.txt": (
            f"neocog=={version('neocog')}  # from your package index; or the path or URL of its wheel in the place of this line\n"
        ),
        ".github/workflows/neocog.yml": _read("workflow.yml"),
        # stages read these folders as a whole, also while they hold nothing
        **{f"models/{kind}/.gitignore": "# in DVC's cache\n" for kind in MODELS},
        **{f"reports/{kind}/.gitkeep": "" for kind in MODELS},
    } | {f"{PLOTS}/{name}": text for name, text in plots().items()}


def ignored() -> list[str]:
    """The lines of .gitignore, but for a folder of images inside the project."""
    prepared = ["/data/prepared", "/data/architectures", f"/{code.FOLDER.as_posix()}", f"/{RAW}"]
    return [*_read("gitignore").splitlines(), "", "# Images, and what is prepared from them", *prepared]


def _escaped(path: str) -> str:
    """A path as a pattern of .gitignore that fits no other."""
    return re.sub(r"([\\*?\[\]#! ])", r"\\\1", path)


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
