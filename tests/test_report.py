"""The report joins what the stages found: the leaderboard has its columns, the page is whole and needs nothing else."""

import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from math import nan
from pathlib import Path

import pytest
import tiny
import whole
from imports import ROOT

from neocog.bundle import read
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.inspect import activation_rows
from neocog.report import drawings, leaderboard, models, narrative
from neocog.report.chapters import Chapter, ordered
from neocog.report.models import JudgedModel
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification.chapters.judged import JudgedClassifier
from neocog.tasks.task import task

ODD = ("<script>alert(1)</script>", "\"quotes\" & 'more'", "a,b|c", "né 日本", "e", "f", "g")
TASK = task("classification")
COLUMNS = (
    "model,kind,architecture,year,top1,top1_low,top1_high,top5,macro_f1,ece,params,macs,size_bytes,"
    "latency_ms_p50,latency_ms_p95,throughput_ips,train_seconds,epochs,verdict"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> tuple[Path, Prepared, list[read.Bundle]]:
    """Four judged models of three kinds, on digits under odd names."""
    root = tmp_path_factory.mktemp("site")
    data = tiny.digits(root / "data" / "prepared", classes=ODD)
    bundles = [
        tiny.train(root, data, "perceptron", epochs=2),
        tiny.train(root, data, "mlp", architecture="mlp", hidden=300),
        tiny.train(root, data, "mlp", kind="tuned", architecture="mlp", hidden=60),
        tiny.train(root, data, "mlp-small", kind="compressed", architecture="mlp", hidden=8),
    ]
    tiny.judge(root, data, bundles)
    return root, data, bundles


@pytest.fixture(scope="module")
def found(site) -> list[JudgedModel]:
    root, data, bundles = site
    return models.gather(bundles, data, reports=root / "reports")


@pytest.fixture(scope="module")
def html(site, found) -> str:
    called = narrative.names([model.row for model in found])
    return whole.html(found, site[1], called=called)


class Reader(HTMLParser):
    """Tags that were opened, tags left open, addresses, and the text."""

    VOID = ("meta", "img", "input", "br", "wbr", "circle", "line", "path", "polygon", "rect", "image")

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.open, self.addresses, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def reader(html) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_rows_are_what_the_stages_measured_best_first(site, found):
    root, _, bundles = site
    assert {model.row.model for model in found} == {bundle.model for bundle in bundles}
    assert [m.row.score for m in found] == sorted((m.row.score for m in found), reverse=True)
    for model in found:
        metrics = json.loads((root / "reports" / model.row.model / "metrics.json").read_text())
        assert model.row.score == metrics["test/top1"] == pytest.approx(model.scores.mean())
        assert model.row.epochs == len(model.history["val/top1"])


def test_the_csv_has_the_promised_columns(found, tmp_path):
    leaderboard.write_csv(tmp_path / "leaderboard.csv", [model.row for model in found], TASK)
    assert (tmp_path / "leaderboard.csv").read_text().splitlines()[0] == COLUMNS
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == [model.row.model for model in found]
    assert float(rows[0]["top1"]) == pytest.approx(found[0].row.score, abs=1e-6)


def test_several_seeds_add_their_mean_and_spread_as_columns(found, tmp_path):
    several = {"top1_mean": 0.93, "top1_std": 0.002}
    rows = [replace(found[0].row, scores=found[0].row.scores | several), *(model.row for model in found[1:])]
    leaderboard.write_csv(tmp_path / "leaderboard.csv", rows, TASK)
    head, first, second, *_ = (tmp_path / "leaderboard.csv").read_text().splitlines()
    assert head == f"{COLUMNS},top1_mean,top1_std"
    assert first.endswith(",0.93,0.002") and second.endswith(",,")
    assert leaderboard.markdown(rows, TASK).splitlines()[0].endswith("| top1_mean | top1_std |")


def test_the_markdown_is_aligned_and_has_the_same_columns(found):
    lines = leaderboard.markdown([model.row for model in found], TASK).splitlines()
    assert ",".join(cell.strip() for cell in lines[0].strip("|").split("|")) == COLUMNS
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 2 + len(found)
    best = found[0].row
    assert f"{100 * best.score:.1f} %" in lines[2] and f"{100 * best.low:.1f} %" in lines[2]


def test_the_page_is_whole_small_and_refers_to_nothing_outside(html, reader):
    assert not reader.open
    assert len(html.encode()) < 5_000_000
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in reader.addresses)
    assert any(address.startswith("data:") for address in reader.addresses)
    assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(https?:)?//", html)
    assert "@import" not in html and not re.search(r"url\(", html)
    assert "<link" not in html and reader.tags.count("script") == 1


