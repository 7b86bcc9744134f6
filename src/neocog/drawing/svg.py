"""SVG as text: tags, scales, ticks. Everything written into them is escaped here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from pathlib import Path

from neocog.core.escape import visible
from neocog.drawing import text_width

Number = float | int
STYLE = Path(__file__).with_name("figures.css")
FIXED = 4  # characters, from which on a text is held to its width; shorter ones have room to spare
MARGIN = 16  # px around a drawing that stands alone


def tag(name: str, *children: str, **attributes: object) -> str:
    """`tag("circle", cx=1.234, class_="dot")` -> `<circle cx="1.23" class="dot"/>`. Children are markup."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    inside = "".join(children)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def text(x: Number, y: Number, words: str, *, room: float | None = None, **attributes: object) -> str:
    """Words with their baseline at (x, y), cut to `room` px, and as wide as `text_width.width` says in any font."""
    look, words = str(attributes.get("class_", "")), visible(words)
    if room is not None:
        words = text_width.cut(words, room, look=look)
    wide = text_width.width(words, look=look)
    fixed = {"textLength": wide, "lengthAdjust": "spacingAndGlyphs"} if wide and len(words) >= FIXED else {}
    return tag("text", escape(words), x=x, y=y, **attributes, **fixed)


def line(x1: Number, y1: Number, x2: Number, y2: Number, **attributes: object) -> str:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def tick(x: Number, y: Number, words: str, *, end: float) -> str:
    """The number below a tick at x, moved where it would pass the drawing's `end`."""
    return text(text_width.centred(x, words, end=end), y, words, class_="tick", text_anchor="middle")


def path(points: Sequence[tuple[float, float]], **attributes: object) -> str:
    """Straight lines through the points."""
    return tag("path", d="M" + "L".join(f"{_value(x)},{_value(y)}" for x, y in points), **attributes)


def title(words: str) -> str:
    """What a pointer that rests on the element shows."""
    return tag("title", escape(words))


def figure(*children: str, width: Number, height: Number, name: str, about: str) -> str:
    """A whole drawing with its accessible name and description; as wide as its place allows, at most `width` pixels."""
    described = (tag("title", escape(name)), tag("desc", escape(about)))
    box = f"0 0 {_value(width)} {_value(height)}"
    return tag(
        "svg",
        *described,
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=box,
        width=width,
        role="img",
        class_="figure",
    )


def standalone(drawing: str, *, style: str) -> str:
    """The drawing as a file of its own, which brings its style and a margin along."""
    head, rest = drawing.split(">", 1)
    width, height = (float(side) for side in re.findall(r'viewBox="0 0 (\S+) (\S+)"', head)[0])
    box = f"{-MARGIN} {-MARGIN} {_value(width + 2 * MARGIN)} {_value(height + 2 * MARGIN)}"
    head = re.sub(r'viewBox="[^"]*" width="[^"]*"', f'viewBox="{box}" width="{_value(width + 2 * MARGIN)}"', head)
    return visible(f"{head}>{tag('style', escape(style, quote=False))}{rest}\n")


def write(figures: Mapping[str, str], folder: Path) -> None:
    """Drawings as files of their own in a plain light style, by name: ladder.svg, compression.size.svg, ...; without the empty ones."""
    style = resolved(STYLE.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawing in figures.items():
        if drawing:
            (folder / f"{name}.svg").write_text(standalone(drawing, style=style), encoding="utf-8")


def resolved(style: str) -> str:
    """CSS with every `var(--name)` replaced by what `:root` says it is, for viewers that know no variables."""
    known = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", style))
    return re.sub(r"var\((--[\w-]+)\)", lambda found: known[found[1]], style)


def marker(kind: str, x: float, y: float, *, radius: float = 5, hover: str = "") -> str:
    """The mark of a model: a circle if trained, a diamond if tuned, a triangle if compressed."""
    inside = title(hover) if hover else ""
    kinds = {
        "tuned": [(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
        "compressed": [(0.0, -1.25), (1.2, 0.85), (-1.2, 0.85)],
    }
    if kind not in kinds:
        return tag("circle", inside, cx=x, cy=y, r=radius, class_=f"mark {kind}")
    corners = " ".join(f"{_value(x + dx * radius)},{_value(y + dy * radius)}" for dx, dy in kinds[kind])
    return tag("polygon", inside, points=corners, class_=f"mark {kind}")


@dataclass(frozen=True)
class Scale:
    """Maps values low..high to pixels start..end, evenly or (log) by ratio."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            (log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values inside, roughly `about` of them.

        Steps of 1, 2 or 5 times a power of ten; on a log scale 1, 2 and 5 times each power, or the powers alone.
        """
        if self.log:
            decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            fine = [round(m * 10.0**d, 12) for d in decades for m in (1, 2, 5)]
            inside = [v for v in fine if self.low <= v <= self.high]
            powers = [v for v in inside if abs(log10(v) - round(log10(v))) < 1e-9]
            return powers if len(inside) > 2 * about and len(powers) > 1 else inside
        step = _round_step((self.high - self.low) / max(about, 1))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= 0.7 * rough)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(str(value))
