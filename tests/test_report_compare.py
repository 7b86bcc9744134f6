"""Every model against every other: the numbers are those of the exact test, chance is called chance, pictures show what the words say."""

import csv
import json
import re
from itertools import combinations
from time import perf_counter
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny

from neocog.report import models, narrative, scores
from neocog.report.compare import chapter, figures, gallery, pairs
from neocog.statistics import paired
from neocog.tasks.task import task

SVG = "{http://www.w3.org/2000/svg}"
ODD = ("</script><b>", "two & 'three'", "c", "d", "e", "f", "g", "h")


def answers(*, count: int = 6, images: int = 2000, seed: int = 0) -> np.ndarray:
    """Which images [N] each of `count` models gets right: easy ones all, hard ones the better models."""
    draw = np.random.default_rng(seed)
    hard = draw.random(images)
    return np.stack([hard + draw.normal(0, 0.05, images) < 0.9 - 0.02 * i for i in range(count)])


def test_every_pair_is_as_it_is_alone():
    correct = answers()
    found = pairs.paired(correct)
    for i, j in combinations(range(len(correct)), 2):
        one = paired.compare(correct[i], correct[j])
        assert found.difference[i, j] == pytest.approx(one.difference) == -found.difference[j, i]
        assert found.p[i, j] == found.p[j, i] == pytest.approx(one.p_value)
        assert found.low[i, j] == pytest.approx(one.low, abs=2e-3) == -found.high[j, i]
        assert found.high[i, j] == pytest.approx(one.high, abs=2e-3)
        assert found.wins[i, j] == int((correct[i] & ~correct[j]).sum())


def test_the_interval_is_the_one_of_newcombe_s_example():
    one = np.repeat([True, True, False, False], [36, 12, 2, 0])  # both, one alone, the other alone, neither
    other = np.repeat([True, False, True, False], [36, 12, 2, 0])
    found = pairs.paired(np.stack([one, other]))
    assert found.difference[0, 1] == pytest.approx(0.2)
    assert (found.low[0, 1], found.high[0, 1]) == pytest.approx((0.0569, 0.3404), abs=2e-4)


def test_the_interval_holds_the_truth_as_often_as_promised():
    draw, held, times = np.random.default_rng(1), 0, 600
    for _ in range(times):
        easy = draw.random(200) < 0.7
        one, other = easy | (draw.random(200) < 0.5), easy | (draw.random(200) < 0.3)
        found = pairs.paired(np.stack([one, other]))
        held += found.low[0, 1] <= 0.3 * (0.5 - 0.3) <= found.high[0, 1]
    assert 0.92 < held / times < 0.98


def test_holm_corrects_as_by_hand():
    assert pairs.holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_equal_models_are_called_different_in_few_of_many_questions():
    draw = np.random.default_rng(2)
    false_alarms = 0
    for _ in range(40):
        found = pairs.paired(draw.random((8, 400)) < 0.8)
        false_alarms += found.hold > 0
        assert found.hold <= found.alone
    assert false_alarms <= 6
    assert pairs.paired(answers()).hold > 0, "the control: real differences are found"


def test_models_whose_answers_are_more_than_right_or_wrong_are_compared_on_resamples():
    draw = np.random.default_rng(3)
    images = draw.random((3, 500))  # of two models alike, and of a better one
    images[2] = np.minimum(1, images[0] + 0.05)
    weights = np.stack([np.bincount(draw.integers(500, size=500), minlength=500) for _ in range(400)])
    found = pairs.bootstrapped(images.mean(axis=1), images @ weights.T / 500, images=500)
    assert found.wins is None and found.comparisons == 3
    assert found.difference[2, 0] == pytest.approx(images[2].mean() - images[0].mean())
    assert found.low[2, 0] == -found.high[0, 2] > 0 and found.holm[0, 2] < 0.05
    assert found.low[0, 1] < 0 < found.high[0, 1] and found.holm[0, 1] > 0.05, "the control"


def test_twenty_five_models_on_ten_thousand_images_take_less_than_three_seconds():
    correct = answers(count=25, images=10_000)
    started = perf_counter()
    found = pairs.paired(correct)
    gallery.choose(correct, found.wins)
    assert perf_counter() - started < 3


