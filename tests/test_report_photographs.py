"""The report of a project of oblong photographs, from JPEGs of several sizes to its page in a browser."""

import json
import re

import pytest
import yaml
from pictures import picture, save
from projects import set_up, stage
from pyarrow import parquet

from neocog.bundle.read import read
from neocog.data import prepared
from neocog.evaluation import predictions

pytestmark = pytest.mark.slow
CLASSES = ("a dog on a leash", "bicycle", "Straßenbahn")
SHAPES = ((500, 375), (375, 500), (900, 300), (1200, 800))  # width, height
STAGES = (
    *("prepare", "architectures", "train short", "train long", "compress long-int8"),
    *("evaluate short", "evaluate long", "evaluate compressed/long-int8"),
    *("benchmark", "robustness", "audit", "explain", "report"),
)
PICTURES = """all => all.filter(each => each.checkVisibility()).map(each => [
  each.naturalWidth || each.width, each.naturalHeight || each.height, each.clientWidth, each.clientHeight,
  getComputedStyle(each).objectFit])"""
OUTSIDE = """all => all.filter(each => each.checkVisibility() && !each.closest(".wide, .scroll")
  && each.getBoundingClientRect().right > innerWidth).map(each => each.outerHTML.slice(0, 80))"""
ENLARGED = """all => all.filter(each => each.checkVisibility() && each.clientWidth > 1.05 * each.getAttribute("width"))
  .map(each => each.outerHTML.slice(0, 80))"""


def in_proportion(width, height, shown_width, shown_height, fit):
    """Whether a picture of these pixels is not bent where it is shown."""
    return fit == "contain" or abs(width / height / (shown_width / shown_height) - 1) < 0.05


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page about two networks of one family and what int8 made of one, on 3 classes of 96 x 144 pixels."""
    network = {"architecture": "mobilenet", "widths": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    folder = set_up(
        tmp_path_factory.mktemp("photographs") / "project",
        architectures={"short": network | {"epochs": 1}, "long": network | {"epochs": 3, "flip": 0.5}},
        tune={"architectures": [], "space": {}},
        compress={"long-int8": {"model": "trained/long", "steps": [{"method": "quantize_static"}]}},
        benchmark={"rounds": 2, "batch_size": 8},
        robustness={"images": 4, "severities": [3], "baseline": None},
        explain={"images": 1},
    )
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["data"] |= {"source": "folder", "root": "photos", "size": [96, 144], "test_fraction": 0.3}
    params["train"] |= {"batch_size": 16, "lr": 0.02}
    params["evaluate"] |= {"bootstrap": 50, "tta": "flip"}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for label, name in enumerate(CLASSES):
        for i in range(24):
            width, height = SHAPES[i % len(SHAPES)]
            save(picture(100 * label + i, width=width, height=height), folder / f"photos/{name}/{i}.jpg")
    for each in STAGES:
        script, *item = each.split()
        stage(folder, f"pipelines.{script}", *item)
    return folder / "reports/report.html"


@pytest.mark.parametrize("width", [1300, 390])
def test_it_fits_the_window_and_every_picture_is_seen(chromium, page, width):
    tab = chromium.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    tab.goto(page.as_uri())
    tab.wait_for_selector("html[data-ready=yes]")
    tab.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    seen = tab.locator("img, .tiles canvas").evaluate_all(PICTURES)
    assert len(seen) > 20
    assert [each for each in seen if not all(each[:4])] == [], "each is loaded and has a place"
    assert [each for each in seen if not in_proportion(*each)] == []
    assert tab.locator("table, img, svg.figure").evaluate_all(OUTSIDE) == []
    assert tab.locator("svg.figure[width]").evaluate_all(ENLARGED) == []
    if width > 1200:  # on a narrow window a wide table scrolls in its own box
        cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText.slice(0, 80))"
        assert tab.locator(".wide, .scroll").evaluate_all(cut) == []
    tab.add_style_tag(content="img { object-fit: fill } .faces img { width: 300px; height: 30px }")
    assert not all(in_proportion(*each) for each in tab.locator(".faces img").evaluate_all(PICTURES)), "control"
    tab.close()


def test_augmentation_in_evaluation_stands_beside_the_score_of_what_is_shipped(page):
    found = json.loads((page.parent / "trained/long/metrics.json").read_text())
    assert found["test/tta_passes"] == 2 and 0 <= found["test/tta_top1"] <= 1
    judged = parquet.read_table(page.parent / "trained/long/predictions.parquet")
    data = prepared.read(page.parents[1] / "data/prepared").split("test")
    bundle = read(page.parents[1] / "models/trained/long")
    ways = [
        predictions.outputs(bundle, images, batch_size=8) for images in (data.images[:], data.images[:][:, :, ::-1])
    ]
    assert found["test/tta_top1"] == pytest.approx((sum(ways).argmax(1) == data.targets).mean(), abs=1e-6)
    assert found["test/top1"] == pytest.approx((ways[0].argmax(1) == data.targets).mean(), abs=1e-6)
    assert len(judged) == len(data.targets)


def test_it_says_what_was_looked_at_and_how_the_networks_differ(page):
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    assert "3 classes, 144 × 96 pixels, colour" in words
    assert words.count("Sandler, M.") == 1, "the idea of both is told once"
    assert "epochs: 1, flip: 0.0" in words and "epochs: 3, flip: 0.5" in words
    assert page.stat().st_size < 3_000_000
