"""Wrong labels and twins that were planted in real digits are found, told in files, and shown on the page."""

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
import yaml
from imports import ROOT

from neocog.core import csv_table
from neocog.core.errors import UserError
from neocog.data import prepared_writer
from neocog.data.prepared import Prepared
from neocog.data.sources.digits import digits
from neocog.drawing import images as pictures
from neocog.evaluation import audit as audits
from neocog.evaluation import predictions
from neocog.report.duplicates import chapter as duplicates
from neocog.report.duplicates import read as record
from neocog.tasks.classification import audit, metrics
from neocog.tasks.classification import predictions as class_predictions
from neocog.tasks.classification.chapters.audit import chapter, narrative
from neocog.tasks.classification.chapters.audit.read import AuditFindings, read
from neocog.tasks.multilabel import metrics as multilabel

WRONG = 30  # labels of test and validation images that are planted
TWINS = 12  # test images that are training images with a little noise


@dataclass(frozen=True)
class Planted:
    """The data, and what was put into them: sources of images with a wrong label, and (test source, train source) of twins."""

    data: Prepared
    wrong: dict[str, str]  # source -> the class that it really is
    twins: dict[str, str]


def plant(folder: Path) -> Planted:
    """Digits by fifths into test, val and train; 15 labels each of val and test are wrong, 12 test images are noisy training images."""
    source, draw = digits(), np.random.default_rng(0)
    images, labels = np.array(source.images), source.targets.copy()
    splits = np.array([("test", "val", "train", "train", "train")[i % 5] for i in range(len(labels))])
    held, trained = (np.flatnonzero(splits == name) for name in ("test", "train"))
    chosen, origins = draw.choice(held, TWINS, replace=False), draw.choice(trained, TWINS, replace=False)
    images[chosen] = np.clip(images[origins].astype(int) + draw.integers(-4, 5, images[origins].shape), 0, 255)
    labels[chosen] = labels[origins]
    free = np.setdiff1d(np.flatnonzero(splits != "train"), chosen)
    spoilt = np.concatenate(
        [draw.choice(free[splits[free] == name], WRONG // 2, replace=False) for name in ("val", "test")]
    )
    true = labels[spoilt].copy()
    labels[spoilt] = (true + draw.integers(1, 10, WRONG)) % 10
    samples = prepared_writer.Samples(
        rows=np.arange(len(labels)),
        targets=labels,
        splits=splits.tolist(),
        sha256=source.sha256,
        sources=source.paths,
    )
    data = prepared_writer.write(
        folder, name="digits", classes=source.classes, images=images, samples=samples, source_digest=source.digest
    )
    return Planted(
        data,
        {source.paths[row]: source.classes[label] for row, label in zip(spoilt, true, strict=True)},
        {source.paths[a]: source.paths[b] for a, b in zip(chosen, origins, strict=True)},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The planted data and a project with a perceptron and a better mlp, trained and judged on them."""
    root = tmp_path_factory.mktemp("site")
    planted = plant(root / "data/prepared")
    bundles = [
        tiny.train(root, planted.data, "perceptron", epochs=1),
        tiny.train(root, planted.data, "mlp", architecture="mlp", hidden=300, epochs=20),
    ]
    tiny.judge(root, planted.data, bundles)
    stage = {"cmd": "python -m pipelines.audit", "params": ["audit", "architectures", "tune.architectures", "compress"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"audit": stage}}))
    blocks = {"perceptron": {"label_smoothing": 0.0}, "mlp": {}}
    (root / "params.yaml").write_text(
        yaml.safe_dump({"architectures": blocks, "audit": {"images": 10, "duplicates": 5}})
    )
    return root, planted, bundles


@pytest.fixture(scope="module")
def judged(site):
    """What the mlp says of every split."""
    _, planted, (_, mlp) = site
    told = {}
    for name in ("val", "test", "train"):
        part = planted.data.split(name)
        logits = predictions.outputs(mlp, part.images, batch_size=256)
        told[name] = class_predictions.of(logits, ids=part.ids, targets=part.targets)
    return told


@pytest.fixture(scope="module")
def audited(site):
    """The project after the stage."""
    root = site[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        from pipelines.audit import audit as stage

        stage()
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_planted_wrong_labels_stand_first_and_are_called_what_they_are(site, judged):
    data, wrong = site[1].data, site[1].wrong
    found = audit.doubts(data, {name: judged[name] for name in ("val", "test")})
    assert [doubt.rank for doubt in found] == list(range(1, len(found) + 1))
    hits = [doubt.source in wrong for doubt in found]
    assert all(hits[:18]), "the likeliest are all planted"
    assert sum(hits) >= 0.8 * len(hits), "precision"
    assert sum(hits) >= 0.7 * WRONG, "recall"
    right = [doubt.suggested == wrong[doubt.source] for doubt in found if doubt.source in wrong]
    assert np.mean(right) >= 0.9
    assert {doubt.split for doubt in found[:15]} == {"val", "test"}
    margins = [doubt.confidence_given - doubt.confidence_suggested for doubt in found]
    assert margins == sorted(margins)


def test_training_images_are_ranked_for_themselves_after_the_others(site, judged):
    data = site[1].data
    alone = audit.doubts(data, {name: judged[name] for name in ("val", "test")})
    both = audit.doubts(data, judged)
    assert both[: len(alone)] == alone and {doubt.split for doubt in both[len(alone) :]} == {"train"}
    assert [doubt.rank for doubt in both[len(alone) :]] == list(range(1, len(both) - len(alone) + 1))
    assert audit.summary(judged, both)["suspects"] == len(alone)


@pytest.mark.parametrize("share", [0.18, 0.95])
def test_a_model_that_is_wrong_too_often_doubts_no_label(share, site, judged):
    data, draw = site[1].data, np.random.default_rng(0)
    told = {}
    for name in ("val", "test"):
        each = judged[name]
        said = np.where(draw.random(len(each.labels)) < share, each.labels, (each.labels + 3) % 10)
        sure = np.full((len(said), 10), 0.02, np.float32) + 0.8 * np.eye(10, dtype=np.float32)[said]
        told[name] = replace(each, predicted=said, probabilities=sure)
    found = audit.doubts(data, told)
    numbers = audit.summary(told, found)
    assert bool(numbers["able"]) == audit.able(told) == (share > 0.5) == bool(found) == ("noise" in numbers)
    assert numbers["right"] == pytest.approx(share, abs=0.05) and 0.5 < numbers["right_at_least"] < 0.6
    seen = AuditFindings("mlp", tuple(found), (), numbers, 5)
    assert narrative.labels(seen).startswith("mlp cannot judge labels: it gets ") == (share < 0.5)


def test_planted_twins_are_found_and_strangers_are_not(site):
    data, planted = site[1].data, site[1].twins
    found = audits.twins(data, within=6.0)
    assert {pair.source: pair.other_source for pair in found} == planted
    assert all((pair.split, pair.other_split) == ("test", "train") and 0 < pair.distance <= 6 for pair in found)
    assert [pair.distance for pair in found] == sorted(pair.distance for pair in found)
    by_source = {str(s): i for i, s in enumerate(data.samples("test").column("source").to_pylist())}
    first = found[0]
    ids = data.split("test").ids
    assert first.id == ids[by_source[first.source]]
    assert len(audits.twins(data, within=40.0)) > TWINS, "the control: who looks from farther away sees more alike"


def test_the_numbers_say_what_the_score_is_without_images_that_were_seen_before(site, judged):
    data = site[1].data
    pairs = audits.twins(data, within=6.0)
    test = judged["test"]

    def score(those: np.ndarray) -> float:
        return metrics.primary(test.probabilities[those], test.labels[those])

    told = audit.summary(judged, audit.doubts(data, judged))
    told |= audits.summary(pairs, test.ids, score, metric=metrics.PRIMARY)
    fresh = ~np.isin(test.ids, [pair.id for pair in pairs])
    assert told["test_twins"] == TWINS == told["twins"] and told["twins_labelled_otherwise"] == 0
    assert told["top1"] == pytest.approx((test.predicted == test.labels).mean(), abs=1e-6)
    assert told["top1_without_twins"] == pytest.approx((test.predicted == test.labels)[fresh].mean(), abs=1e-6)
    assert told["noise"] == pytest.approx(WRONG / told["images"], abs=0.02)


def test_the_stage_asks_the_best_model_and_writes_three_files(site, audited):
    folder = audited / "reports/audit"
    told = json.loads((folder / "audit.json").read_text())
    assert told["model"] == "trained/mlp" and told["shown"] == {"images": 10, "duplicates": 5}
    doubts, pairs = rows(folder / "labels.csv"), rows(folder / "duplicates.csv")
    assert len(doubts) == told["suspects"] > 10 and len(pairs) == told["twins"] >= TWINS
    assert list(doubts[0])[:6] == ["rank", "split", "id", "source", "given", "suggested"]
    assert {row["split"] for row in doubts} == {"val", "test"}, "no image that it was trained on"
    assert {row["source"] for row in pairs[:TWINS]} == set(site[1].twins)
    assert csv_table.read_rows(folder / "labels.csv", audit.Doubt, stage="audit")[0].rank == 1


def test_asked_again_it_says_the_same_and_of_training_images_only_if_it_is_told_to(audited, tmp_path, monkeypatch):
    from pipelines.audit import audit as stage

    again = shutil.copytree(audited, tmp_path / "again")
    settings = yaml.safe_load((again / "params.yaml").read_text())
    settings["audit"] |= {"model": "trained/mlp", "train": True}
    (again / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(again)
    stage()
    for name in ("duplicates.csv", "audit.json"):
        assert (again / "reports/audit" / name).read_bytes() == (audited / "reports/audit" / name).read_bytes()
    before, after = (rows(folder / "reports/audit/labels.csv") for folder in (audited, again))
    assert after[: len(before)] == before and {row["split"] for row in after[len(before) :]} == {"train"}
    found = read(again / "reports", called={})
    assert len(found.doubts) == len(before) and len(found.known) == len(after) - len(before) > 0
    assert f"trained on it doubts {len(found.known)} labels" in narrative.known(found)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"model": "trained/mpl"}, r"audit.model \(='trained/mpl'\).*did you mean 'trained/mlp'"),
        ({"modle": "best"}, r"audit.modle.*did you mean 'model'"),
        ({"images": 1000}, r"audit.images \(=1000\)"),
        ({"within": -1.0}, r"audit.within \(=-1.0\)"),
    ],
)
def test_what_cannot_be_audited_is_refused_before_anything_runs(site, tmp_path, monkeypatch, block, words):
    shutil.copy(site[0] / "dvc.yaml", tmp_path)
    settings = yaml.safe_load((site[0] / "params.yaml").read_text()) | {"audit": block}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    from pipelines.audit import audit as stage

    with pytest.raises(UserError, match=words):
        stage()
    assert not (tmp_path / "reports").exists()


def test_the_stage_loads_neither_torch_nor_scikit_learn():
    code = "import sys, pipelines.audit; print({'torch', 'sklearn', 'mlflow', 'pandas'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def drawn(site, audited):
    return chapter.draw(site[1].data, reports=audited / "reports", called={"trained/mlp": "mlp<&>"})


def plain(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", markup)).replace("\u202f", " ")


def test_the_chapter_shows_suspects_and_twins_as_pictures(site, drawn):
    markup = chapter.chapter(drawn, made="<p>made</p>").markup
    whole = ElementTree.fromstring(markup)
    assert whole.get("id") == "audit" and "<p>made</p>" in markup
    pictures = [image.get("src", "") for image in whole.iter("img")]
    assert len(pictures) == 10 and all(each.startswith("data:image/png;base64,") for each in pictures)
    assert len(markup) < 300_000
    assert len(set(pictures)) == 10, "ten different images are doubted"
    first = drawn.doubts[0][0]
    assert f"{first.suggested} ?" in plain(markup) and f"labelled {first.given}" in plain(markup)
    assert "mlp<&> doubts" in plain(markup) and "mlp<&>" not in markup


@pytest.fixture(scope="module")
def pairs(site, audited):
    """The chapter about near duplicates, of a classifier."""
    how = {"reports": audited / "reports", "called": {"trained/mlp": "mlp<&>"}, "made": "<p>made</p>"}
    return duplicates.chapter(site[1].data, metrics.PRIMARY, **how).markup


def test_the_chapter_of_near_duplicates_shows_both_pictures_of_each_pair(pairs):
    whole = ElementTree.fromstring(pairs)
    assert whole.get("id") == "duplicates" and "<p>made</p>" in pairs and len(pairs) < 300_000
    shown = [image.get("src", "") for image in whole.iter("img")]
    assert len(shown) == 2 * 5 and all(each.startswith("data:image/png;base64,") for each in shown)
    assert f"{TWINS} of" in plain(pairs) and "twin among the training images; without them top-1 of mlp<&>" in plain(
        pairs
    )
    assert "mlp<&>" not in pairs


def test_another_task_has_the_chapter_by_its_own_metric(audited, site, tmp_path):
    """An audit of a task that doubts no target: no suspects, and its metric in the place of top-1."""
    shutil.copytree(audited / "reports/audit", tmp_path / "audit")
    told = json.loads((tmp_path / "audit/audit.json").read_text())
    own = {name: told[name] for name in ("model", "within", "shown", "twins", "test_images", "test_twins")}
    own |= {"map": 0.5, "map_without_twins": 0.25}
    (tmp_path / "audit/audit.json").write_text(json.dumps(own))
    chapter = duplicates.chapter(site[1].data, multilabel.PRIMARY, reports=tmp_path, called={})
    assert "without them mAP of trained/mlp is 25.00" in plain(chapter.markup)


def test_the_pictures_are_those_of_the_images_that_are_named(site, audited, drawn):
    data = site[1].data
    for doubt, picture in drawn.doubts:
        part = data.split(doubt.split)
        (row,) = np.flatnonzero(part.ids == doubt.id)
        assert picture == pictures.png(part.images[row]) and data.classes[part.targets[row]] == doubt.given
    twins = record.read(audited / "reports", called={}).twins[:5]
    places = [place for pair in twins for place in ((pair.split, pair.id), (pair.other_split, pair.other_id))]
    for (split, name), picture in duplicates.shrunk(data, places, budget=duplicates.BUDGET).items():
        part = data.split(split)
        assert picture == pictures.png(part.images[np.flatnonzero(part.ids == name)[0]])


def test_the_page_has_no_chapter_where_the_stage_never_ran(site, tmp_path):
    assert chapter.draw(site[1].data, reports=tmp_path, called={}) is None
    assert chapter.chapter(None).markup == ""
    assert duplicates.chapter(site[1].data, metrics.PRIMARY, reports=tmp_path, called={}).markup == ""


def test_nothing_found_is_said_and_shows_no_picture(site, audited, tmp_path):
    shutil.copytree(audited / "reports/audit", tmp_path / "audit")
    for name in ("labels.csv", "duplicates.csv"):
        path = tmp_path / "audit" / name
        path.write_text(path.read_text().splitlines()[0] + "\n")
    drawn = chapter.draw(site[1].data, reports=tmp_path, called={})
    pairs = duplicates.chapter(site[1].data, metrics.PRIMARY, reports=tmp_path, called={}).markup
    assert "trained/mlp doubts none of the" in plain(chapter.chapter(drawn).markup)
    assert "No image has a twin in another split." in plain(pairs)
    assert "data:image" not in chapter.chapter(drawn).markup + pairs


def test_damaged_files_and_other_data_are_named_with_the_remedy(site, audited, tmp_path):
    for name, text in (
        ("audit.json", "{"),
        ("audit.json", "[]"),
        ("labels.csv", "rank,split\n1,val\n"),
        ("duplicates.csv", None),
    ):
        shutil.copytree(audited / "reports/audit", tmp_path / "audit", dirs_exist_ok=True)
        (tmp_path / "audit" / name).write_text(text) if text else (tmp_path / "audit" / name).unlink()
        with pytest.raises(UserError, match=rf"{name} is damaged.*dvc repro --force audit"):
            read(tmp_path, called={})
    shutil.copytree(audited / "reports/audit", tmp_path / "audit", dirs_exist_ok=True)
    table = tmp_path / "audit" / "labels.csv"
    table.write_text(re.sub(r"(?m)^1,(\w+),\w+,", r"1,\1,0123,", table.read_text()))
    with pytest.raises(UserError, match="dvc repro audit"):
        chapter.draw(site[1].data, reports=tmp_path, called={})
