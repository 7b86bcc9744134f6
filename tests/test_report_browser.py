"""A reader's hands on the page, in a real browser: sorts, filters, picks, compares, hovers, turns it dark; by mouse and by keyboard."""

import re

import pytest
import tiny
import whole

from neocog.report import models, narrative, provenance, scores
from neocog.report.chapters import Chapter
from neocog.report.compare import chapter as compare
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification import tables
from neocog.tasks.classification.chapters.trust import chapter as trust
from neocog.tasks.task import task

MODELS = [  # kind, name, hidden units
    ("trained", "perceptron", 0),
    ("trained", "mlp", 200),
    ("tuned", "mlp", 60),
    ("compressed", "a-long-name-of-a-compressed-model", 8),
]

CLASSES = [  # of 1 to 40 letters, narrow and wide ones
    "a", "iii", "=1+1", "W" * 40, "an unbroken label of exactly forty letter", "Donaudampfschifffahrtsgesellschaft",
    "Hydrodynamically_stable", "<b>&amp;", "zebra crossing", "T-shirt/top",
]  # fmt: skip
FONTS = {
    "its own": "/* as it is */",
    "a wide one": "* { font-family: 'DejaVu Sans Mono', 'Liberation Mono', monospace !important; letter-spacing: 0.08em !important; }",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page about four models of three kinds on digits, written to a file; and its models, best first."""
    root = tmp_path_factory.mktemp("site")
    data = tiny.digits(root / "prepared", classes=CLASSES)
    bundles = [
        tiny.train(root, data, name, kind=kind, architecture="mlp" if hidden else "perceptron", hidden=hidden)
        for kind, name, hidden in MODELS
    ]
    tiny.judge(root, data, bundles)
    for bundle in bundles:
        folder = root / "reports" / bundle.model
        judged = class_predictions.read(folder / "predictions.parquet")
        (folder / "tables").mkdir()
        tables.reliability(folder / "tables" / "reliability.csv", judged, bins=15)
        cameras = ["a camera of a very long name, forty letters" if i % 3 else "b" for i in range(len(judged.labels))]
        tables.groups(folder / "tables" / "groups.csv", judged, {"camera": cameras})
        tables.group_confusion(folder / "tables" / "group_confusion.csv", judged, data.classes, {"camera": cameras})
    found = models.gather(bundles, data, reports=root / "reports")
    called = narrative.names([model.row for model in found])
    how = provenance.chapters(found, data, reports=root / "reports")
    duels = compare.draw(found, data, scores.scores(task("classification"), classes=10), called=called)
    chapters = [
        compare.chapter(duels, made=how["compare"]),
        trust.chapter(trust.draw(found, called=called), data=data.digest),
        Chapter("nothing", "Nothing", ""),
    ]
    html = whole.html(found, data, called=called, chapters=chapters)
    (root / "report.html").write_text(html, encoding="utf-8")
    return root / "report.html", found, called


@pytest.fixture
def opened(chromium, site):
    """Opens the page in a window; at the end nothing was asked of any network and nothing went wrong in the console."""
    wrong, windows = [], []

    def open_(**window):
        tab = chromium.new_page(**({"viewport": {"width": 1200, "height": 900}, "reduced_motion": "reduce"} | window))
        windows.append(tab)
        tab.on(
            "request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
        )
        tab.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(site[0].as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        return tab

    yield open_
    for tab in windows:
        tab.close()
    assert wrong == []


def board(tab) -> list[str]:
    return tab.eval_on_selector_all("#leaders tbody tr:not([hidden])", "rows => rows.map(row => row.dataset.model)")


def shown(tab, panel: str) -> list[str]:
    return tab.eval_on_selector_all(f".{panel}:not([hidden])[data-model]", "all => all.map(each => each.dataset.model)")


pytestmark = pytest.mark.slow


def test_the_leaderboard_is_sorted_by_mouse_and_by_keyboard(opened, site):
    tab, rows = opened(), [model.row for model in site[1]]
    assert board(tab) == [row.model for row in rows]
    size = tab.locator("#leaders th", has_text="size")
    size.locator("button").click()
    assert size.get_attribute("aria-sort") == "ascending"
    assert board(tab) == [row.model for row in sorted(rows, key=lambda row: row.size_bytes)]
    size.locator("button").focus()
    tab.keyboard.press("Enter")
    assert size.get_attribute("aria-sort") == "descending"
    assert board(tab) == [row.model for row in sorted(rows, key=lambda row: -row.size_bytes)]
    assert tab.locator("#leaders th[aria-sort]").count() == 1


def test_kinds_are_filtered_in_the_table_and_in_the_charts(opened, site):
    tab = opened()
    everything = board(tab)
    tab.get_by_label("compressed", exact=True).uncheck()
    assert board(tab) == [name for name in everything if not name.startswith("compressed")]
    assert tab.locator(".kinds output").text_content() == "3 of 4 models"
    pale = tab.eval_on_selector_all("#price .model.out", "all => all.map(each => each.dataset.kind)")
    assert pale == ["compressed", "compressed"], "one in each chart"
    tab.get_by_label("compressed", exact=True).check()
    assert board(tab) == everything and tab.locator("#price .out").count() == 0


def test_a_model_picked_anywhere_is_picked_everywhere(opened, site):
    tab, (first, *_, last) = opened(), [model.row.model for model in site[1]]
    assert [len(shown(tab, panel)) for panel in ("look", "inside", "trust")] == [1, 1, 1]
    tab.locator(f'#leaders tr[data-model="{last}"] a').click()
    assert [shown(tab, panel) for panel in ("look", "inside", "trust")] == [[last]] * 3
    top = tab.locator(f'.look[data-model="{last}"]').bounding_box()["y"]
    assert 0 < top < 200, "the link led there"
    tab.get_by_label("Model", exact=True).last.select_option(site[2][first])
    assert [shown(tab, panel) for panel in ("look", "inside", "trust")] == [[first]] * 3
    mark = tab.locator(f'#price svg .model[data-model="{last}"]').first
    mark.focus()
    tab.keyboard.press("Enter")
    assert [shown(tab, panel) for panel in ("look", "inside", "trust")] == [[last]] * 3
    assert "picked" in mark.get_attribute("class")
    assert tab.locator("#picked").text_content().startswith(f"{site[2][last]} is picked")
    assert tab.locator("#duel-one").evaluate("each => each.selectedOptions[0].textContent") == site[2][last]


def test_a_mark_tells_what_it_is_to_pointer_and_keyboard(opened, site):
    tab, row = opened(), site[1][0].row
    mark = tab.locator(f'#price svg .model[data-model="{row.model}"]').first
    tip = tab.locator("#tip")
    assert tip.is_hidden()
    mark.locator(".mark").hover()
    words = tip.text_content()
    assert site[2][row.model] in words and f"{100 * row.score:.1f}" in words and "ms" in words and "kB" in words
    box, window = tip.bounding_box(), tab.viewport_size
    assert box["x"] >= 0 and box["x"] + box["width"] <= window["width"]
    tab.mouse.move(2, 2)
    assert tip.is_hidden()
    mark.focus()
    assert tip.is_visible() and mark.get_attribute("aria-label").replace(": ", "", 1) == words
    tab.keyboard.press("Escape")
    assert tip.is_hidden()


def test_any_two_models_are_compared_with_pictures(opened, site):
    tab, (_, found, called) = opened(), site
    one, other = found[0], found[-1]
    tab.locator("#duel-one").select_option(called[one.row.model])
    tab.locator("#duel-other").select_option(called[other.row.model])
    only = int((one.scores & ~other.scores).sum())
    places = tab.locator(".any-two .only")
    assert f"Only {called[one.row.model]} is right: {only} images" in places.first.text_content()
    assert 0 < places.first.locator("canvas").count() <= 12
    pixels = "each.getContext('2d').getImageData(0, 0, each.width, each.height).data"
    inked = f"all => all.every(each => {pixels}.some((value, i) => i % 4 < 3 && value > 0))"
    assert places.first.locator("canvas").evaluate_all(inked), "every picture shows something"
    said = tab.locator(".any-two .verdict").text_content()
    gap = 100 * (one.row.score - other.row.score)
    assert f"{called[one.row.model]} is {gap:.2f} points ahead of {called[other.row.model]}" in said
    first = tab.locator(".sides-by-side tbody tr").first.locator("td")
    assert first.nth(2).text_content() == f"+{gap:.2f} points"
    tab.locator('.duel[data-pair="0,1"]').click()
    assert tab.locator("#duel-other").input_value() == "1"
    tab.locator("#duel-other").select_option("0")
    assert "two different" in tab.locator(".any-two .verdict").text_content()


def test_it_turns_dark_by_system_and_by_hand(opened):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = opened(color_scheme="light"), opened(color_scheme="dark")
    colors = [tab.evaluate(paper) for tab in (light, dark)]
    assert colors[0] != colors[1]
    for tab, other in ((light, colors[1]), (dark, colors[0])):
        tab.locator("#scheme").click()
        assert tab.evaluate(paper) == other
    dark.emulate_media(media="print")
    assert dark.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("width", [390, 1300, 2560])
def test_nothing_is_wider_than_the_window(opened, width, font):
    tab = opened(viewport={"width": width, "height": 800})
    tab.add_style_tag(content=FONTS[font])
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    if width > 1200:  # on a narrow one a table scrolls within its own box
        wider = (
            "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText.slice(0, 80))"
        )
        assert tab.locator(".wide, .scroll").evaluate_all(wider) == []
    tab.evaluate("document.body.append(Object.assign(document.createElement('pre'), {style: 'width: 3000px'}))")
    assert tab.evaluate("document.documentElement.scrollWidth") > width, "control"


OVERLAPS = """all => {
  const corners = (text) => {
    const { x, y, width, height } = text.getBBox(), matrix = text.getScreenCTM();
    const [top, bottom] = [y + 0.22 * height, y + 0.78 * height];  // letters, without the air of their line
    return [[x, top], [x + width, top], [x + width, bottom], [x, bottom]].map(([a, b]) => new DOMPoint(a, b).matrixTransform(matrix));
  };
  const apart = (one, other) => [[one[0], one[1]], [one[1], one[2]], [other[0], other[1]], [other[1], other[2]]].some(([a, b]) => {
    const along = (p) => p.x * (b.x - a.x) + p.y * (b.y - a.y), [s, t] = [one.map(along), other.map(along)];
    return Math.max(...s) <= Math.min(...t) || Math.max(...t) <= Math.min(...s);
  });
  const found = [];
  for (const svg of all.filter((each) => each.checkVisibility())) {
    const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, corners(text)]), box = svg.getBoundingClientRect();
    texts.forEach(([words, one], i) => {
      if (one.some((p) => p.x < box.left - 2 || p.x > box.right + 2)) found.push(`${words} leaves its figure`);
      for (const [other, two] of texts.slice(i + 1)) if (!apart(one, two)) found.push(`${words} | ${other}`);
    });
  }
  return found;
}"""


@pytest.mark.parametrize("font", FONTS)
def test_no_word_in_a_figure_covers_another(opened, font):
    tab = opened(viewport={"width": 1300, "height": 800})
    tab.add_style_tag(content=FONTS[font])
    figures = tab.locator("svg.figure")
    assert figures.evaluate_all("all => all.filter(each => each.checkVisibility()).length") > 8
    assert figures.evaluate_all(OVERLAPS) == []
    tab.evaluate("for (const each of document.querySelectorAll('svg text')) each.removeAttribute('textLength')")
    if font != "its own":
        assert figures.evaluate_all(OVERLAPS) != [], "control: in this font it would"


def test_every_figure_of_the_page_says_how_it_was_made(opened, site):
    tab = opened()
    silent = "all => all.filter(each => each.querySelector('svg.figure') && !each.querySelector('details.made')).length"
    assert tab.locator("main figure").evaluate_all(silent) == 0
    assert tab.locator("details.made").count() > 10
    assert site[0].stat().st_size < 5_000_000


def test_it_reads_without_a_script(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(site[0].as_uri())
    assert len(re.findall(r'class="look" id="look-\d"', tab.content())) == len(site[1])
    assert tab.locator(".look:visible").count() == len(site[1])
    assert (
        tab.locator(".any-two").is_hidden() and tab.locator(".kinds").is_hidden() and tab.locator("#scheme").is_hidden()
    )
    assert tab.locator("#compare svg").is_visible()
    context.close()
