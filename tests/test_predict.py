"""`neocog predict`: every file named gets its line or its reason, and pixels are what `prepare` would have made of them."""

import csv
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from pictures import picture, save
from PIL import Image

from neocog.bundle.read import Bundle, read
from neocog.cli import main
from neocog.core.errors import UserError
from neocog.data.decoding.decode import decode
from neocog.data.prepare import prepare
from neocog.evaluation import predictions
from neocog.evaluation.preparation import preparation
from neocog.serving import files, pixels, predict, predictor


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A perceptron of the digits."""
    root = tmp_path_factory.mktemp("models")
    return tiny.train(root, tiny.digits(root / "prepared"), "perceptron", epochs=2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five real digits as pictures, one of them in a folder below."""
    test = tiny.digits(tmp_path / "prepared").split("test").images
    for i in range(5):
        save(Image.fromarray(test[i, ..., 0]), tmp_path / "photos" / ("more" if i == 4 else "") / f"{i}.png")
    return tmp_path / "photos"


def neocog(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "neocog.cli.main", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_each_file_gets_a_line_in_the_order_it_was_named(model: Bundle, photos: Path, tmp_path: Path) -> None:
    ended = neocog(model.folder, photos / "2.png", photos, "--top", 2)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [Path(line.partition(":")[0]).name for line in lines] == [f"{i}.png" for i in (2, 0, 1, 2, 3, 4)]
    assert all(line.count("%") == 2 for line in lines)
    test = tiny.digits(tmp_path / "again").split("test").images[:5]
    expected = predictions.outputs(model, test, batch_size=5).argmax(axis=1)
    assert [int(line.split()[1]) for line in lines[1:]] == expected.tolist()


def test_json_and_csv_say_the_same_to_programs(model: Bundle, photos: Path) -> None:
    as_json = [json.loads(line) for line in neocog(model.folder, photos, "--json").stdout.splitlines()]
    as_csv = list(csv.DictReader(neocog(model.folder, photos, "--csv").stdout.splitlines()))
    assert len(as_json) == len(as_csv) == 5
    for entry, row in zip(as_json, as_csv, strict=True):
        assert entry["file"] == row["file"]
        assert [each["class"] for each in entry["predictions"]] == [row[f"class_{i}"] for i in (1, 2, 3)]
        assert float(row["probability_1"]) == pytest.approx(entry["predictions"][0]["probability"], abs=1e-6)


def test_a_bad_file_is_named_with_its_reason_and_stops_nobody_else(model: Bundle, photos: Path) -> None:
    whole = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(whole[: len(whole) // 2])
    (photos / "notes.txt").write_text("Dear diary")
    os.mkfifo(photos / "pipe.png")
    (photos / ".hidden.png").write_text("passed over")
    (photos / "loop").symlink_to(photos)
    (photos / "void").mkdir()
    ended = neocog(model.folder, photos, photos / "void", photos / "nowhere.png", "--json")
    assert ended.returncode == 2
    entries = {Path(entry["file"]).name: entry for entry in map(json.loads, ended.stdout.splitlines())}
    reasons = {name: entry["refused"].partition(":")[0] for name, entry in entries.items() if "refused" in entry}
    assert reasons == {
        "1.png": "truncated",
        "notes.txt": "not an image",
        "pipe.png": "no file",
        "loop": "linked folder",
        "void": "empty folder",
        "nowhere.png": "unreadable",
    }
    assert set(entries) - set(reasons) == {"0.png", "2.png", "3.png", "4.png"}
    assert all(f"{name}: {reason}" in ended.stderr for name, reason in reasons.items())
    assert "6 of 10 files refused" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_many_files_come_back_in_order_from_many_processes(model: Bundle, tmp_path: Path) -> None:
    for i in range(predict.FEW + 30):
        save(picture(i, width=8 + i % 5), tmp_path / "many" / f"{i:03}.png")
    (tmp_path / "many" / "050.png").write_bytes(b"no picture")
    found, how, asked = files.find([tmp_path / "many"]), preparation(model), predictor.load(model)
    answers = list(predict.predict(asked, found, how=how, workers=2))
    assert [answer.file for answer in answers] == [file.name for file in found]
    for answer, file in zip(answers, found, strict=True):
        alone = decode(file.path, **how).pixels
        if alone is None:
            assert answer.reason and answer.file.endswith("050.png")
        else:
            np.testing.assert_allclose(answer.prediction, asked.predictions(alone[None])[0], rtol=1e-5)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_pixels_are_those_that_prepare_makes(tmp_path: Path, resize: str) -> None:
    for label in ("a", "b"):
        for i in range(30):
            save(picture(i + 100 * (label == "b"), width=300, height=200 + i), tmp_path / "raw" / label / f"{i}.jpg")
    kinds = {"gray": "L", "palette": "P", "alpha": "RGBA"}
    for name, mode in kinds.items():
        save(picture(7, width=40).convert(mode), tmp_path / "raw" / "a" / f"{name}.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    save(picture(8, width=40, height=20), tmp_path / "raw" / "b" / "turned.jpg", exif=turned)
    data = prepare(tmp_path / "prepared", source="folder", root=tmp_path / "raw", size=16, resize=resize)
    how: pixels.Preparation = {"size": (16, 16), "channels": 3, "resize": resize, "max_pixels": 50_000_000}
    checked = 0
    for split in ("train", "val", "test"):
        sources = data.samples(split, columns=["source"]).column("source").to_pylist()
        for source, image in zip(sources, data.split(split).images, strict=True):
            path = tmp_path / "raw" / source
            np.testing.assert_array_equal(decode(path, **how).pixels, image)
            np.testing.assert_array_equal(pixels.picture(path.read_bytes(), how), image)
            checked += 1
    assert checked == 64


def test_the_bundle_says_how_its_images_were_made_and_how_sure_to_be(model: Bundle, tmp_path: Path) -> None:
    card = model.card | {"preprocessing": {"resize": "pad", "max_pixels": 1000}, "temperature": 2.0}
    (tmp_path / "cooler").mkdir()
    for name in ("model.onnx", "weights.safetensors"):
        (tmp_path / "cooler" / name).write_bytes((model.folder / name).read_bytes())
    (tmp_path / "cooler" / "bundle.json").write_text(json.dumps(card))
    other = read(tmp_path / "cooler")
    before = {"background": "white", "padding": "black", "bits": 16}  # of bundles that do not say
    assert preparation(other) == {
        "size": (8, 8),
        "channels": 1,
        "resize": "pad",
        "interpolation": "bicubic",
        "max_pixels": 1000,
        **before,
    }
    assert preparation(model)["resize"] == "crop"
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 1), dtype=np.uint8)
    sure, unsure = (predictor.load(each).predictions(image)[0].astype(float) for each in (model, other))
    np.testing.assert_allclose(unsure, np.sqrt(sure) / np.sqrt(sure).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("model.onnx", b"garbage", "model.onnx is damaged (InvalidProtobuf); train the model again or restore it"),
        ("model.onnx", b"", "model.onnx is damaged (InvalidArgument); train the model again or restore it"),
        ("bundle.json", b"\xff\xfe{}", "bundle.json is damaged (UnicodeDecodeError"),
        ("bundle.json", b"[]", "bundle.json is damaged (TypeError"),
        ("bundle.json", b"{", "bundle.json is damaged (JSONDecodeError"),
    ],
)
def test_a_damaged_bundle_is_said_in_a_sentence(
    model: Bundle, tmp_path: Path, file: str, content: bytes, told: str
) -> None:
    shutil.copytree(model.folder, tmp_path / "spoilt")
    (tmp_path / "spoilt" / file).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(told)) as error:
        predictor.load(read(tmp_path / "spoilt"))
    assert "\n" not in str(error.value)
    assert predictor.load(model), "the whole one is fine"


