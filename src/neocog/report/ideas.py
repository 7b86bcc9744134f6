"""The idea of an architecture and its paper, parsed from the docstring of its file."""

import re
from dataclasses import dataclass

from neocog import architectures

YEAR = re.compile(
    r"\((1[89]|20)\d\d[a-z]?\)"
)  # a paragraph is a citation if it names the year of a paper as citations do

SENTENCE, CLAUSE = re.compile(r"(?<=\.) (?=[A-Z`])"), re.compile(r"; ")
SMALL_FORM = "small-image form"


@dataclass(frozen=True)
class Idea:
    """`brief` is one line; `paper` and `paragraphs` are empty where the docstring says less."""

    brief: str
    paper: str
    paragraphs: tuple[str, ...]


def of(architecture: str, *, name: str = "", published: str = "") -> Idea:
    """The idea of one architecture, read from its file without importing it; of a network with a `name` of its own it says whose.

    Of a `published` network, by its name, without what holds of the small form.
    """
    card = architectures.card(architecture)
    found = parsed(card.about, brief=card.idea if name in ("", card.name) else f"{card.name}: {card.idea}")
    if not published:
        return found
    brief = f"{card.name}: {card.idea}"
    if card.name == "timm":
        brief = f"One of timm's networks; {card.year} is the year of the library, not of this network"
    texts = (" ".join(map(_without_small, SENTENCE.split(text))).strip() for text in found.paragraphs)
    return Idea(brief, found.paper, tuple(text for text in texts if text))


def _without_small(sentence: str) -> str:
    """A sentence up to where it speaks of the small form; empty if it begins with that."""
    clauses = CLAUSE.split(sentence)
    kept = clauses[: next((i for i, clause in enumerate(clauses) if SMALL_FORM in clause.lower()), len(clauses))]
    return sentence if kept == clauses else f"{'; '.join(kept)}." if kept else ""


def parsed(about: str, *, brief: str) -> Idea:
    """A docstring of a title, the citation, then explanations; each but the title may be missing."""
    _, *rest = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", about.strip())]
    paper = rest.pop(0) if rest and YEAR.search(rest[0]) else ""
    return Idea(brief, paper, tuple(rest))