def test_the_page_says_nothing_about_the_machine(site, html):
    places = {str(site[0]), str(Path.home()), str(ROOT), sys.prefix, tempfile.gettempdir()}
    assert {place for place in places if f"{place}/" in html} == set()
    assert "reports/trained/mlp/metrics.json" in html, "control: paths within the project are named"


def test_names_of_classes_and_models_cannot_become_markup(html, reader):
    assert "<script>alert" not in html
    words = "".join(reader.words)
    for name in (*ODD, "mlp-small"):
        assert name in words


def test_the_page_shows_everything_about_every_model(found, reader):
    words = "".join(reader.words)
    for model in found:
        assert words.count(f"{100 * model.row.score:.1f}\u202f%") >= 3
    assert reader.tags.count("svg") == len(found) + len(narrative.first_of_each(found)) + 4
    pictures = sum(address.startswith("data:") for address in reader.addresses)
    inside = 1 + len(ODD) + 3  # the image, the perceptron's templates, a sheet of units for each other model
    assert pictures == len(ODD) + inside + sum(min(6, int((~model.scores).sum())) for model in found)


def section(html: str, name: str) -> str:
    return html.partition(f'<section id="{name}">')[2].partition("</section>")[0]


def test_the_inside_of_every_model_is_shown_by_year_within_its_budget(site, found, html):
    inside = section(html, "inside")
    shown = [unescape(name) for name in re.findall(r'class="inside" id="inside-\d" data-model="([^"]*)"', inside)]
    assert shown == [m.row.model for m in sorted(found, key=lambda m: (m.row.year, m.row.model))]
    assert len(inside.encode()) < 600_000 / 17 * len(found)
    assert activation_rows.NO_PLACES in inside and "7 templates, one a class" in inside and "24 of 300 units" in inside
    picked = re.search(r'title="([^"]*)"', inside)[1]
    row = list(site[1].split("test").ids).index(picked)
    right = [int(sum(model.scores[i] for model in found)) for i in range(len(found[0].scores))]
    assert right[row] == max(right)
    assert f"which {max(right)} of {len(found)} models get right" in inside


def test_the_ladder_tells_each_idea_its_paper_and_its_gain(found, html):
    rungs = section(html, "years").split("<li>")[1:]
    years = [int(re.search(r'class="year">(\d+)', rung)[1]) for rung in rungs]
    assert years == sorted(model.row.year for model in found if model.row.kind == "trained")
    first, *later = rungs
    assert "Rosenblatt, F. (1958)" in first and "Each class has a linear unit." in first
    assert not re.search(r"before it|below", first)
    assert all("Rumelhart" in rung and re.search(r"before it|below", rung) for rung in later)


def test_a_model_without_epochs_has_a_row_and_no_curve(site, found, html):
    solved = replace(found[0], row=replace(found[0].row, epochs=None, train_seconds=None), history={"val/top1": [nan]})
    called = narrative.names([model.row for model in found])
    page = whole.html([solved, *found[1:]], site[1], called=called)
    assert page.count('<td data-value="">–</td>') == 1 + html.count('<td data-value="">–</td>')
    name = called[solved.row.model]
    curves = [drawings.draw(models, called=called).learning for models in (found, [solved, *found[1:]])]
    assert [f">{name}<" in drawing for drawing in curves] == [True, False]