@pytest.mark.parametrize("temperature", [0, -1, None, "1", float("nan"), float("inf")])
def test_a_temperature_that_makes_no_probabilities_is_damage(model: Bundle, tmp_path: Path, temperature: Any) -> None:
    shutil.copytree(model.folder, tmp_path / "spoilt")
    (tmp_path / "spoilt" / "bundle.json").write_text(json.dumps(model.card | {"temperature": temperature}))
    with pytest.raises(UserError, match=r"bundle\.json is damaged"):
        read(tmp_path / "spoilt")


def test_a_damaged_graph_is_not_drawn(
    model: Bundle, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model.folder, tmp_path / "spoilt")
    (tmp_path / "spoilt" / "model.onnx").write_bytes(b"garbage")
    with pytest.raises(SystemExit) as ended:
        main.main(["inspect", str(tmp_path / "spoilt"), "--image", str(photos / "1.png")])
    assert ended.value.code == 2 and "model.onnx is damaged" in capsys.readouterr().err


def test_a_name_too_long_for_any_file_is_one_more_that_is_not_there(model: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a bundle"):
        read(tmp_path / ("x" * 300))
    [answer] = predict.predict(predictor.load(model), files.find([tmp_path / ("x" * 300)]), how=preparation(model))
    assert answer.reason == "unreadable: File name too long"


def test_a_terminal_that_lacks_letters_gets_them_spelt(model: Bundle, photos: Path) -> None:
    shutil.copy(photos / "1.png", photos / "ä 日.png")
    said = {}
    for form in ("--csv", "--json"):
        command = [
            sys.executable,
            "-m",
            "neocog.cli.main",
            "predict",
            str(model.folder),
            str(photos / "ä 日.png"),
            form,
        ]
        environment = os.environ | {"PYTHONIOENCODING": "ascii"}
        said[form] = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert r"\xe4 \u65e5.png" in said["--csv"]
    assert json.loads(said["--json"])["file"].endswith("ä 日.png")


def test_whoever_has_read_enough_ends_it_quietly(model: Bundle, photos: Path) -> None:
    command = f"{sys.executable} -m neocog.cli.main predict {model.folder} {' '.join([str(photos)] * 60)} | head -1"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert ended.stdout.count("\n") == 1
    assert not ended.stderr


def test_lines_go_to_the_file_and_the_bar_to_the_terminal(model: Bundle, photos: Path, tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    out = tmp_path / "out.txt"
    command = [sys.executable, "-m", "neocog.cli.main", "predict", str(model.folder), str(photos)]
    with out.open("w") as file:
        subprocess.run(command, stdout=file, stderr=terminal, check=True, env=os.environ | {"TERM": "xterm"})
    os.close(terminal)
    assert b"images answered" in os.read(main, 65536)
    assert len(out.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere", "x.png"], "nowhere is not a bundle"),
        (["models:/neocog", "x.png"], "models:/neocog@champion"),
        (["nowhere", "x.png", "--top", "0"], "--top 0 must be at least 1"),
    ],
)
def test_what_cannot_be_asked_ends_with_a_sentence(arguments: list[str], told: str, tmp_path: Path) -> None:
    ended = neocog(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
