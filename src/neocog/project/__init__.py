"""A project of one's own beside an installed neocog: what `neocog init` writes, and how its stages know the installed code."""
