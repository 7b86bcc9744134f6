"""Names that hold control characters or turn the direction of writing are shown as escapes on the page, in its figures and tables."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import tiny
import whole

from neocog.core.escape import visible
from neocog.drawing import svg
from neocog.report import leaderboard, models, narrative, scores
from neocog.report.compare import chapter as compare
from neocog.tasks.classification.chapters import confusion
from neocog.tasks.classification.chapters.judged import JudgedClassifier
from neocog.tasks.task import task

TASK = task("classification")

HIDDEN = ["\x00", "\x07", "\x1b[31m", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\udc80"]
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize("text", HIDDEN)
def test_what_cannot_be_seen_is_escaped(text):
    shown = visible(f"a{text}b")
    assert RAW.search(f"a{text}b") and not RAW.search(shown)
    assert shown.startswith("a\\") and shown.encode("utf-8").isascii()


def test_what_can_be_seen_stays():
    for text in ("Schuhe für Ärzte", "أحذية", "עברית", "👩‍👩‍👧", "a\tb\nc", "1\u2009%"):
        assert visible(text) == text


def test_page_figures_and_tables_hold_no_such_character(tmp_path):
    classes = ["\u202egnirts", "\x1b[2Jclear", "\x9bcsi", "<b>&\u2067", "plain"]
    data = tiny.digits(tmp_path / "prepared", classes=classes)
    bundles = [
        tiny.train(tmp_path, data, "perceptron"),
        tiny.train(tmp_path, data, "mlp", architecture="mlp", hidden=16),
    ]
    tiny.judge(tmp_path, data, bundles)
    found = models.gather(bundles, data, reports=tmp_path / "reports")
    called = narrative.names([model.row for model in found])
    duels = compare.draw(found, data, scores.scores(TASK, classes=len(classes)), called=called)
    chapters = [compare.chapter(duels)]
    html = whole.html(found, data, called=called, mistakes=4, chapters=chapters)
    assert RAW.search("".join(classes)), "control"
    assert not RAW.search(html)
    facts = json.loads(re.search(r'id="pairs">(.*?)</script>', html, re.DOTALL)[1])
    assert "\\u202egnirts" in facts["words"], "nor after the script has read it"
    matrix = confusion.heatmap(JudgedClassifier(found[0]).confusion, classes, name="\x07")
    with pytest.raises(ET.ParseError):
        ET.fromstring(matrix)  # control
    alone = svg.standalone(matrix, style="")
    assert not RAW.search(alone)
    ET.fromstring(alone)
    text = leaderboard.markdown(
        [replace(found[0].row, model="trained/a|b\n<img>\u202e`[x](y)", verdict="\x1b[2J")], TASK
    )
    assert not RAW.search(text)
    assert len(text.splitlines()) == 3
    assert "a\\|b \\<img>\\\\u202e\\`\\[x](y)" in text
