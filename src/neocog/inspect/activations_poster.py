"""Poster of a network's activations: an image, the prediction, its first weights, its maps."""

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from neocog.core.errors import UserError
from neocog.drawing import colormaps, numbers
from neocog.drawing.images import Pixels, fitted
from neocog.inspect import activation_rows
from neocog.inspect.activation_rows import ActivationRow
from neocog.inspect.activations import Inside

MARGIN, LABEL, LINE, SPACE = 32, 210, 20, 22  # px around all, of the words left of a row, of a line, between rows
FACE, BAR = 180, 240  # px of the image, and of the bar of a class that is certain
CLASSES = 5  # most likely ones that are named
Likeliest = list[tuple[str, float]]  # class and probability
PAPER, INK, SOFT, BLUE = (252, 250, 245), (33, 30, 26), (106, 100, 90), (0, 104, 165)


def draw(inside: Inside, image: Pixels, *, likeliest: Likeliest, name: str, about: str) -> Image.Image:
    """The poster of the model `name` looking at `image` uint8 [H, W, C] (`about` says whence); bars of the `likeliest` classes."""
    rows, side = activation_rows.rows(inside), colormaps.side(max(image.shape[:2]))
    drawn = [_row(row, side=side) for row in rows]
    missing = textwrap.wrap(activation_rows.missing(inside), 120)
    across = colormaps.MAPS * (side + colormaps.GAP) - colormaps.GAP
    height = 2 * MARGIN + FACE + sum(SPACE + part.height for part in drawn)
    height += SPACE + LINE * len(missing) if missing else 0
    canvas = Image.new("RGB", (2 * MARGIN + LABEL + across, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    _head(canvas, pen, image, likeliest=likeliest, name=name, about=about)
    top = MARGIN + FACE + SPACE
    for row, part in zip(rows, drawn, strict=True):
        pen.text((MARGIN, top), row.heading, INK, font(15))
        for i, words in enumerate(textwrap.wrap(row.words, 30)):
            pen.text((MARGIN, top + LINE * (i + 1)), words.replace("×", "x"), SOFT, font(13))  # the font has no ×
        canvas.paste(part, (MARGIN + LABEL, top))
        top += part.height + SPACE
    for i, words in enumerate(missing):
        pen.text((MARGIN, top + LINE * i), words, SOFT, font(14))
    return canvas


def _row(row: ActivationRow, *, side: int) -> Image.Image:
    """All pictures of a row on paper; those with names twice as large, their names below."""
    columns, side, under = (colormaps.MAPS // 2, 2 * side, LINE) if row.names else (colormaps.MAPS, side, 0)
    lines = [
        colormaps.sheet(row.tiles[start : start + columns], side=side) for start in range(0, len(row.tiles), columns)
    ]
    step = side + colormaps.GAP + under
    height = max(step * len(lines) - colormaps.GAP, 3 * LINE)
    canvas = Image.new("RGB", (columns * (side + colormaps.GAP) - colormaps.GAP, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    for i, line in enumerate(lines):
        sheet = Image.fromarray(line)
        canvas.paste(sheet, (0, i * step), sheet)
    for i, name in enumerate(row.names):
        place = (i % columns * (side + colormaps.GAP), i // columns * step + side + 2)
        pen.text(place, _fitting(name, side, font(12)), SOFT, font(12))
    return canvas


def write(poster: Image.Image, path: Path) -> None:
    """The poster as a PNG file. Raises UserError when it cannot be written there."""
    try:
        poster.save(path, "PNG", optimize=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a file in a folder that exists and is writable") from None


def _head(
    canvas: Image.Image,
    pen: ImageDraw.ImageDraw,
    image: Pixels,
    *,
    likeliest: Likeliest,
    name: str,
    about: str,
) -> None:
    """The image, the model's name, and a bar for each of the most likely classes."""
    face = fitted(image, side=FACE).convert("RGB")
    canvas.paste(face, (MARGIN + (FACE - face.width) // 2, MARGIN + (FACE - face.height) // 2))
    left, top = MARGIN + LABEL, MARGIN
    room = canvas.width - MARGIN - left
    pen.text((left, top - 4), _fitting(name, room, font(26)), INK, font(26))
    pen.text((left, top + 34), _fitting(about, room, font(14)), SOFT, font(14))
    widest = min(200.0, max((font(14).getlength(label) for label, _ in likeliest), default=0.0))
    for i, (label, probability) in enumerate(likeliest):
        y = top + 68 + i * 23
        bar = left + widest + 14
        pen.text((left, y), _fitting(label, widest, font(14)), INK if i == 0 else SOFT, font(14))
        pen.rectangle((bar, y + 4, bar + 2 + BAR * probability, y + 14), BLUE)
        percent = numbers.percent(probability).replace(numbers.THIN, " ")
        pen.text((bar + BAR * probability + 12, y), percent, INK if i == 0 else SOFT, font(14))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own, so that a poster is the same everywhere."""
    return ImageFont.load_default(size)


def _fitting(words: str, width: float, face: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The words, cut to the width in px."""
    if face.getlength(words) <= width:
        return words
    cut = next((n for n in range(len(words), 0, -1) if face.getlength(words[:n] + "…") <= width), 0)
    return words[:cut] + "…"
