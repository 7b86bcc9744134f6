"""Sensitivity as a heat map: a row a layer, a column an amount. As SVG, HTML or PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import sqrt
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from neocog.core import output
from neocog.core.errors import UserError
from neocog.drawing import numbers, svg
from neocog.drawing.label_placement import cut
from neocog.inspect.activations_poster import INK, PAPER, SOFT
from neocog.inspect.sensitivity.changes import BITS, RATIOS, Kind
from neocog.inspect.sensitivity.fragile import name, sentences
from neocog.inspect.sensitivity.measure import Sensitivity, Tried

FORMATS = (".svg", ".html", ".png")
HALF, GAP, LABEL, ROW, TOP = (
    500.0,
    40.0,
    214.0,
    26.0,
    88.0,
)  # px: a panel, between two, its names, a row, all above the rows
LONGEST = 30  # characters of a layer's name that are shown: its end
WORST = 0.5  # of the score: what costs as much is as dark as can be
PANELS: tuple[tuple[Kind, Sequence[float], str, str], ...] = (
    ("ratio", RATIOS, "channels removed", "nothing to remove: no layer has hidden channels"),
    ("bits", BITS, "bits of its weights", "no layer has weights to round"),
)
MARGIN, SCALE, WRONG = 24, 2, (213, 94, 0)  # of the PNG: px around, how many dots a px, and the colour of loss


@dataclass(frozen=True)
class HeatmapCell:
    """A rectangle that is `depth` (0 to 1) dark; `hover` is told by it."""

    left: float
    top: float
    width: float
    depth: float
    hover: str


@dataclass(frozen=True)
class HeatmapText:
    x: float
    y: float
    words: str
    look: Literal["name", "tick", "in", "in deep"]
    anchor: Literal["start", "middle", "end"] = "start"


Piece = HeatmapCell | HeatmapText


def checked(path: Path) -> Path:
    """`path`, if a picture can end with its suffix and its folder is there: asked before anything is measured. Raises UserError."""
    output.checked(path, *FORMATS)
    if not path.parent.is_dir():
        raise UserError(f"--out (={path}): the folder {path.parent} does not exist; make it, or name another")
    return path


def write(path: Path, found: Sensitivity) -> None:
    """The picture in the format that the file's name ends with. Raises UserError where nothing can be written."""
    try:
        if path.suffix.lower() == ".png":
            png(found).save(path, "PNG", optimize=True)
        else:
            path.write_text(html(found) if path.suffix.lower() == ".html" else drawing(found), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a file in a folder that exists and is writable") from None


def drawing(found: Sensitivity) -> str:
    """A file of its own, in a plain light style."""
    return svg.standalone(figure(found), style=svg.resolved(svg.STYLE.read_text(encoding="utf-8")))


def html(found: Sensitivity) -> str:
    """A page of its own, light or dark as the reader wants it."""
    styles = [svg.STYLE, svg.STYLE.with_name("page.css")]
    style = "\n".join(path.read_text(encoding="utf-8") for path in styles)
    title = f"Sensitivity of {escape(found.model)}"
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(found))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>\n'
        f'<body><h1>{title}</h1>{paragraphs}<div class="wide"><figure>{figure(found)}</figure></div></body></html>\n'
    )


def figure(found: Sensitivity) -> str:
    """The picture as SVG text, to be styled by the page around it."""
    pieces, height = layout(found)
    return svg.figure(
        *(_drawn(piece) for piece in pieces),
        width=2 * HALF + GAP,
        height=height,
        name=f"Sensitivity of {found.model}",
        about=" ".join(sentences(found)) or found.model,
    )


