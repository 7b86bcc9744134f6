"""Models against corruptions as a heat map in SVG text: the number is the score, the color what it lost."""

from collections.abc import Sequence

from neocog.drawing import axes, numbers, text_width
from neocog.drawing.svg import figure, line, tag, text, title
from neocog.evaluation.corruptions.suite import CORRUPTIONS
from neocog.report.figures import WIDTH
from neocog.report.robustness import narrative
from neocog.report.robustness.read import RobustnessFindings, RobustnessScores

ROW, CELL, GAP = 30, 44.0, 8.0  # px: of a row, of a cell at most, between families
ROOM = 172.0  # px for the name of a model
MARGIN = 64.0  # px for a column of its own, on either side
FULL = 0.5  # of the score: a loss that is colored fully
MID = 0.65  # depth from which words in a cell are dark in dark pages too


def heatmap(found: RobustnessFindings) -> str:
    """Rows are models by mCE, columns corruptions by family, each averaged over its severities."""
    names = [text_width.cut(model.name, ROOM, look="name") for model in found.models]
    left = 12 + text_width.longest(names, look="name")
    families = list(dict.fromkeys(CORRUPTIONS[name] for name in found.corruptions))
    gaps = GAP * (len(families) - 1)
    cell = min(CELL, (WIDTH - left - 2 * MARGIN - gaps - 40) / len(found.corruptions))
    columns = {
        name: left + MARGIN + i * cell + GAP * families.index(CORRUPTIONS[name])
        for i, name in enumerate(found.corruptions)
    }
    top = 34 + 0.71 * text_width.longest([narrative.words(name) for name in columns], look="tick")
    bottom, right = top + ROW * len(names), max(columns.values()) + cell
    rows = [_row(model, columns, y=top + ROW * i, cell=cell, left=left) for i, model in enumerate(found.models)]
    parts = [
        text(left - 12, top + ROW * i + 19.5, name, text_anchor="end", class_="name") for i, name in enumerate(names)
    ]
    return figure(
        text(left + MARGIN / 2 - 8, top - 9, "clean", class_="tick", text_anchor="middle"),
        *(axes.turned(x + cell / 2 + 4, top - 9, narrative.words(name)) for name, x in columns.items()),
        text(right + MARGIN / 2, top - 9, "mCE", class_="tick", text_anchor="middle"),
        *rows,
        *parts,
        *_scores(found.models, x=right + MARGIN / 2, top=top),
        *(_family(family, columns, cell=cell, y=bottom + 6) for family in families),
        width=right + MARGIN + 40,
        height=bottom + 30,
        name=f"{found.metric.title} of each model under each corruption",
        about=narrative.about(found),
    )


def _row(model: RobustnessScores, columns: dict[str, float], *, y: float, cell: float, left: float) -> str:
    clean = text(left + MARGIN / 2 - 8, y + 19.5, f"{100 * model.clean:.0f}", class_="in", text_anchor="middle")
    return tag("g", clean, *(_cell(model, name, x, y, cell) for name, x in columns.items()))


def _cell(model: RobustnessScores, name: str, x: float, y: float, cell: float) -> str:
    score = model.under(name)
    depth = depth_of(model.clean - score)
    severities = ", ".join(f"{100 * each:.0f}" for each in model.scores[name])
    hover = (
        f"{model.name} under {narrative.words(name)}: "
        f"{numbers.percent(score)} of {numbers.percent(model.clean)}; by severity {severities}"
    )
    return tag(
        "g",
        title(hover),
        tag("rect", x=x + 0.5, y=y + 0.5, width=cell - 1, height=ROW - 1, class_="wrong", fill_opacity=depth),
        text(
            x + cell / 2,
            y + 19.5,
            f"{100 * score:.0f}",
            class_="in mid" if depth > MID else "in",
            text_anchor="middle",
        ),
    )


def depth_of(lost: float) -> float:
    """How strongly a loss is colored, 0.04 to 0.95."""
    return 0.04 + 0.91 * min(1.0, max(0.0, lost) / FULL) ** 0.8


def _scores(models: Sequence[RobustnessScores], *, x: float, top: float) -> list[str]:
    values = [numbers.MISSING if model.mce is None else f"{model.mce:.0f}" for model in models]
    return [text(x, top + ROW * i + 19.5, words, class_="name", text_anchor="middle") for i, words in enumerate(values)]


def _family(family: str, columns: dict[str, float], *, cell: float, y: float) -> str:
    own = [x for name, x in columns.items() if CORRUPTIONS[name] == family]
    start, end = own[0] + 1, own[-1] + cell - 1
    name = text((start + end) / 2, y + 16, family, class_="tick", text_anchor="middle")
    return tag("g", line(start, y, end, y, class_="scale"), name)
