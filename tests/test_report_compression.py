"""The chapter about compression: every recipe, step and goal is told, the sentences follow from the numbers, nothing is there without."""

import json
import re
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
import whole

from neocog.bundle import read
from neocog.core.errors import UserError
from neocog.drawing import svg
from neocog.report import figures, leaderboard, models, narrative
from neocog.report.compression import chapter, recipe, verdict
from neocog.report.compression import figures as charts
from neocog.report.compression import narrative as said
from neocog.report.compression.verdict import JudgedGoal
from neocog.statistics.paired import compare

SVG = "{http://www.w3.org/2000/svg}"
WON = {"goal": "max_bytes", "limit": 30_000, "value": 21_000, "met": True, "by": 9_000}
LOST = {"goal": "min_speedup", "limit": 4.0, "value": 2.13, "met": False, "by": -1.87}


def wrote(bundle: read.Bundle, *, parent: str, goals: list[dict], **other) -> dict:
    """verdict.json as the stage leaves it, in the bundle's folder."""
    step = {"method": "prune_structured", "settings": {"ratio": 0.5, "train": {"epochs": 3}}, "kept": True}
    content = {
        "recipe": bundle.name,
        "parent": parent,
        "met": all(goal["met"] for goal in goals),
        "ended": None,
        "goals": goals,
        "before": {"top1": 0.93, "params": 22_000, "macs": 20_000, "size_bytes": 90_000},
        "steps": [
            step | {"top1": 0.921, "params": 5_500, "macs": 5_000, "size_bytes": 22_000, "seconds": 31.0},
            {"method": "quantize_static", "settings": {}, "kept": True, "seconds": 4.0}
            | {"top1": 0.92, "params": 5_500, "macs": 5_000, "size_bytes": 6_000},
        ],
        "paired": {"difference": -0.01, "low": -0.03, "high": 0.01, "p_value": 0.5},
        "speedup": 2.13,
    } | other
    (bundle.folder / "verdict.json").write_text(json.dumps(content))
    return content


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Judged models on digits: a perceptron and an mlp as trained, and two recipes of the mlp, one of them a recipe of the other."""
    root = tmp_path_factory.mktemp("site")
    data = tiny.digits(root / "data" / "prepared")
    bundles = [
        tiny.train(root, data, "perceptron", epochs=2),
        tiny.train(root, data, "mlp", architecture="mlp", hidden=300),
        tiny.train(root, data, "mlp-half", kind="compressed", architecture="mlp", hidden=100),
        tiny.train(root, data, "mlp-tenth", kind="compressed", architecture="mlp", hidden=30),
    ]
    wrote(bundles[2], parent="trained/mlp", goals=[WON])
    wrote(bundles[3], parent="compressed/mlp-half", goals=[WON, LOST])
    tiny.judge(root, data, bundles)
    return root, data, models.gather(bundles, data, reports=root / "reports")


@pytest.fixture(scope="module")
def recipes(site):
    return recipe.gather(site[2])


@pytest.fixture(scope="module")
def drawn(site, recipes):
    return chapter.draw(site[2], recipes, called=narrative.names([model.row for model in site[2]]))


def plain(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", markup)).replace("\u202f", " ")


def by_name(recipes, name):
    return next(each for each in recipes if each.model.row.name == name)


def test_a_recipe_is_joined_with_the_model_it_began_with(recipes):
    assert {each.model.row.name: each.parent.row.model for each in recipes} == {
        "mlp-half": "trained/mlp",
        "mlp-tenth": "compressed/mlp-half",
    }
    for each in recipes:
        right, before = (model.predictions.predicted == model.predictions.labels for model in (each.model, each.parent))
        assert each.paired == compare(right, before)
        assert each.paired.difference == pytest.approx(each.model.row.score - each.parent.row.score)
        assert each.paired.low <= each.paired.difference <= each.paired.high


def test_the_leaderboard_says_who_met_its_goals(site, tmp_path):
    rows = [model.row for model in site[2]]
    assert {row.name: row.verdict for row in rows} == {
        "perceptron": "", "mlp": "", "mlp-half": "met", "mlp-tenth": "missed",
    }  # fmt: skip
    leaderboard.write_csv(tmp_path / "leaderboard.csv", rows, site[2][0].task)
    table = (tmp_path / "leaderboard.csv").read_text().splitlines()
    assert table[0].endswith(",epochs,verdict")
    assert sorted(line.rpartition(",")[2] for line in table[1:]) == ["", "", "met", "missed"]
    assert {
        line.rstrip("| ").rpartition("| ")[2] for line in leaderboard.markdown(rows, site[2][0].task).splitlines()[2:]
    } >= {
        "met",
        "missed",
    }


def test_every_recipe_step_and_goal_is_told(recipes, drawn):
    markup = chapter.chapter(drawn).markup
    ElementTree.fromstring(markup)  # well formed, whatever models are called
    cards = re.findall(r'<section class="recipe".*?</section>', markup, re.DOTALL)
    assert len(cards) == len(recipes) == 2
    for each, card in zip(recipes, cards, strict=True):
        words = plain(card)
        assert each.model.row.name in words
        assert "1. prune_structuredratio 0.5; trained on: epochs 3" in words and "2. quantize_static" in words
        assert (
            "92.10 %−0.90" in words and "5.50k25 %" in words and "6.00 kB7 %" in words
        )  # beside what they are of the parent
        assert f"{each.paired.low * 100:.2f}".replace("-", "−") in words
        assert card.count('<li class="met">') == sum(goal.met for goal in each.verdict.goals) == 1
        assert card.count('<li class="missed">') == sum(not goal.met for goal in each.verdict.goals)
    assert "at least 4.0 times as fast in batches: 2.1 times, missed by 1.9" in plain(cards[-1]) + plain(cards[0])


def test_the_verdict_is_a_sentence_of_the_numbers(site, recipes):
    called = narrative.names([model.row for model in site[2]])
    each = by_name(recipes, "mlp-half")
    row = each.model.row
    smaller = replace(
        each, model=replace(each.model, row=replace(row, size_bytes=round(each.parent.row.size_bytes / 3)))
    )
    told = said.verdict(smaller, called=called).replace("\u202f", " ")
    assert told.startswith("A third as large as mlp (")
    assert "2.1 times as fast in batches and" in told
    assert f"{abs(100 * each.paired.difference):.2f}".rstrip("0") in told
    level = replace(each, model=replace(each.parent, row=row, bundle=each.model.bundle))
    assert level.paired.difference == 0 and "exactly as accurate" in said.verdict(level, called=called)
    kept = replace(each.verdict, steps=tuple(replace(step, kept=False) for step in each.verdict.steps))
    assert said.verdict(replace(each, verdict=kept), called=called) == "No step was kept, so this is mlp again."


def test_chance_is_named_only_where_it_could_explain_the_difference(site, recipes):
    called = narrative.names([model.row for model in site[2]])
    each = by_name(recipes, "mlp-half")
    labels = each.parent.predictions.labels
    right = np.flatnonzero(each.parent.scores)
    answers = {}
    for mistakes in (1, len(right) // 2):
        predicted = each.parent.predictions.predicted.copy()
        predicted[right[:mistakes]] = (labels[right[:mistakes]] + 1) % 10
        probabilities = np.eye(10, dtype=np.float32)[predicted]
        worse = replace(each.model, predictions=replace(each.parent.predictions, probabilities=probabilities))
        answers[mistakes == 1] = said.verdict(replace(each, model=worse), called=called)
    assert "which chance could explain" in answers[True] and "chance" not in answers[False]
    assert all("lower on the test images" in told for told in answers.values())


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (
            JudgedGoal("max_top1_drop", 0.005, 0.0032, True, 0.0018),
            "at most 0.5 points lower on the validation images: 0.32 points lower, met with 0.18 points to spare",
        ),
        (
            JudgedGoal("max_top1_drop", 0.01, -0.002, True, 0.012),
            "at most 1 point lower on the validation images: 0.2 points higher, met with 1.2 points to spare",
        ),
        (
            JudgedGoal("min_speedup", 2.0, 2.0, True, 0.0),
            "at least 2.0 times as fast in batches: 2.0 times, met exactly",
        ),
        (JudgedGoal("max_bytes", 300_000, 350_000, False, -50_000), "at most 300 kB: 350 kB, missed by 50.0 kB"),
        (
            JudgedGoal("max_top1_drop", 0.02, 0.028, False, -0.008, low=-0.001, high=0.057),
            "at most 2 points lower on the validation images: 2.8 points lower, "
            "not decided: between 0.1 points higher and 5.7 points lower by so few images",
        ),
        (
            JudgedGoal("max_top1_drop", 0.02, 0.06, False, -0.04, low=0.03, high=0.09),
            "at most 2 points lower on the validation images: 6 points lower, missed by 4 points",
        ),
        (JudgedGoal("max_watts", 2, 1, True, 1), "max_watts 2: 1, met with 1 to spare"),
    ],
)
def test_a_goal_says_by_how_much(goal, words):
    assert said.goal(goal).replace("\u202f", " ") == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.33, "a third as large"), (0.5, "half as large"), (0.07, "7.0 % as large"), (1.001, "as large"), (1.5, "1.5 times as large")],
)  # fmt: skip
def test_sizes_in_words(share, words):
    assert said.large(share).replace("\u202f", " ") == words


def test_a_recipe_that_ended_early_says_where_and_counts_as_missed(site, recipes):
    each = by_name(recipes, "mlp-half")
    last = replace(each.verdict.steps[1], kept=False)
    ended = replace(
        each.verdict, met=False, ended="step 2 (quantize_static): too far", steps=(each.verdict.steps[0], last)
    )
    short = replace(each, verdict=ended)
    assert said.outcome(each) == "Its goal is met."
    assert said.outcome(short) == (
        "It ended early, which counts as missed: step 2 (quantize_static): too far. Its goal is met."
    )
    few = JudgedGoal("max_top1_drop", 0.02, 0.028, False, -0.008, low=-0.001, high=0.057)
    undecided = replace(each, verdict=replace(each.verdict, met=False, goals=(few,), images=285))
    assert said.outcome(undecided) == "285 validation images do not decide whether its goals are met."
    assert undecided.verdict.outcome == "not decided" and short.verdict.outcome == "missed"
    called = narrative.names([model.row for model in site[2]])
    markup = chapter.chapter(chapter.draw(site[2], [undecided], called=called)).markup
    assert markup.count('<li class="undecided">') == 1
    markup = chapter.chapter(chapter.draw(site[2], [short], called=called)).markup
    assert markup.count('class="dropped"') == 1 and "2. quantize_static (not kept)" in markup


def test_an_arrow_leads_from_each_parent_and_both_fronts_are_drawn(drawn, recipes):
    for drawing, column in ((drawn.latency, "latency_ms_p50"), (drawn.size, "size_bytes")):
        root = ElementTree.fromstring(drawing)
        assert (
            drawing.count('class="front before"') == drawing.count('class="front after"') == 2
        )  # one of each in the key
        words = {element.text for element in root.iter(f"{SVG}text")}
        for each in recipes:
            assert {each.model.row.name, each.parent.row.name} <= words
        assert drawing.count('class="tip"') == len(recipes), column
        assert drawing.count('class="mark compressed"') == len(recipes)
        assert "nan" not in drawing


def point(x, y, *, kind="trained", name="net"):
    return figures.ChartPoint(name, kind, x=x, y=y, low=y - 0.01, high=y + 0.01, hover=name)


def fronts(drawing):
    """The two staircases, without their samples in the key, which come last."""
    lines = re.findall(r'd="(M[^"]*)" class="front (before|after)"', drawing)
    return {when: shape for shape, when in lines[:-2]}


def test_the_front_moves_only_where_compression_moved_it():
    parent, rival, far = point(8, 0.93, name="parent"), point(1.9, 0.91, name="rival"), point(1, 0.6, name="far")
    for accuracy, moved in ((0.92, True), (0.90, False)):
        child = point(2, accuracy, kind="compressed", name="child")
        drawing = charts.moves(
            [parent, far, rival, child],
            [(parent, child)],
            score="top-1",
            price="size",
            number_format=lambda x: f"{x:g}",
        )
        lines = fronts(drawing)
        assert (lines["before"] != lines["after"]) == moved
        assert drawing.count('class="tip"') == 1
        assert ">far<" not in drawing and ">child<" in drawing and ">rival<" in drawing


def test_nothing_is_drawn_where_nothing_was_compressed(site, drawn):
    _, data, found = site
    kept = [model for model in found if model.row.kind == "trained"]
    called = narrative.names([model.row for model in kept])
    assert recipe.gather(kept) == [] and chapter.draw(kept, [], called=called) is None
    assert chapter.chapter(None).markup == ""
    pages = {}
    for compressed in (None, drawn):
        shown = found if compressed else kept
        names = narrative.names([model.row for model in shown])
        told = [chapter.chapter(compressed)]
        pages[bool(compressed)] = whole.html(shown, data, called=names, mistakes=1, chapters=told)
    assert 'id="compression"' not in pages[False] and '"#compression"' not in pages[False]
    assert pages[True].count('id="compression"') == pages[True].count('"#compression"') == 1
    assert "goals met" in pages[True] and "goals met" not in pages[False]


def test_figures_are_written_as_files_of_their_own(drawn, tmp_path):
    svg.write(drawn.files, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"compression.latency.svg", "compression.size.svg"}
    for path in tmp_path.iterdir():
        ElementTree.parse(path)
        assert "var(" not in path.read_text()


def test_a_missing_or_damaged_verdict_is_named_with_the_stage_that_makes_it(site, tmp_path):
    bundle = read.read(
        tiny.write(tmp_path / "compressed" / "small", site[1], np.zeros((64, 10), np.float32), np.zeros(10, np.float32))
    )
    with pytest.raises(UserError, match=r"verdict.json is missing; `dvc repro compress@small`"):
        verdict.read(bundle.folder)
    whole = wrote(bundle, parent="trained/mlp", goals=[WON])
    assert verdict.read(bundle.folder).goals[0] == JudgedGoal(**WON)  # the control: whole, it is read
    for spoil in ({"steps": [{"method": "half"}]}, {"speedup": None}, {"before": 3}):
        (bundle.folder / "verdict.json").write_text(json.dumps(whole | spoil))
        with pytest.raises(UserError, match=r"verdict.json is damaged .*`dvc repro --force compress@small`"):
            verdict.read(bundle.folder)


def test_a_recipe_whose_parent_is_not_reported_is_refused(site):
    orphaned = [model for model in site[2] if model.row.model != "trained/mlp"]
    with pytest.raises(UserError, match=r"parent \(=trained/mlp\) is not among the models"):
        recipe.gather(orphaned)