def test_the_same_input_gives_the_same_page(site, found, html):
    called = narrative.names([model.row for model in found])
    assert whole.html(found, site[1], called=called) == html


def test_ready_chapters_stand_in_their_order_with_name_style_and_provenance(site, found):
    called = narrative.names([model.row for model in found])
    chapters = [
        Chapter("second", "Not <first>", '<section id="second">2</section>', made="<i>how</i>", style=".second{}"),
        Chapter("nothing", "Nothing", "", made="<i>why</i>", style=".nothing{}"),
        Chapter("third", "Third", '<section id="third">3</section>'),
    ]
    page = whole.html(found, site[1], called=called, mistakes=1, chapters=chapters)
    names = re.findall(r'<a href="#(\w+)">([^<]*)</a>', page.partition("</nav>")[0])
    assert ("second", "Not &lt;first&gt;") in names and ("third", "Third") in names and "nothing" not in dict(names)
    ids = re.findall(r'<section id="(\w+)">', page)
    assert ids[ids.index("learning") : ids.index("inside") + 1] == ["learning", "second", "third", "inside"]
    assert ".second{}" in page.partition("</style>")[0] and ".nothing{}" not in page
    assert "<i>how</i>" in page and "<i>why</i>" not in page


HTML = {
    "a",
    "b",
    "div",
    "dl",
    "figcaption",
    "figure",
    "h2",
    "h3",
    "img",
    "li",
    "option",
    "p",
    "section",
    "select",
    "span",
    "table",
    "td",
    "tr",
    "ul",
}


def html_by_hand(code: str) -> list[str]:
    """The HTML elements, not those of SVG, that a Python file writes by calls of `tag`."""
    return [name for name in re.findall(r"""\btag\(\s*["'](\w+)["']""", code) if name in HTML]


def test_html_stands_in_templates():
    files = sorted((ROOT / "src/neocog").rglob("*.py"))
    assert len(files) > 200
    assert {str(path): found for path in files if (found := html_by_hand(path.read_text(encoding="utf-8")))} == {}
    assert html_by_hand('tag("circle", r=1) + tag(\n    "p", "words")') == ["p"], "the control"


def test_a_task_s_own_chapters_follow_the_ones_that_they_name():
    general = [Chapter(name, "", "<p/>") for name in ("compare", "inside")] + [Chapter("empty", "", "")]
    own = [Chapter("trust", "", "<p/>", after="compare"), Chapter("look", "", "<p/>", after="nowhere")]
    assert [each.id for each in ordered(general, own)] == ["compare", "trust", "inside", "look"]
    assert [each.id for each in ordered(general, [])] == ["compare", "inside"], "a task without chapters"


def test_another_task_s_leaderboard_has_its_primary_metric_in_the_place_of_top1(found):
    other = task("multilabel")
    scores = {name: 0.1 * i for i, name in enumerate(leaderboard.measured(other))}
    row = replace(found[0].row, metric=other.primary, scores=scores)
    better = replace(row, model="trained/better", scores=scores | {"map": 0.9})
    names = leaderboard.columns([row], other)
    assert names[:8] == ("model", "kind", "architecture", "year", "map", "map_low", "map_high", "micro_f1")
    assert "top1" not in " ".join(names) and leaderboard.ranked([row, better]) == [better, row]
    assert "| 90.0 % |" in leaderboard.markdown([better], other)
    assert (
        narrative.headline([better], data="x", called={"trained/better": "net"}) == "On x, net reaches mAP 90.0\u202f%"
    )


