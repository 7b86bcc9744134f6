"""A sweep in the report: every trial is drawn and listed, the verdict follows from the numbers, and what mattered is found."""

import csv
import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from neocog import report
from neocog.core.errors import UserError
from neocog.drawing import numbers, svg
from neocog.report.sweeps import chapter as section
from neocog.report.sweeps import figures, importance, narrative, parallel, read
from neocog.tasks.task import task

TOP1 = task("classification").primary

SPACE = {
    "lr": {"log_uniform": [0.01, 1.0]},
    "weight_decay": {"log_uniform": [1e-5, 1e-2]},
    "optimizer": {"choice": ["sgd", "adam"]},
    "widths": {"choice": [[6, 16], [12, 32]]},
    "units": {"integer": [32, 256]},
    "label_smoothing": {"uniform": [0, 0.3]},
}
TODAY = {"lr": 0.08, "weight_decay": 5e-4, "optimizer": "sgd", "widths": [6, 16], "units": 128, "label_smoothing": 0.1}
SVG = "{http://www.w3.org/2000/svg}"
Line = dict[str, Any]


def drawn_from(space: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    """One value a key."""
    values = {}
    for key, spec in space.items():
        ((kind, bounds),) = spec.items()
        values[key] = {
            "log_uniform": lambda b: math.exp(chance.uniform(math.log(b[0]), math.log(b[1]))),
            "uniform": lambda b: chance.uniform(*b),
            "integer": lambda b: chance.randint(*b),
            "choice": chance.choice,
        }[kind](bounds)
    return values


def lines(n: int, *, space: Mapping[str, Any] = SPACE, today: Mapping[str, Any] = TODAY, seed: int = 0) -> list[Line]:
    """Trials whose val/top1 depends on lr above all; half of the bad ones were stopped early, a huge lr diverged."""
    chance = random.Random(seed)
    found: list[Line] = []
    for number in range(n):
        values = dict(today) if number == 0 else drawn_from(space, chance)
        top1 = 0.91 - 0.05 * math.log10(values["lr"] / 0.2) ** 2 + chance.gauss(0, 0.002)
        line: Line = {"trial": number, "status": "finished", "epochs": 3, "seconds": 6.5 + number}
        line |= {"val/top1": round(top1, 6), "val/loss": 0.42} | values
        if number and values["lr"] > 0.85:
            line |= {"status": "failed", "epochs": 0, "val/top1": "", "val/loss": ""}
        elif number % 2 and top1 < 0.9:
            line |= {"status": "stopped", "epochs": 1, "val/top1": round(top1 - 0.01, 6)}
        found.append(line)
    return found


def wrote(folder: Path, trials: list[Line], *, space: Mapping[str, Any] = SPACE, **told: Any) -> Path:
    """A tuned bundle's folder with trials.csv and best.yaml, as the sweep's stage leaves them."""
    folder.mkdir(parents=True)
    with (folder / "trials.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(trials[0]), lineterminator="\n")
        table.writeheader()
        for line in trials:
            cells = {key: json.dumps(cell) if isinstance(cell, list) else cell for key, cell in line.items()}
            table.writerow({key: "" if cell is None else cell for key, cell in cells.items()})
    scored = [line for line in trials if line["status"] == "finished"]
    best = max(scored, key=lambda line: line["val/top1"])
    content = {
        "trial": best["trial"],
        "values": {key: best[key] for key in space},
        "better": True,
        "baseline": {"val/top1": 0.928},
        "val/top1": 0.931,
        "difference": 0.003,
        "low": 0.0005,
        "high": 0.0055,
        "p_value": 0.03,
        "seeds": [0, 1],
        "spread": 0.002,
        "space": space,
        "searcher": "random",
        "scheduler": "asha",
    }
    (folder / "best.yaml").write_text(yaml.safe_dump(content | told, sort_keys=False))
    return folder


@pytest.fixture
def found(tmp_path) -> read.Sweep:
    """A sweep of 16 trials, of which some were stopped and some failed."""
    whole = read.read(wrote(tmp_path / "resnet", lines(16)), TOP1)
    assert {trial.status for trial in whole.trials} == {"finished", "stopped", "failed"}
    return whole


def words(drawing: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def hovers(drawing: str) -> list[str]:
    """What the pointer is told, without the name of the drawing itself."""
    return [element.text or "" for element in ElementTree.fromstring(drawing).iter(f"{SVG}title")][1:]


def test_a_sweep_is_read_back_as_it_was_written(tmp_path):
    told = lines(4)
    told[1] |= {"units": None, "status": "failed", "val/top1": "nan"}
    whole = read.read(wrote(tmp_path / "resnet", told), TOP1)
    assert whole.name == "resnet" and list(whole.space) == list(SPACE)
    assert [trial.number for trial in whole.trials] == [0, 1, 2, 3]
    assert whole.trials[0].values == TODAY
    assert whole.trials[1].score is None and "units" not in whole.trials[1].values
    assert whole.trials[0].score == told[0]["val/top1"] and whole.trials[0].seconds == 6.5


@pytest.mark.parametrize("name", ["trials.csv", "best.yaml"])
def test_a_missing_or_damaged_file_is_named_with_the_stage_that_makes_it(tmp_path, name):
    folder = wrote(tmp_path / "resnet", lines(4))
    read.read(folder, TOP1)  # the control: whole, it is read
    whole = (folder / name).read_text()
    for broken in (whole.replace("lr", "rl"), whole.replace("finished", "odd").replace("trial: ", "trial: 9")):
        (folder / name).write_text(broken)
        with pytest.raises(UserError, match=r"(trials.csv|best.yaml) is damaged .*`dvc repro --force tune@resnet`"):
            read.read(folder, TOP1)
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is missing; `dvc repro tune@resnet`"):
        read.read(folder, TOP1)


def test_what_matters_most_is_found_quietly_and_always_the_same(found, capfd, recwarn):
    shares = importance.importances(found)
    assert next(iter(shares)) == "lr" and shares["lr"] > 0.4
    assert set(shares) == set(SPACE) and sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert shares == importance.importances(found)
    assert capfd.readouterr() == ("", "")
    assert not [str(told) for told in recwarn if "optuna" in str(told.filename)]


def test_nothing_is_said_of_what_matters_from_trials_that_cannot_tell(found, tmp_path):
    few = replace(found, trials=found.trials[: 1 + [t.number for t in importance.comparable(found)][2]])
    assert len(importance.comparable(few)) == 3 and importance.importances(few) == {}
    assert narrative.unexplained(few).startswith("3 trials can be compared") and section.draw(few).importance == ""
    assert "too few to say which settings matter" in section.chapter([section.draw(few)]).markup
    alike = replace(found, trials=tuple(replace(trial, score=0.9) for trial in found.trials))
    assert importance.importances(alike) == {} and "came out alike" in narrative.unexplained(alike)


def test_only_trials_inside_the_space_are_compared(tmp_path):
    told = lines(10, today=TODAY | {"weight_decay": 0.0})
    told[1]["units"] = None
    whole = read.read(wrote(tmp_path / "resnet", told), TOP1)
    failed = {line["trial"] for line in told if line["status"] == "failed"}
    assert {trial.number for trial in importance.comparable(whole)} == set(range(2, 10)) - failed
    assert importance.importances(whole)


def test_the_heavy_imports_wait_until_something_is_drawn():
    heavy = {"optuna", "sklearn", "torch", "ray", "pandas"}
    code = f"import sys; from neocog.report.sweeps import chapter; print(sorted({heavy} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("n", [1, 2, 8, 60])
def test_every_trial_is_in_every_drawing(tmp_path, n):
    whole = read.read(
        wrote(tmp_path / "resnet", lines(n, today=TODAY | {"weight_decay": 0.0, "optimizer": "lion"})), TOP1
    )
    told = sorted(trial.description for trial in whole.trials)
    for drawing in (figures.history(whole), parallel.parallel(whole)):
        assert set(hovers(drawing)) == set(told)
        assert "nan" not in drawing
    assert sorted(hovers(figures.history(whole))) == told
    axes = words(parallel.parallel(whole))
    assert {*SPACE, "val/top1", "lion", "[12,32]", "today's settings"} <= set(axes)


def test_the_mark_of_a_trial_tells_its_status(found):
    drawing = figures.history(found)
    counts = {status: sum(t.status == status for t in found.trials) for status in ("finished", "stopped", "failed")}
    shapes = [drawing.count(f'class="{shape}"') for shape in ("mark finished", "mark stopped", "cross")]
    in_key = 1
    assert shapes == [counts["finished"] - 1 + in_key, counts["stopped"] + in_key, 2 * (counts["failed"] + in_key)]
    assert drawing.count('class="mark tuned"') == drawing.count('class="ring"') == 1  # the winner; today's settings
    assert {"finished", "stopped early", "failed", f"trial {found.verdict.trial}", "today's settings"} <= set(
        words(drawing)
    )


def test_the_best_so_far_only_rises_and_ends_at_the_best(found):
    drawing = figures.history(found)
    steps = re.search(r'd="M([^"]*)" class="record"', drawing)[1]
    heights = [float(point.split(",")[1]) for point in steps.split("L")]
    assert heights == sorted(heights, reverse=True) and len(set(heights)) > 1  # downwards in pixels is up
    best = max(found.scored, key=lambda trial: trial.score)
    y = figures.accuracies(found, bottom=figures.HEIGHT - 62, top=48)
    assert heights[-1] == pytest.approx(y(best.score), abs=0.01)


def test_a_hopeless_trial_does_not_flatten_the_others_and_is_owned_up_to(found):
    assert narrative.edge(found) == ""
    lost = replace(found, trials=(*found.trials, replace(found.trials[0], number=16, score=0.1)))
    assert figures.accuracies(lost, bottom=0, top=1).low > 0.6
    assert narrative.edge(lost).startswith("1 trial below ") and "is drawn on the lower edge" in narrative.edge(lost)
    assert "is drawn on the lower edge" in section.chapter([section.draw(lost)]).markup


def test_log_axes_step_by_ratio_and_zero_has_a_place_of_its_own(found):
    def spots(key: str, *values: float) -> list[float]:
        trials = [replace(found.trials[0], number=i, values={key: value}) for i, value in enumerate(values)]
        axis = parallel._axis(key, found.space[key], replace(found, trials=tuple(trials)))
        return [axis.spots[i] for i in range(len(values))]

    low, middle, high = spots("lr", 0.01, 0.1, 1.0)
    assert middle == pytest.approx((low + high) / 2) and high < low
    low, middle, high = spots("label_smoothing", 0.0, 0.1, 0.3)
    assert middle - high == pytest.approx(2 * (low - middle))
    zero, least = spots("weight_decay", 0.0, 1e-5)
    assert zero == parallel.BOTTOM and zero - least > 20


def test_a_line_is_broken_where_a_trial_has_no_value(found):
    def pieces(trial: read.SweepTrial) -> int:
        return parallel.parallel(replace(found, trials=(*found.trials[:-1], trial))).count('class="reach"')

    last = found.trials[-1]
    whole = pieces(last)
    assert pieces(replace(last, values={k: v for k, v in last.values.items() if k != "optimizer"})) == whole + 1


def test_better_trials_are_bluer_and_the_winner_lies_on_top(found):
    drawing = ElementTree.fromstring(parallel.parallel(found))
    runs = [group for group in drawing.iter(f"{SVG}g") if (group.get("class") or "").startswith("run ")]
    assert len(runs) == len(found.trials) and runs[-1].get("class") == "run won"
    by_title = {trial.description: trial.score for trial in found.trials}
    blue = [
        (by_title[run[0].text], float(stroke.get("stroke-opacity")))
        for run in runs
        for stroke in run
        if stroke.get("class") == "good"
    ]
    assert len(blue) > 5
    assert [share for _, share in sorted(blue)] == sorted(share for _, share in blue)


def said(whole: read.Sweep, **changes: Any) -> str:
    verdict = replace(whole.verdict, **changes)
    return narrative.verdict(replace(whole, verdict=verdict)).replace(numbers.THIN, " ")


def test_the_verdict_follows_from_the_numbers(found):
    values = TODAY | {"lr": 0.31, "optimizer": "adam"}
    count = {status: sum(trial.status == status for trial in found.trials) for status in ("stopped", "failed")}
    ends = f"{count['stopped']} stopped early, {count['failed']} failed"
    begin = f"resnet: of 16 trials ({ends}), number 5 was best (lr 0.31, optimizer adam)."
    better = said(found, trial=5, values=values)
    assert better == (
        f"{begin} Trained in full it reaches 93.1 % (± 0.2 over 2 seeds) on validation, 0.3 points above today's settings at 92.8 % "
        "(95 % interval 0.1 to 0.5, p = 0.03), so the tuned model has its settings."
    )
    lucky = said(found, trial=5, values=values, better=False, low=-0.001, p_value=0.2, spread=None)
    assert "reaches 93.1 % on validation, 0.3 points above" in lucky and "interval −0.1 to 0.5, p = 0.2)" in lucky
    assert lucky.endswith("which chance could explain, so today's settings stay.")
    worse = said(found, trial=5, values=values, better=False, difference=-0.02, p_value=1e-9)
    assert "2.0 points below today's settings" in worse and worse.endswith(
        "p < 0.001), no better, so today's settings stay."
    )
    assert "level with today's settings at 92.8 %" in said(found, trial=5, values=values, better=False, difference=0.0)


def test_where_today_is_best_nothing_was_measured_and_it_stays(tmp_path):
    nothing = dict.fromkeys(("val/top1", "difference", "low", "high", "p_value", "spread"))
    folder = wrote(tmp_path / "resnet", lines(3), trial=0, values={}, better=False, seeds=[], **nothing)
    told = narrative.verdict(read.read(folder, TOP1))
    assert told.startswith("resnet: of 3 trials") and told.endswith(
        "number 0, today's settings, was best, so they stay."
    )
    assert "today's settings" in words(parallel.parallel(read.read(folder, TOP1)))


def test_the_section_has_a_verdict_a_panel_and_a_table_for_each_architecture(found, tmp_path):
    other = read.read(wrote(tmp_path / "lenet", lines(8, seed=2)), TOP1)
    html = section.chapter([section.draw(found), section.draw(other)]).markup
    root = ElementTree.fromstring(html)
    assert root.get("id") == "tuning"
    assert [p.find("b").text for p in root.iter("p") if p.get("class") == "verdict"] == ["resnet", "lenet"]
    assert [option.get("value") for option in root.iter("option")] == ["sweep-0", "sweep-1"]
    for i, whole in enumerate((found, other)):
        panel = next(section for section in root.iter("section") if section.get("id") == f"sweep-{i}")
        assert len(list(panel.iter(f"{SVG}svg"))) == 3
        assert [b.text for b in panel.iter("button")][6:] == list(SPACE)
        scores = [row[4].get("data-value") for row in panel.find(".//tbody")]
        known = [float(score) for score in scores if score]
        assert known == sorted((t.score for t in whole.scored), reverse=True) == known
        assert len(scores) == len(whole.trials) and not any(scores[len(known) :])
    assert section.chapter([]).markup == ""


def test_names_and_settings_cannot_become_markup(tmp_path):
    space = SPACE | {"optimizer": {"choice": ["<script>alert(1)</script>", 'a & "b"']}}
    trials = lines(8, space=space, today=TODAY | {"optimizer": "<i>"})
    whole = replace(read.read(wrote(tmp_path / "resnet", trials, space=space), TOP1), name="<b>&")
    html = section.chapter([section.draw(whole)]).markup
    assert "<script" not in html and "<i>" not in html and "&lt;script&gt;" in html
    ElementTree.fromstring(html)


def test_the_same_sweep_gives_the_same_section(found):
    assert section.chapter([section.draw(found)]).markup == section.chapter([section.draw(found)]).markup


def test_the_figures_are_files_of_their_own_that_know_their_colours(found, tmp_path):
    svg.write(section.draw(found).files, tmp_path / "figures")
    files = sorted((tmp_path / "figures").iterdir())
    assert [file.name for file in files] == [
        f"sweep.resnet.{name}.svg" for name in ("history", "importance", "parallel")
    ]
    for file in files:
        root = ElementTree.fromstring(file.read_text())
        assert "var(" not in root[0].text and ".figure .run .good" in root[0].text


@pytest.mark.slow
def test_in_a_browser_trials_are_sorted_and_one_sweep_is_shown_at_a_time(chromium_path, found, tmp_path):
    other = read.read(wrote(tmp_path / "lenet", lines(8, seed=2)), TOP1)
    html = section.chapter([section.draw(found), section.draw(other)]).markup
    scripts = Path(report.__file__).parent
    script = (scripts / "sort.js").read_text() + (scripts / "pick.js").read_text()
    click = '[...document.querySelectorAll("#sweep-0 th button")].find((b) => b.textContent === "weight_decay").click()'
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{html}<script>{script}</script><script>{click}</script>")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'home'}", "--dump-dom"]
    command = [chromium_path, *switches, "--virtual-time-budget=2000", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.findall(r'class="sweep" id="(sweep-\d)" aria-label="[^"]*"( hidden="")?', shown) == [
        ("sweep-0", ""),
        ("sweep-1", ' hidden=""'),
    ]
    table = shown.partition("<tbody>")[2].partition("</tbody>")[0]
    order = [int(number) for number in re.findall(r'<tr><td data-value="(\d+)"', table)]
    assert order == [t.number for t in sorted(found.trials, key=lambda t: t.values["weight_decay"])]


@pytest.mark.slow
def test_what_the_stage_writes_is_what_the_report_reads(tmp_path):
    from neocog.tuning import record
    from neocog.tuning.space import space
    from neocog.tuning.sweep import Finalist
    from neocog.tuning.trials import Trial

    searched = space(SPACE, where="tune.space.resnet")
    row = {"val/top1": 0.9, "val/loss": 0.4, "train/loss": 0.5}
    trials = [
        Trial(0, TODAY, seed=0, status="finished", rows=[row, row], seconds=3.2),
        Trial(1, TODAY | {"lr": 0.3}, seed=0, status="finished", rows=[row | {"val/top1": 0.91}], seconds=1.2),
        Trial(2, TODAY | {"units": None}, seed=0, status="failed"),
    ]
    record.write_trials(tmp_path, trials, searched, metric="val/top1")
    runs = [Trial(seed, {"seed": seed}, seed=seed) for seed in (0, 1)]
    winner = Finalist(None, 1, trials[1].values, runs, [0.93, 0.934])
    how = {"searcher": "optuna", "scheduler": "hyperband"}
    for choice, best, told in (
        (record.Choice(True, 0.92, 0.93, 0.01, 0.005, 0.015, 0.001), winner, "number 1 was best (lr 0.3)."),
        (record.Choice(False, 0.92), None, "number 0, today's settings, was best"),
    ):
        record.write_best(tmp_path, choice, best, searched, metric="val/top1", how=how)
        whole = read.read(tmp_path, TOP1)
        assert told in narrative.verdict(whole) and dict(whole.space) == searched
        assert [trial.epochs for trial in whole.trials] == [2, 1, 0]
        assert [trial.score for trial in whole.trials] == [0.9, 0.91, None]
