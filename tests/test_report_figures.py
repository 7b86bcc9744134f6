"""Figures: names never cover each other, ticks are round, the Pareto front is the front, every confusion is drawn."""

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.drawing import images, numbers, svg
from neocog.drawing.label_placement import Box, place
from neocog.drawing.svg import Scale
from neocog.report import curves, figures
from neocog.report.curves import LearningCurve
from neocog.report.figures import ChartPoint
from neocog.tasks.classification.chapters import confusion
from neocog.tasks.task import task

ROOM = Box(0, 0, 1000, 400)
spots = st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 400)), min_size=1, max_size=17)


def point(x: float, y: float, *, name: str = "net", kind: str = "trained") -> ChartPoint:
    return ChartPoint(name, kind, x=x, y=y, low=max(0.0, y - 0.01), high=min(1.0, y + 0.01), hover=f"{name} <{kind}>")


@given(spots)
def test_names_never_cover_each_other_and_stay_in_the_chart(spots):
    labels = place([(x, y, f"network {i}") for i, (x, y) in enumerate(spots)], obstacles=[], within=ROOM)
    boxes = [label.box for label in labels if label]
    assert all(ROOM.holds(box) for box in boxes)
    assert not any(a.overlap(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_seventeen_models_of_one_decade_are_all_named():
    draw = np.random.default_rng(0)
    crowd = [(float(draw.uniform(700, 900)), float(draw.uniform(60, 200)), f"architecture {i}") for i in range(17)]
    assert all(place(crowd, obstacles=[], within=ROOM))


def test_a_name_goes_where_no_line_is():
    line = Box(100, 195, 900, 205)  # right of the point, where a name would go first
    free, crossed = (place([(100, 200, "resnet")], obstacles=walls, within=ROOM)[0] for walls in ([], [line]))
    assert free.box.overlap(line) > 0
    assert crossed.box.overlap(line) == 0


def test_no_leader_of_a_crowded_ladder_runs_through_a_name():
    years = (1958, 1960, 1962, 1986, 1995, 1998, 2006, 2012, 2014, 2014, 2015, 2016, 2018, 2018, 2019, 2020, 2021)
    scores = (827, 806, 834, 885, 889, 893, 887, 912, 921, 918, 925, 928, 915, 913, 923, 897, 929)
    crowd = [
        (150 + 5 * (year - 1958), 300 - 1.2 * (score - 800), f"network{i}")
        for i, (year, score) in enumerate(zip(years, scores, strict=True))
    ]
    marks = [Box(x - 7, y - 7, x + 7, y + 7) for x, y, _ in crowd]
    labels = place(crowd, obstacles=marks, within=Box(0, 0, 560, 330))
    assert all(labels) and any(label.led for label in labels)
    for label in labels:
        others = [other.box for other in labels if other is not label]
        assert not label.led or not any(box.crossing(label.start, label.near) for box in others)


def test_the_part_of_a_line_in_a_box_is_measured():
    box = Box(10, 10, 20, 20)
    assert box.crossing((0, 15), (40, 15)) == box.crossing((40, 15), (0, 15)) == pytest.approx(10)
    assert box.crossing((15, 15), (15, 90)) == pytest.approx(5)
    assert box.crossing((0, 0), (30, 30)) == pytest.approx(200**0.5)
    assert box.crossing((0, 25), (40, 25)) == box.crossing((0, 15), (9, 15)) == 0


@given(st.floats(0.01, 0.98), st.floats(0.01, 1))
def test_ticks_are_round_few_and_inside(low, width):
    ticks = Scale(low, low + width, 0, 100).ticks(5)
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-9 <= tick <= low + width + 1e-9 for tick in ticks)
    assert all(len(f"{tick:.10f}".rstrip("0").replace("0.", "").lstrip("0")) <= 4 for tick in ticks)


def test_ticks_of_a_log_scale_are_ones_twos_and_fives():
    assert Scale(0.015, 1.2, 0, 1, log=True).ticks(4) == [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    assert Scale(1e3, 1e8, 0, 1, log=True).ticks(4) == [1e3, 1e4, 1e5, 1e6, 1e7, 1e8]


@given(st.floats(1e-3, 1e9), st.booleans())
def test_a_scale_ends_where_it_should(low, log):
    scale = Scale(low, low * 7, 10, 90, log=log)
    assert (scale(low), scale(low * 7)) == (pytest.approx(10), pytest.approx(90))


def test_the_front_is_what_nothing_beats():
    cheap, good, dear, beaten, equal = point(1, 0.8), point(3, 0.9), point(9, 0.95), point(5, 0.85), point(4, 0.9)
    assert figures.front([dear, beaten, cheap, equal, good]) == [cheap, good, dear]


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(0, 1)), min_size=1, max_size=12))
def test_nothing_beats_the_front_and_it_beats_all_others(pairs):
    points = [point(x, y) for x, y in pairs]
    front = figures.front(points)
    for p in points:
        assert any(f.x <= p.x and f.y >= p.y for f in front)
    assert all(a.x < b.x and a.y < b.y for a, b in pairwise(front))


