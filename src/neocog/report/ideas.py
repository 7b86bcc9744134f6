"""An architecture's idea as its own file tells it: the docstring taken apart into paper and explanation."""

import re
from dataclasses import dataclass

from neocog import architectures

YEAR = re.compile(
    r"\((1[89]|20)\d\d[a-z]?\)"
)  # a paragraph is a citation if it names the year of a paper as citations do


@dataclass(frozen=True)
class Idea:
    """`brief` is one line; `paper` and `paragraphs` are empty where the docstring says less."""

    brief: str
    paper: str
    paragraphs: tuple[str, ...]


def of(architecture: str) -> Idea:
    """The idea of one architecture, read from its file without importing it."""
    card = architectures.card(architecture)
    return parsed(card.about, brief=card.idea)


def parsed(about: str, *, brief: str) -> Idea:
    """A docstring of a title, the citation, then explanations; each but the title may be missing."""
    _, *rest = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", about.strip())]
    paper = rest.pop(0) if rest and YEAR.search(rest[0]) else ""
    return Idea(brief, paper, tuple(rest))
