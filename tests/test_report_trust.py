"""The chapter about trust: figures and sentences follow from what the stage evaluate wrote, and older or damaged files do no harm."""

import json
import re
import shutil
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny

from neocog.core.errors import UserError
from neocog.evaluation import predictions
from neocog.report import models, narrative
from neocog.statistics.slices import ahead
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification import tables
from neocog.tasks.classification.calibration import expected_calibration_error
from neocog.tasks.classification.chapters.judged import JudgedClassifier
from neocog.tasks.classification.chapters.trust import chapter, figures
from neocog.tasks.classification.chapters.trust import narrative as told
from neocog.tasks.classification.chapters.trust.read import read
from neocog.tasks.classification.group_gaps import gaps
from neocog.tasks.classification.temperature import fit
from neocog.tasks.classification.trust import trust

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A perceptron as the stage evaluate leaves it, with groups and seeds, and an mlp of which only the headlines are there."""
    root = tmp_path_factory.mktemp("site")
    data = tiny.digits(root / "prepared")
    bundles = [
        tiny.train(root, data, "perceptron", epochs=1),
        tiny.train(root, data, "mlp", architecture="mlp", hidden=60),
    ]
    tiny.judge(root, data, bundles)
    test, val = data.split("test"), data.split("val")
    logits = predictions.outputs(bundles[0], test.images, batch_size=256)
    scale = fit(predictions.outputs(bundles[0], val.images, batch_size=256), val.targets)
    folder = root / "reports/trained/perceptron"
    scores = json.loads((folder / "metrics.json").read_text())
    more = trust(logits, test.targets, bins=15, temperature=scale)
    judged = class_predictions.read(folder / "predictions.parquet")
    (folder / "tables").mkdir()
    tables.reliability(folder / "tables" / "reliability.csv", judged, bins=15)
    bright = np.where(
        test.images.mean(axis=(1, 2, 3)) > np.median(test.images.mean(axis=(1, 2, 3))), "bright <&>", "dark"
    )
    columns = {"light": bright.tolist()}
    tables.groups(folder / "tables" / "groups.csv", judged, columns)
    tables.group_confusion(folder / "tables" / "group_confusion.csv", judged, data.classes, columns)
    more |= gaps(judged.labels, judged.predicted, columns, classes=data.classes)
    (folder / "metrics.json").write_text(json.dumps(scores | {f"test/{name}": value for name, value in more.items()}))
    (folder / "tables" / "seeds.csv").write_text("seed,top1\n0,0.90\n1,0.92\n2,0.94\n")
    return root, data, bundles


def gathered(site, reports=None):
    root, data, bundles = site
    found = models.gather(bundles, data, reports=reports or root / "reports")
    called = narrative.names([model.row for model in found])
    return {model.row.name: read(model) for model in found}, chapter.draw(found, called=called)


def plain(markup: str) -> str:
    whole = unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL)))
    return whole.replace("\u202f", " ")


def test_the_temperature_of_the_dashed_line_is_the_one_of_the_metrics(site):
    found = gathered(site)[0]["perceptron"]
    gaps = sum(each.images * abs(each.accuracy - each.confidence) for each in found.honest)
    assert gaps / sum(each.images for each in found.honest) == pytest.approx(
        found.score("ece_at_temperature"), abs=1e-4
    )
    judged = found.model.predictions
    ece = expected_calibration_error(judged.confidence.astype(float), found.model.scores, bins=15)
    shipped = sum(each.images * abs(each.accuracy - each.confidence) for each in found.bins)
    assert shipped / len(judged.labels) == pytest.approx(ece, abs=1e-4)


def test_every_model_has_a_panel_with_its_figures_well_formed(site):
    found, drawn = gathered(site)
    markup = chapter.chapter(drawn, data="d" * 64).markup
    ElementTree.fromstring(markup)
    assert re.findall(r'id="(trust-\d)" data-model="([^"]*)"', markup) == [
        (f"trust-{i}", each.model.row.model) for i, each in enumerate(drawn.found)
    ]
    assert sum(map(bool, drawn.reliability)) == 1, "only the perceptron has the table"
    marks = ElementTree.fromstring(next(filter(None, drawn.reliability))).iter(f"{SVG}circle")
    assert len(list(marks)) == len(found["perceptron"].bins)
    assert "bright &lt;&amp;&gt;" in markup and "bright <" not in markup


def test_groups_are_those_that_came_with_the_images_and_the_classes(site):
    found = gathered(site)[0]
    assert list(found["perceptron"].groups) == ["light", "class"] and list(found["mlp"].groups) == ["class"]
    by_class = {each.value: each.score for each in found["mlp"].groups["class"]}
    model = found["mlp"].model
    for label, name in enumerate(model.bundle.classes):
        assert by_class[name] == pytest.approx(model.scores[model.predictions.labels == label].mean())
    worst, best = found["mlp"].extremes
    assert worst.score == min(by_class.values()) and best.score == max(by_class.values())
    assert f"worst on {worst.value}" in told.fair(found["mlp"])


def test_several_seeds_are_told_as_mean_and_spread_and_one_is_not(site):
    found, drawn = gathered(site)
    assert (
        told.seeds(found["perceptron"])
        .replace("\u202f", " ")
        .startswith("Trained with 3 seeds it reaches 92.0 % ± 2.0 points")
    )
    assert told.seeds(found["mlp"]) == ""
    assert "± 2.00" in chapter.chapter(drawn, data="").markup


def test_what_older_results_lack_is_left_out(site):
    found, drawn = gathered(site)
    assert told.answering(found["mlp"]) == "" and told.answering(found["perceptron"])
    words = plain(chapter.chapter(drawn, data="").markup)
    assert words.count("Area under the curve") == 1


def test_a_model_that_is_too_sure_is_called_so(site):
    found = gathered(site)[0]["perceptron"]
    lean = sum(each.images * (each.accuracy - each.confidence) for each in found.bins)
    assert found.score("ece") > told.HONEST
    assert ("more often right than it says" in told.calibrated(found)) == (lean > 0)
    assert ("too sure" in told.calibrated(found)) == (lean < 0)


def test_the_gap_has_the_interval_of_the_metrics_and_groups_are_told_how_alike_they_are(site):
    found, drawn = gathered(site)
    groups, scores = found["perceptron"].groups["light"], found["perceptron"].scores
    dark, bright = sorted(groups, key=lambda each: each.score)
    assert ahead(bright, dark) == pytest.approx(
        [scores[f"test/group_gap{end}"] for end in ("", "_low", "_high")], abs=1e-6
    )
    value, low, high = found["perceptron"].gap("demographic_parity_gap")
    assert low < value < high
    assert f"{100 * value:.1f} points [{100 * low:.1f} – {100 * high:.1f}] more often" in told.alike(
        found["perceptron"]
    )
    assert told.alike(found["mlp"]) == "", "it has no groups"
    page = plain(chapter.chapter(drawn, data="").markup)
    assert page.count("(demographic parity);") == page.count("(equalized odds)") == 1
    for each in found.values():
        gap, low, high = ahead(*reversed(each.extremes))
        assert f"{100 * gap:.1f} points [{100 * low:.1f} – {100 * high:.1f}] behind" in told.fair(each)
        assert re.search(rf"{100 * gap:.1f}\s+\[{100 * low:.1f} – {100 * high:.1f}\]", page), "in the table"


def test_many_groups_are_drawn_as_the_worst_and_the_best(site):
    from neocog.statistics.slices import Slice

    many = [Slice("site", f"s{i}", 50, i / 100, i / 100 - 0.01, i / 100 + 0.01) for i in range(100)]
    root = ElementTree.fromstring(figures.groups(many, name="mlp", overall=0.5))
    names = [each.text for each in root.iter(f"{SVG}text") if each.text.startswith("s")]
    assert len(names) == figures.MOST and "s0" in names and "s99" in names and "s50" not in names


def test_the_worst_group_shows_what_it_takes_for_what(site):
    found, drawn = gathered(site)
    worst, matrix = found["perceptron"].confused["light"]
    groups = found["perceptron"].groups["light"]
    assert worst == min(groups, key=lambda each: each.score)
    assert matrix.sum() == worst.images and np.trace(matrix) / worst.images == pytest.approx(worst.score, abs=1e-6)
    other = JudgedClassifier(found["perceptron"].model).confusion - matrix
    assert other.min() >= 0 and other.sum() == sum(each.images for each in groups) - worst.images
    page = chapter.chapter(drawn, data="digest").markup
    assert f"with light {worst.value}, the worst of that column" in plain(page)
    assert found["mlp"].confused == {}, "it has no groups, and no matrix of one"


@pytest.mark.parametrize(
    "file", ["tables/reliability.csv", "tables/groups.csv", "tables/group_confusion.csv", "tables/seeds.csv"]
)
def test_damaged_tables_are_named_with_the_remedy(site, tmp_path, file):
    shutil.copytree(site[0] / "reports", tmp_path / "reports")
    path = tmp_path / "reports/trained/perceptron" / file
    head, *_ = path.read_text().splitlines()
    path.write_text(f"{head}\n{','.join('?' for _ in head.split(','))}\n?,?\n")
    with pytest.raises(UserError, match=rf"{file} is damaged .*`dvc repro evaluate@perceptron --force`"):
        gathered(site, tmp_path / "reports")