def test_mistakes_are_wrong_and_the_most_confident_come_first(found):
    for model in found:
        judged = JudgedClassifier(model)
        rows, wrong = judged.mistakes(5), ~model.scores
        assert wrong[rows].all()
        confidence = judged.confidence
        assert list(confidence[rows]) == sorted(confidence[wrong], reverse=True)[:5]


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("trained/mlp/metrics.json", "dvc repro evaluate@mlp"),
        ("trained/mlp/predictions.parquet", "dvc repro evaluate@mlp"),
        ("trained/mlp/history.csv", "dvc repro train@mlp"),
        ("trained/mlp/training.json", "dvc repro train@mlp"),
        ("benchmark.csv", "dvc repro benchmark"),
    ],
)
def test_a_missing_file_is_named_with_the_stage_that_makes_it(site, tmp_path, missing, remedy):
    root, data, bundles = site
    reports = tmp_path / "reports"
    shutil.copytree(root / "reports", reports)
    models.gather(bundles, data, reports=reports)  # the control: whole, it is read
    (reports / missing).unlink()
    with pytest.raises(UserError, match=f"{Path(missing).name}.*`{remedy}`"):
        models.gather(bundles, data, reports=reports)


def test_results_that_do_not_belong_together_are_refused(site, tmp_path):
    root, data, bundles = site
    reports = tmp_path / "reports"
    shutil.copytree(root / "reports", reports)
    table = (reports / "benchmark.csv").read_text().splitlines()
    (reports / "benchmark.csv").write_text("\n".join(line for line in table if not line.startswith("trained/mlp")))
    with pytest.raises(UserError, match=r"no row for trained/mlp; `dvc repro benchmark`"):
        models.gather(bundles, data, reports=reports)
    (reports / "benchmark.csv").write_text("\n".join(table))
    (reports / "trained/mlp/metrics.json").write_text('{"test/top1": 0.5}')
    with pytest.raises(UserError, match=r"top1_low.*evaluate@mlp"):
        models.gather(bundles, data, reports=reports)
    (reports / "trained/mlp/metrics.json").write_text('{"test/top1": 0.')
    with pytest.raises(UserError, match=r"metrics.json is damaged .*evaluate@mlp --force"):
        models.gather(bundles, data, reports=reports)
    other = tiny.digits(tmp_path / "other", classes=ODD[:6])
    with pytest.raises(UserError, match=r"classes: .*trained with"):
        models.gather(bundles, other, reports=reports)


def test_predictions_of_other_images_are_refused(site, tmp_path):
    root, data, bundles = site
    reports = tmp_path / "reports"
    shutil.copytree(root / "reports", reports)
    other = tmp_path / "other"
    judged = class_predictions.read(reports / "trained/mlp/predictions.parquet")
    other.mkdir()
    class_predictions.write(reports / "trained/mlp/predictions.parquet", replace(judged, ids=judged.ids[::-1]))
    with pytest.raises(UserError, match=r"about other images.*evaluate@mlp"):
        models.gather(bundles, data, reports=reports)


@pytest.mark.slow
def test_the_stages_make_the_report_from_bundles_without_torch(tmp_path):
    tiny.project(tmp_path)
    root = Path(__file__).parents[1]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pipelines import evaluate, benchmark, report;"
        "evaluate.evaluate('perceptron'); evaluate.evaluate('mlp'); benchmark.benchmark(); report.report();"
        "print(sorted({'torch', 'sklearn', 'mlflow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(root)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1] == "[]"
    assert "trained/mlp: top-1 " in told.stdout and "On digits, " in told.stdout
    made = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "reports").rglob("*") if path.is_file()}
    tables = ("per_class", "reliability", "groups", "group_confusion", "seeds")
    drawn = ("curves/accuracy_by_confidence.csv", "counts/confusion.csv")
    judged = ("metrics.json", "predictions.parquet", *(f"tables/{name}.csv" for name in tables), *drawn)
    judged += ("history.csv", "training.json")
    figures = (
        "ladder",
        "latency",
        "size",
        "learning",
        "significance",
        "confusion.trained.mlp",
        "confusion.trained.perceptron",
    )
    assert made == {
        *(f"reports/trained/{name}/{file}" for name in ("perceptron", "mlp") for file in judged),
        *(f"reports/figures/{name}.svg" for name in figures),
        *(f"reports/{file}.csv" for file in ("benchmark", "leaderboard", "pareto", "significance")),
        *(f"reports/{file}" for file in ("leaderboard.md", "report.html")),
    }
