"""What a package of figures hands the page: a chapter that is ready."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chapter:
    """`markup` is one `<section id=...>` with the same `id`; empty where there is nothing to tell, and then the page leaves it out.

    `title` is what the navigation calls it, `made` how its figures were made (see `made.how`) where they do not say so themselves, `style`
    CSS that it brings along.
    """

    id: str
    title: str
    markup: str
    made: str = ""
    style: str = ""