def test_the_gallery_has_images_for_every_pair_that_differs():
    correct = answers(count=8)
    wins = pairs.paired(correct).wins
    rows = gallery.choose(correct, wins, each=3)
    assert len(set(rows)) == len(rows) < 200
    for i, j in np.argwhere(wins > 0):
        assert (correct[i] & ~correct[j])[rows].sum() >= min(3, wins[i, j])
    assert len(gallery.choose(correct, wins, most=5)) == 5


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Three judged models on digits under odd names."""
    root = tmp_path_factory.mktemp("site")
    data = tiny.digits(root / "prepared", classes=ODD)
    bundles = [
        tiny.train(root, data, "perceptron", epochs=1),
        tiny.train(root, data, "mlp", architecture="mlp", hidden=100),
        tiny.train(root, data, "small-mlp", kind="compressed", architecture="mlp", hidden=8),
    ]
    tiny.judge(root, data, bundles)
    found = models.gather(bundles, data, reports=root / "reports")
    called = narrative.names([model.row for model in found])
    return (
        found,
        data,
        chapter.draw(found, data, scores.scores(task("classification"), classes=len(ODD)), called=called),
    )


def test_the_chapter_s_facts_are_those_of_the_models(site):
    found, _, drawn = site
    markup = chapter.chapter(drawn, made="<i>how</i>").markup
    assert markup.count("</script>") == 1 and "<i>how</i>" in markup
    facts = json.loads(re.search(r'<script type="application/json" id="pairs">(.*?)</script>', markup)[1])
    assert (
        facts["models"] == [model.row.model for model in found]
        and "small-mlp" in facts["names"]
        and set(facts["words"]) <= set(ODD)
    )
    assert facts["wins"][0][2] == int((found[0].scores & ~found[2].scores).sum())
    sheet = facts["sheet"]
    row = list(found[0].predictions.ids).index(sheet["ids"][0])
    assert facts["words"][sheet["labels"][0]] == ODD[found[0].predictions.labels[row]]
    said = [facts["words"][each[0]] for each in sheet["said"]]
    assert said == [ODD[model.predictions.predicted[row]] for model in found]
    assert [bool(each[0]) for each in sheet["right"]] == [bool(model.scores[row]) for model in found]
    again = chapter.draw(found, site[1], drawn.scores, called=drawn.called)
    assert chapter.chapter(again, made="<i>how</i>").markup == markup, "the same input gives the same bytes"
    assert facts["values"][0][0] == pytest.approx(found[0].row.score, abs=1e-6)


def test_the_triangle_has_a_cell_a_pair_and_is_blue_where_chance_is_ruled_out(site):
    drawn = site[2]
    root = ElementTree.fromstring(drawn.triangle)
    boxes = [each.get("class") for each in root.iter(f"{SVG}rect")]
    assert len(boxes) == drawn.pairs.comparisons == 3
    assert boxes.count("held") == drawn.pairs.hold
    assert f"{drawn.pairs.hold} still are" in figures.chance(drawn.pairs, drawn.names)


def test_whom_the_first_does_not_clearly_beat_is_named():
    correct = answers(count=3)
    same = np.stack([correct[0], correct[0], correct[2]])
    assert "first, is not clearly ahead of second." in figures.chance(pairs.paired(same), ["first", "second", "third"])
    far = np.stack([answers(count=20)[i] for i in (0, 19)])
    assert "first is ahead of every other" in figures.chance(pairs.paired(far), ["first", "second"])


def test_a_single_model_has_no_chapter_and_a_table_without_lines(site, tmp_path):
    found, data, drawn = site
    assert chapter.draw(found[:1], data, drawn.scores, called=drawn.called) is None
    assert chapter.chapter(None).markup == ""
    pairs.write_csv(tmp_path / "significance.csv", ["trained/mlp"], None)
    assert (tmp_path / "significance.csv").read_text() == "model_a,model_b,difference,low,high,p,p_holm\n"


def test_the_table_has_every_pair_once(site, tmp_path):
    found, _, drawn = site
    names = [model.row.model for model in found]
    pairs.write_csv(tmp_path / "significance.csv", names, drawn.pairs)
    with (tmp_path / "significance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model_a"], row["model_b"]) for row in rows] == list(combinations(names, 2))
    for row in rows:
        assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])
        assert float(row["p"]) <= float(row["p_holm"]) <= 1
