"""The chapter about spoilt images: every model and corruption is in it, its words follow from the numbers, nothing is there without."""

import json
import re
from html import unescape
from xml.etree import ElementTree

import pytest
import tiny

from neocog.core.errors import UserError
from neocog.drawing import svg
from neocog.evaluation import mce, robustness
from neocog.evaluation.corruptions.suite import CORRUPTIONS
from neocog.report.robustness import chapter, figures, narrative
from neocog.report.robustness.read import read
from neocog.tasks.task import task

TOP1 = task("classification").primary

SVG = "{http://www.w3.org/2000/svg}"
CALLED = {"trained/perceptron": "perceptron", "trained/mlp": "mlp<&>"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Digits and the files that the stage leaves about a perceptron and an mlp, the baseline."""
    root = tmp_path_factory.mktemp("site")
    data = tiny.digits(root / "prepared")
    bundles = [
        tiny.train(root, data, "perceptron", epochs=1),
        tiny.train(root, data, "mlp", architecture="mlp", hidden=50),
    ]
    test = data.split("test", limit=100)
    rows = robustness.measure(bundles, test.images, test.targets, severities=[1, 3, 5])
    robustness.write(root / "robustness.csv", rows, TOP1)
    told = {"baseline": "trained/mlp", "images": 100, "models": mce.summary(rows, TOP1, baseline="trained/mlp")}
    (root / "robustness.json").write_text(json.dumps(told))
    return root, data, rows


@pytest.fixture(scope="module")
def drawn(site):
    return chapter.draw(site[1], TOP1, reports=site[0], called=CALLED)


def plain(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL))).replace(
        "\u202f", " "
    )


def test_nothing_is_drawn_where_the_stage_never_ran(site, tmp_path):
    assert chapter.draw(site[1], TOP1, reports=tmp_path, called=CALLED) is None
    assert chapter.chapter(None).markup == ""


def test_the_heat_map_has_a_cell_for_every_model_and_corruption(site, drawn):
    whole = ElementTree.fromstring(drawn.heatmap)
    cells = whole.findall(f".//{SVG}rect")
    assert len(cells) == 2 * 15
    words = [each.text for each in whole.iter(f"{SVG}text")]
    assert {"perceptron", "mlp<&>", "mCE", "JPEG compression", "Gaussian noise", "weather", "100"} <= set(words)
    hovers = [each.text for each in whole.iter(f"{SVG}title")]
    rows = [r for r in site[2] if r.model == "trained/mlp" and r.corruption == "fog"]
    mean = 100 * sum(row.score for row in rows) / 3
    assert any(f"mlp<&> under fog: {mean:.1f}" in hover for hover in hovers)


def test_the_color_is_as_deep_as_the_loss():
    depths = [figures.depth_of(lost) for lost in (-0.1, 0, 0.1, 0.3, 0.5, 0.9)]
    assert depths == sorted(depths) and depths[0] == depths[1] < depths[2] and depths[-1] == depths[-2] <= 1


def test_models_stand_by_their_mce_and_the_words_say_who_is_first(site, drawn):
    scores = {
        CALLED[model]: told["mce"]
        for model, told in json.loads((site[0] / "robustness.json").read_text())["models"].items()
    }
    assert [model.name for model in drawn.found.models] == sorted(scores, key=scores.__getitem__)
    assert scores["mlp<&>"] == 100
    first = min(scores, key=scores.__getitem__)
    words = plain(chapter.chapter(drawn).markup)
    assert f"No other model withstands better than {first}" in words or f"{first} withstands best" in words
    assert "100 test images, averaged over 3 severities" in words


def test_what_costs_most_and_least_follows_from_the_rows(site, drawn):
    def loss(name: str) -> float:
        of = {model: mce.errors(site[2], model, TOP1) for model in CALLED}
        return sum(errors[name] - errors["clean"] for errors in of.values())

    costs = {name: loss(name) for name in CORRUPTIONS}
    told = narrative.verdict(drawn.found)
    assert f"costs most is {narrative.words(max(costs, key=costs.__getitem__))}:" in told
    assert f"costs least is {narrative.words(min(costs, key=costs.__getitem__))}:" in told


def test_one_image_is_shown_as_it_is_and_under_every_corruption(drawn):
    markup = chapter.chapter(drawn).markup
    assert markup.count("data:image/png;base64,") == 16
    assert len({picture for _, picture in drawn.pictures}) >= 14, "of 8 pixels some come out alike"
    assert 'id="robustness"' in markup and "<b&" not in markup
    ElementTree.fromstring(markup)


def test_the_figure_stands_alone_in_a_file(drawn, tmp_path):
    svg.write(drawn.files, tmp_path / "figures")
    text = (tmp_path / "figures" / "robustness.svg").read_text()
    ElementTree.fromstring(text)
    assert "var(--" not in text


def test_models_that_the_page_does_not_know_are_left_out(site):
    found = read(site[0], TOP1, called={"trained/mlp": "mlp"})
    assert [model.name for model in found.models] == ["mlp"]
    assert read(site[0], TOP1, called={"trained/other": "other"}) is None
    assert "withstands" not in narrative.verdict(found), "one model is no comparison"


def test_damaged_files_are_named_with_the_remedy(site, tmp_path):
    (tmp_path / "robustness.csv").write_bytes((site[0] / "robustness.csv").read_bytes())
    for spoilt in (None, "{", '{"models": {}}'):
        if spoilt is not None:
            (tmp_path / "robustness.json").write_text(spoilt)
        with pytest.raises(UserError, match=r"robustness.json is damaged.*dvc repro --force robustness"):
            read(tmp_path, TOP1, called=CALLED)