@pytest.mark.parametrize("n", [1, 2, 5, 17])
def test_charts_are_well_formed_and_name_every_model(n):
    kinds = ("trained", "tuned", "compressed")
    points = [point(1958 + 4 * i, 0.5 + 0.02 * i, name=f"<net & {i}>", kind=kinds[i % min(n, 3)]) for i in range(n)]
    learned = [
        LearningCurve(p.name, val=[0.3, 0.5, p.y][: 1 + i % 3], train=[0.4, float("nan"), p.y])
        for i, p in enumerate(points)
    ]
    drawn = [
        figures.ladder(points, score="top-1"),
        figures.tradeoff(points, score="top-1", price="size", number_format=lambda value: f"{value:g}"),
        curves.learning(learned, metric=task("classification").primary),
    ]
    for drawing in drawn:
        words = {text.text for text in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")}
        assert {p.name for p in points} <= words
        assert "nan" not in drawing
    assert ("compressed" in drawn[0].rpartition("<g>")[2]) == (n > 2)  # a key only where there is more than one kind


def test_a_figure_that_stands_alone_is_well_formed_and_knows_its_colours():
    drawing = figures.ladder([point(1958, 0.8), point(2015, 0.9)], score="top-1")
    alone = svg.standalone(drawing, style=svg.resolved(":root { --ink: #123; } .figure { fill: var(--ink); }"))
    root = ElementTree.fromstring(alone)
    assert "fill: #123" in root[0].text
    assert root.get("viewBox").startswith("-16 -16 ")


def test_every_confusion_is_drawn_with_its_numbers():
    matrix = np.array([[8, 2, 0], [0, 10, 0], [1, 0, 0]])
    drawing = ElementTree.fromstring(confusion.heatmap(matrix, ["a", "<b>", "c"], name="net"))
    hovers = [t.text for t in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert f"true a, predicted <b>: 2 (20.0{numbers.THIN}%)" in hovers
    assert len(hovers) == 1 + 4  # the figure itself, and each cell that is not empty


def test_a_matrix_of_many_classes_is_one_small_picture():
    draw = np.random.default_rng(0)
    matrix = draw.integers(0, 20, (100, 100))
    drawing = confusion.heatmap(matrix, [f"a class with a long name, number {i}" for i in range(100)], name="net")
    assert drawing.count("<image") == 1 and "<rect" in drawing
    assert len(drawing) < 60_000
    assert ">a class with a long" in drawing and "…<" in drawing


def test_the_worst_mixups_come_first_and_right_answers_are_none():
    matrix = np.array([[5, 3, 0], [1, 9, 0], [0, 4, 6]])
    found = confusion.mixups(matrix, "abc", most=2)
    assert [(m.actual, m.predicted, m.times, m.share) for m in found] == [("c", "b", 4, 0.4), ("a", "b", 3, 0.375)]
    assert confusion.mixups(np.eye(3, dtype=int), "abc", most=9) == []


def test_pictures_keep_their_pixels_and_fit_the_budget():
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (200, 100, 3), dtype=np.uint8)
    back = np.asarray(Image.open(BytesIO(b64decode(images.png(image).partition(",")[2]))))
    np.testing.assert_array_equal(back, image)
    assert images.shrunk(image, side=50).shape == (50, 25, 3)
    assert images.shrunk(image[..., :1], side=50).shape == (50, 25, 1)
    assert images.shrunk(image, side=200) is not None and images.shrunk(image, side=200).shape == image.shape
    side = images.largest_side([image] * 10, budget=60_000)
    assert sum(len(images.picture(images.shrunk(image, side=side))) for _ in range(10)) <= 60_000
    assert images.picture(image[:64, :64]) == images.png(image[:64, :64]), "small ones keep their pixels"
    large = np.asarray(Image.fromarray(image[:5, :5]).resize((112, 112)))
    seen = Image.open(BytesIO(b64decode(images.picture(large).partition(",")[2])))
    assert seen.format == "JPEG" and np.abs(np.asarray(seen, int) - large).mean() < 4
    assert 3 * len(images.picture(large)) < len(images.png(large))


@pytest.mark.parametrize(
    ("written", "known"),
    [
        (numbers.percent(0.9312), "93.1_%"),
        (numbers.points(0.0123), "1.2 points"),
        (numbers.count(61_706), "61.7k"),
        (numbers.count(999_950), "1.00M"),
        (numbers.count(12), "12"),
        (numbers.size(45_312), "45.3_kB"),
        (numbers.size(2_000_000, digits=1), "2_MB"),
        (numbers.milliseconds(0.1234), "0.123_ms"),
        (numbers.milliseconds(0.02, digits=1), "0.02_ms"),
        (numbers.significant(95_512), "95,500"),
        (numbers.significant(0), "0"),
        (numbers.duration(4.21), "4.2_s"),
        (numbers.duration(59.7), "1:00_min"),
        (numbers.duration(95), "1:35_min"),
        (numbers.duration(4000), "1:07_h"),
        (numbers.times(7.24), "7.2 times"),
        (numbers.times(41.6), "42 times"),
    ],
)
def test_numbers_are_written_for_people(written, known):
    assert written.replace(numbers.THIN, "_") == known
