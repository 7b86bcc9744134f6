"""What README and docs give to paste: blocks of params, and commands; each with where it stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from imports import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"sh": "shell", "bash": "shell", "yaml": "params"}  # of fenced blocks
PROGRAMS = ("neocog", "make", "dvc", "mlflow", "ray", "python -m", "git", "source", "curl", "pip", "helm", "kubectl")
BEGINNINGS = (*PROGRAMS, "for ", "export ", "time ", "#SBATCH")  # of indented blocks of commands
IN_PLACE = (
    "# in place of"  # on the line of a key: what follows replaces what stands there; elsewhere keys are added or set
)


@dataclass(frozen=True)
class Snippet:
    """One thing to paste: `kind` is params or shell."""

    where: str  # file and line
    kind: str
    text: str


def snippets() -> list[Snippet]:
    """All of README, CONTRIBUTING and docs."""
    return [each for document in DOCUMENTS for each in of(document)]


def of(document: Path) -> Iterator[Snippet]:
    """Those of a document: fenced blocks, indented blocks, and commands within a line."""
    fence, block, blank = None, [], True
    for number, line in enumerate([*document.read_text().splitlines(), ""], 1):
        where = f"{document.relative_to(ROOT)}:{number}"
        if line.startswith("```"):
            if fence is None:
                fence, block = line[3:], []
                continue
            if fence in LANGUAGES:
                yield Snippet(where, LANGUAGES[fence], "\n".join(block))
            fence, block = None, []
        elif fence is not None:
            block.append(line)
        elif line.startswith("    ") and (block or blank):
            block.append(line[4:])
        else:
            if block and block[0].startswith(BEGINNINGS):
                yield Snippet(where, "shell", "\n".join(block))
            block = []
            for command in re.findall(r"`([^`]+)`", line):
                if command.startswith(tuple(f"{program} " for program in PROGRAMS)):
                    yield Snippet(where, "shell", command)
        blank = not line.strip()


def commands(snippet: Snippet) -> list[str]:
    """The lines of a snippet of commands, those that go on after a backslash as one, without what is said beside them."""
    lines = re.sub(r"\\\n\s*", "", snippet.text).splitlines()
    return [kept for line in lines if (kept := re.sub(r"(^|\s{2,})# .*", "", line).strip())]


def paste(params: dict[str, Any], text: str) -> dict[str, Any]:
    """`params` with the keys of a snippet set as its text says."""
    return _merged(params, yaml.safe_load(text), set(_replaced(text)), ())


def _replaced(text: str) -> Iterator[tuple[str, ...]]:
    path: list[str] = []
    for line in text.splitlines():
        if key := re.match(r"( *)([\w-]+):", line):
            path[len(key[1]) // 2 :] = [key[2]]
            if IN_PLACE in line:
                yield tuple(path)


def _merged(old: Any, new: Any, replaced: set[tuple[str, ...]], path: tuple[str, ...]) -> Any:
    if path in replaced or not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {key: _merged(old.get(key), value, replaced, (*path, key)) for key, value in new.items()}
