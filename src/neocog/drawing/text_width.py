"""Text width: how wide words are in a figure, and what of them fits into a room.

Figures name Helvetica and its like; what a browser has in their place may be wider by a third. So every text is drawn exactly as wide
as it is here (SVG's `textLength`), and no font makes two of them overlap.
"""

import unicodedata

# Adobe's metrics of Helvetica (Core 14 AFM) for ASCII 32-126, in thousandths of the font's size; Arial and Liberation Sans have the same
_ASCII = (
    (278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278)  # space to /
    + (556,) * 10  # digits
    + (278, 278, 584, 584, 584, 556, 1015)  # : to @
    + (667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833)  # A to M
    + (722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611)  # N to Z
    + (278, 278, 278, 469, 556, 333)  # [ to `
    + (556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833)  # a to m
    + (556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500)  # n to z
    + (334, 260, 334, 584)  # { to ~
)
_OTHER, _WIDE, _SPACE = 600, 1000, 200
_BOLD = 1.07  # times as wide, about
_SIZES = {"tick": 12.0, "axis": 12.0, "in": 12.0}  # px by class, as figures.css has them
_SIZE = 13.0


def font(look: str) -> tuple[float, bool]:
    """The size (px) and whether it is bold, of text of the class `look`."""
    classes = look.split()
    size = next((_SIZES[each] for each in classes if each in _SIZES), _SIZE)
    return size, "name" in classes


def width(words: str, *, look: str = "") -> float:
    """Of words of the class `look`, px."""
    size, bold = font(look)
    return sum(map(_advance, words)) / 1000 * size * (_BOLD if bold else 1.0)


def longest(words: list[str], *, look: str = "") -> float:
    """The width of the widest, px; 0 of none."""
    return max((width(each, look=look) for each in words), default=0.0)


def cut(words: str, room: float, *, look: str = "") -> str:
    """What fits of `words` into `room` px; what is too much goes from the end."""
    if width(words, look=look) <= room:
        return words
    fits = next((n for n in range(len(words) - 1, 1, -1) if width(words[:n].rstrip() + "…", look=look) <= room), 1)
    return words[:fits].rstrip() + "…"


def centred(x: float, words: str, *, end: float, look: str = "tick") -> float:
    """Where words that are centred at `x` stand so that they do not pass `end`."""
    return min(x, end - width(words, look=look) / 2)


def _advance(character: str) -> int:
    place = ord(character) - 32
    if 0 <= place < len(_ASCII):
        return _ASCII[place]
    if unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    if unicodedata.east_asian_width(character) in "WF" or character in "…↓→←↑":
        return _WIDE
    base = unicodedata.normalize("NFD", character)[0]
    if base != character:
        return _advance(base)
    return _SPACE if unicodedata.category(character) == "Zs" else _OTHER