def png(found: Sensitivity) -> Image.Image:
    """The same picture in dots."""
    pieces, height = layout(found)
    sides = (2 * HALF + GAP + 2 * MARGIN, height + 2 * MARGIN)
    canvas = Image.new("RGB", (round(SCALE * sides[0]), round(SCALE * sides[1])), PAPER)
    pen = ImageDraw.Draw(canvas)
    for piece in pieces:
        if isinstance(piece, HeatmapCell):
            left, top = SCALE * (piece.left + MARGIN), SCALE * (piece.top + MARGIN)
            mixed = [round(p + piece.depth * (w - p)) for p, w in zip(PAPER, WRONG, strict=True)]
            right, bottom = left + SCALE * piece.width, top + SCALE * (ROW - 2)
            pen.rectangle((left, top, right, bottom), (mixed[0], mixed[1], mixed[2]))
        else:
            colour = {"tick": SOFT, "in deep": PAPER}.get(piece.look, INK)
            place = (SCALE * (piece.x + MARGIN), SCALE * (piece.y + MARGIN))
            words = piece.words.translate({ord(numbers.THIN): " ", ord("…"): "...", ord("−"): "-"})  # the font has none
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[piece.anchor]
            pen.text(place, words, colour, ImageFont.load_default(13 * SCALE), anchor=anchor)
    return canvas


def layout(found: Sensitivity) -> tuple[list[Piece], float]:
    """All pieces of the picture, px, and its height."""
    head = f"{found.model}: {found.metric.heading} {numbers.percent(found.score)} on {found.images:,} validation images"
    rule = "Points of that lost when one layer alone is changed, and nothing is trained again"
    pieces: list[Piece] = [HeatmapText(0, 13, head, "name"), HeatmapText(0, 33, rule, "tick")]
    heights = [TOP + ROW]
    for number, (kind, amounts, title, none) in enumerate(PANELS):
        left, tried = number * (HALF + GAP), found.of(kind)
        if not tried:
            pieces.append(HeatmapText(left, TOP - 8, none, "tick"))
            continue
        wide = (HALF - LABEL) / len(amounts)
        middles = {amount: left + LABEL + (i + 0.5) * wide for i, amount in enumerate(amounts)}
        pieces.append(HeatmapText(left + LABEL - 10, TOP - 8, title, "tick", "end"))
        pieces += [HeatmapText(x, TOP - 8, _amount(kind, amount), "tick", "middle") for amount, x in middles.items()]
        rows = list(dict.fromkeys(each.layers for each in tried))
        for each in tried:
            top = TOP + rows.index(each.layers) * ROW
            if each.amount == amounts[0]:
                pieces.append(
                    HeatmapText(left + LABEL - 10, top + 16, cut(name(each), LONGEST, end=False), "name", "end")
                )
            pieces += _cell(found, each, middle=middles[each.amount], top=top, wide=wide)
        heights.append(TOP + len(rows) * ROW)
    return pieces, max(heights)


def _cell(found: Sensitivity, tried: Tried, *, middle: float, top: float, wide: float) -> list[Piece]:
    drop = found.drop(tried)
    depth = 0.06 + 0.9 * sqrt(min(max(drop, 0.0), WORST) / WORST)
    hover = f"{' + '.join(tried.layers)}, {_amount(tried.kind, tried.amount)}: {numbers.percent(tried.score)}"
    look: Literal["in", "in deep"] = "in deep" if depth > 0.65 else "in"
    change = round(-100 * drop, 1)
    sign = "−" if change < 0 else "+" if change > 0 else ""
    words = HeatmapText(middle, top + 16, f"{sign}{abs(change):.1f}", look, "middle")
    return [HeatmapCell(middle - wide / 2, top, wide - 2, depth, hover), words]


def _drawn(piece: Piece) -> str:
    if isinstance(piece, HeatmapText):
        return svg.text(piece.x, piece.y, piece.words, class_=piece.look, text_anchor=piece.anchor)
    return svg.tag(
        "rect",
        svg.title(piece.hover),
        x=piece.left,
        y=piece.top,
        width=piece.width,
        height=ROW - 2,
        class_="wrong",
        fill_opacity=piece.depth,
    )


def _amount(kind: Kind, amount: float) -> str:
    return numbers.percent(amount, digits=0) if kind == "ratio" else f"{amount:.0f}"
