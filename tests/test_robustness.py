"""Spoilt images and what models make of them: the corruptions are those of the paper, and the numbers follow from its definitions."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from time import process_time

import numpy as np
import pytest
import tiny
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from neocog.core.errors import UserError
from neocog.evaluation import mce, robustness
from neocog.evaluation.corruptions import blur, digital, noise, plasma, weather
from neocog.evaluation.corruptions.suite import CORRUPTIONS, FAMILIES, SEVERITIES, corrupt, suite
from neocog.evaluation.robustness import CLEAN, RobustnessScore
from neocog.tasks.classification.metrics import PRIMARY

# The published strengths of elastic_transform trade large bends for small wobbles: pixels differ less, shapes more.
WEAKER_IN_PIXELS = {"elastic_transform"}


@pytest.fixture(scope="module")
def images(digits) -> np.ndarray:
    """200 real digits, [200, 8, 8, 1]."""
    return np.asarray(digits.split("train").images[:200])


@pytest.fixture(scope="module")
def large(images) -> np.ndarray:
    """100 of them at the size that the published strengths were made for, [100, 32, 32, 1]."""
    return images[:100].repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A colorful picture, [2, 64, 96, 3]: a gradient of every channel with a disk on it."""
    y, x = np.mgrid[:64, :96]
    disk = (y - 30) ** 2 + (x - 50) ** 2 < 300
    one = np.stack([4 * y, 2 * x + 20, 255 - 3 * y], axis=-1) * np.where(disk, 1.0, 0.6)[..., None]
    return np.stack([one, one[::-1]]).clip(0, 255).astype(np.uint8)


def distance(spoilt: np.ndarray, images: np.ndarray) -> float:
    return float(np.abs(spoilt.astype(float) - images).mean())


def test_there_are_the_15_of_the_paper_with_five_strengths_in_every_suite():
    assert len(CORRUPTIONS) == 15
    assert {family: list(CORRUPTIONS.values()).count(family) for family in FAMILIES} == {
        "noise": 3,
        "blur": 4,
        "weather": 4,
        "digital": 4,
    }
    for name, family in CORRUPTIONS.items():
        strengths = FAMILIES[family].STRENGTHS[name]
        assert {each: len(by_severity) for each, by_severity in strengths.items()} == {
            "cifar10": 5,
            "tiny_imagenet": 5,
            "imagenet": 5,
        }
    assert [suite(side) for side in (4, 32, 63, 64, 127, 128, 224)] == [
        *["cifar10"] * 3,
        *["tiny_imagenet"] * 2,
        *["imagenet"] * 2,
    ]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_it_spoils_images_alike_for_the_same_seed_and_leaves_what_it_was_given(name, images, photo):
    for given_ in (
        images,
        photo,
        images[:3, :5, :7],
        np.full((2, 4, 4, 3), 7, np.uint8),
        np.zeros((2, 9, 9, 1), np.uint8),
    ):
        before = given_.copy()
        spoilt = corrupt(given_, name, severity=3, seed=5)
        assert spoilt.shape == given_.shape and spoilt.dtype == np.uint8
        assert (given_ == before).all()
        assert (corrupt(given_, name, severity=3, seed=5) == spoilt).all()
    assert distance(corrupt(photo, name, severity=3), photo) > 0.1, "the control: it does something"


@pytest.mark.parametrize(
    "name",
    sorted(set(CORRUPTIONS) - {"contrast", "brightness", "defocus_blur", "zoom_blur", "pixelate", "jpeg_compression"}),
)
def test_what_is_drawn_at_random_is_drawn_for_every_image_and_seed_anew(name, photo):
    twins = photo[[0, 0]]
    spoilt = corrupt(twins, name, severity=3, seed=1)
    assert (spoilt[0] != spoilt[1]).any()
    assert (corrupt(twins, name, severity=3, seed=2) != spoilt).any()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_distance_to_the_original_grows_with_severity(name, large):
    mild, bad = (distance(corrupt(large, name, severity=severity), large) for severity in (1, 5))
    assert mild > 0.1
    assert mild < bad or name in WEAKER_IN_PIXELS


def test_on_average_over_all_corruptions_every_severity_is_stronger_than_the_one_before(large):
    means = [
        np.mean([distance(corrupt(large, name, severity=each), large) for name in CORRUPTIONS]) for each in SEVERITIES
    ]
    assert means == sorted(means) and means[-1] > 1.5 * means[0]


def test_noise_is_as_strong_as_it_says():
    gray, draw = np.full((4, 100, 100, 1), 0.5, np.float32), np.random.default_rng(0)
    assert (noise.gaussian_noise(gray, draw, 0.1) - gray).std() == pytest.approx(0.1, rel=0.02)
    shots = noise.shot_noise(gray, draw, 50)
    assert shots.mean() == pytest.approx(0.5, rel=0.01) and shots.std() == pytest.approx((0.5 / 50) ** 0.5, rel=0.02)
    pepper = noise.impulse_noise(gray, draw, 0.2)
    assert (pepper == 0).mean() == pytest.approx(0.1, abs=0.01) and (pepper == 1).mean() == pytest.approx(0.1, abs=0.01)


def test_zooming_is_that_of_scipy(photo):
    image = photo[:1].astype(np.float32) / 255
    for factor in (1.0, 1.07, 1.25, 2.25):
        side = int(np.ceil(64 / factor)), int(np.ceil(96 / factor))
        top, left = (64 - side[0]) // 2, (96 - side[1]) // 2
        large = ndimage.zoom(image[0, top : top + side[0], left : left + side[1]], (factor, factor, 1), order=1)
        top, left = (large.shape[0] - 64) // 2, (large.shape[1] - 96) // 2
        known = large[top : top + 64, left : left + 96]
        np.testing.assert_allclose(blur.zoomed(image, factor)[0], known, atol=2e-5)


@pytest.mark.parametrize(("radius", "edge"), [(0.3, 0.4), (1.5, 0.1), (3, 0.1), (10, 0.5)])
def test_a_point_out_of_focus_is_a_disk_that_keeps_its_light(radius, edge):
    point = np.zeros((1, 65, 65, 1), np.float32)
    point[0, 32, 32] = 1
    spread = blur.defocus_blur(point, np.random.default_rng(0), radius, edge)[0, ..., 0]
    kernel = blur.disk(radius, edge)
    reach = len(kernel) // 2
    np.testing.assert_allclose(spread[32 - reach : 33 + reach, 32 - reach : 33 + reach], kernel, atol=1e-6)
    assert spread.sum() == pytest.approx(1, abs=1e-4)
    assert (kernel > kernel.max() / 2).sum() == pytest.approx(max(1, np.pi * radius**2), rel=0.3)


def test_a_point_that_moves_leaves_a_fading_trail_in_its_direction():
    point = np.zeros((3, 41, 41, 1), np.float32)
    point[:, 20, 20] = 1
    trails = blur.smeared(point, np.array([0.0, -90.0, 45.0]), radius=6, sigma=2)[..., 0]
    assert trails.sum(axis=(1, 2)) == pytest.approx([1, 1, 1], abs=1e-5)
    fading = trails[0, 20, 8:21][::-1]
    assert (np.diff(fading) < 0).all() and fading[2] / fading[0] == pytest.approx(np.exp(-(2**2) / 8), rel=1e-4)
    assert trails[1, 20:33, 20] == pytest.approx(fading) and np.diag(trails[2])[20:12:-1].min() > 0


def test_glass_only_moves_pixels_about():
    picture = np.random.default_rng(0).random((2, 20, 20, 3)).astype(np.float32)
    moved = blur.glass_blur(picture, np.random.default_rng(1), 1e-3, 2, 2)
    assert (moved != picture).any()
    assert [sorted(map(tuple, each.reshape(-1, 3))) for each in moved] == [
        sorted(map(tuple, each.reshape(-1, 3))) for each in picture
    ]


def test_brightness_changes_the_value_of_hsv_alone(photo):
    from colorsys import rgb_to_hsv

    pixels = photo[:1, ::8, ::8].astype(np.float32) / 255
    pixels[0, 0, 0] = 0
    brighter = weather.brightness(pixels, np.random.default_rng(0), 0.2)
    for old, new in zip(pixels.reshape(-1, 3), brighter.reshape(-1, 3), strict=True):
        (h, s, v), (hue, saturation, value) = (rgb_to_hsv(*map(float, each)) for each in (old, new))
        assert (hue, saturation, value) == pytest.approx((h, s, min(1, v + 0.2)), abs=1e-5)


def test_contrast_keeps_the_mean_of_each_channel_and_a_part_of_its_spread(photo):
    pixels = photo.astype(np.float64) / 255
    flat = digital.contrast(pixels, np.random.default_rng(0), 0.3)
    np.testing.assert_allclose(flat.mean(axis=(1, 2)), pixels.mean(axis=(1, 2)))
    np.testing.assert_allclose(flat.std(axis=(1, 2)), 0.3 * pixels.std(axis=(1, 2)))


def test_fog_keeps_the_brightest_point_below_what_it_was_and_clouds_fill_0_to_1():
    clouds = plasma.plasma((20, 28, 28), decay=2, draw=np.random.default_rng(0))
    assert clouds.shape == (20, 28, 28) and clouds.min() >= 0 and clouds.max() <= 1
    rough, smooth = (
        np.abs(np.diff(plasma.plasma((20, 64, 64), decay=decay, draw=np.random.default_rng(0)), axis=1)).mean()
        for decay in (1.5, 3)
    )
    assert rough > 1.5 * smooth
    dark = np.full((1, 16, 16, 1), 0.4, np.float32)
    assert weather.fog(dark, np.random.default_rng(0), 1.5, 2).max() <= 0.4 + 1e-6


def test_without_any_pull_the_elastic_image_is_the_image(photo):
    pixels = photo.astype(np.float32) / 255
    np.testing.assert_allclose(digital.elastic_transform(pixels, np.random.default_rng(0), 0, 0, 0), pixels, atol=1e-5)


def test_100_images_of_32_pixels_in_all_75_ways_take_a_second_or_two(large):
    started = process_time()
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            corrupt(large, name, severity=severity)
    assert process_time() - started < 5


@pytest.mark.parametrize(
    ("name", "severity", "shape", "words"),
    [
        ("snowy", 1, (1, 8, 8, 1), "did you mean 'snow'"),
        ("snow", 0, (1, 8, 8, 1), "severity .=0. must be one of 1, 2, 3, 4, 5"),
        ("snow", 1, (1, 8, 8, 4), "channels .=4."),
    ],
)
def test_what_cannot_be_done_is_refused(name, severity, shape, words):
    with pytest.raises(UserError, match=words):
        corrupt(np.zeros(shape, np.uint8), name, severity=severity)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Digits, a perceptron and an mlp, and their top-1 on 150 test images under every condition."""
    root = tmp_path_factory.mktemp("site")
    data = tiny.digits(root / "prepared")
    bundles = [
        tiny.train(root, data, "perceptron", epochs=3),
        tiny.train(root, data, "mlp", architecture="mlp", hidden=100, epochs=3),
    ]
    test = data.split("test", limit=150)
    parts: list[float] = []
    rows = robustness.measure(bundles, test.images, test.targets, severities=SEVERITIES, on_part=parts.append)
    return bundles, test, rows, parts


def test_a_real_model_gets_worse_with_severity(site):
    _, _, rows, _ = site
    for model in ("trained/perceptron", "trained/mlp"):
        by_severity = [
            np.mean([row.score for row in rows if row.model == model and row.severity == each]) for each in range(6)
        ]
        assert by_severity[0] > 0.75
        assert by_severity == sorted(by_severity, reverse=True)
        assert by_severity[5] < by_severity[0] - 0.1


def test_every_condition_is_measured_once_and_a_stack_of_them_as_each_alone(site, monkeypatch):
    bundles, test, rows, parts = site
    assert sum(parts) == pytest.approx(1)
    assert len(rows) == 2 * (1 + 15 * 5) == len({(row.model, row.corruption, row.severity) for row in rows})
    monkeypatch.setattr(robustness, "BUDGET", 1)  # one condition at a time
    assert robustness.measure(bundles, test.images, test.targets, severities=SEVERITIES) == rows


def test_rows_come_back_from_disk_as_they_were(site, tmp_path):
    rows = site[2]
    robustness.write(tmp_path / "robustness.csv", rows, PRIMARY)
    back = robustness.read(tmp_path / "robustness.csv")
    assert [(r.model, r.corruption, r.severity) for r in back] == [(r.model, r.corruption, r.severity) for r in rows]
    assert [r.score for r in back] == pytest.approx([r.score for r in rows], abs=1e-6)
    (tmp_path / "robustness.csv").write_text("model,corruption,severity,top1\na,snow,bad,0.1\n")
    with pytest.raises(UserError, match="damaged"):
        robustness.read(tmp_path / "robustness.csv")


def test_mce_by_hand():
    def rows(model: str, clean: float, snow: tuple[float, float], fog: tuple[float, float]) -> list[RobustnessScore]:
        pairs = [("snow", snow), ("fog", fog)]
        return [
            RobustnessScore(model, CLEAN, 0, clean),
            *(RobustnessScore(model, name, i + 1, top1) for name, both in pairs for i, top1 in enumerate(both)),
        ]

    both = rows("a", 0.9, (0.8, 0.6), (0.5, 0.3)) + rows("b", 0.95, (0.9, 0.8), (0.5, 0.5))
    found = mce.summary(both, PRIMARY, baseline="a")
    # errors summed over severities: a 0.6 and 1.2, b 0.3 and 1.0; added to the clean ones: a 0.4 and 1.0, b 0.2 and 0.9
    assert found["b"]["mce"] == pytest.approx(100 * (0.3 / 0.6 + 1.0 / 1.2) / 2, abs=1e-4)
    assert found["b"]["relative_mce"] == pytest.approx(100 * (0.2 / 0.4 + 0.9 / 1.0) / 2, abs=1e-4)
    assert found["b"]["top1"] == pytest.approx(0.95) and found["b"]["top1_corrupted"] == pytest.approx(0.675)


shares = st.dictionaries(st.sampled_from(list(CORRUPTIONS)), st.floats(0, 1), min_size=1)


@given(shares, st.floats(0, 1))
def test_the_baseline_has_100_in_both(errors, clean):
    errors = {CLEAN: clean, **errors}
    assert mce.corruption_error(errors, errors) in (None, pytest.approx(100))
    assert mce.relative_corruption_error(errors, errors) in (None, pytest.approx(100))
    assert (mce.corruption_error(errors, errors) is None) == all(
        e <= mce.NOTHING for name, e in errors.items() if name != CLEAN
    )


@given(shares, st.floats(0.1, 3))
def test_who_errs_so_many_times_as_often_has_so_many_times_100(errors, times):
    baseline = {CLEAN: 0.1, **{name: 0.01 + error for name, error in errors.items()}}
    model = {name: times * error for name, error in baseline.items()}
    assert mce.corruption_error(model, baseline) == pytest.approx(100 * times)


def test_the_baseline_of_real_models_has_100_and_the_other_does_not(site):
    for baseline, other in (("trained/mlp", "trained/perceptron"), ("trained/perceptron", "trained/mlp")):
        found = mce.summary(site[2], PRIMARY, baseline=baseline)
        assert found[baseline]["mce"] == found[baseline]["relative_mce"] == 100
        assert found[other]["mce"] != 100
        assert mce.sentence(found[baseline], PRIMARY, baseline=baseline).endswith(f"mCE 100.0 ({baseline}: 100)")


def test_the_baseline_is_the_first_model_unless_another_is_wanted():
    models = ["trained/perceptron", "trained/mlp"]
    assert mce.choose_baseline(None, models) == "trained/perceptron"
    assert mce.choose_baseline("trained/mlp", models) == "trained/mlp"
    with pytest.raises(UserError, match=r"robustness.baseline \(='trained/mpl'\).*did you mean 'trained/mlp'"):
        mce.choose_baseline("trained/mpl", models)


def project(folder: Path, **settings: object) -> Path:
    """A project of digits with a perceptron and an mlp, and the stage with these settings."""
    tiny.project(folder)
    stage = {
        "cmd": "python -m pipelines.robustness",
        "params": ["robustness", "architectures", "tune.architectures", "compress"],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"robustness": stage}}))
    raw = json.loads((folder / "params.yaml").read_text())
    (folder / "params.yaml").write_text(json.dumps(raw | {"robustness": settings}))
    return folder


def test_the_stage_refuses_a_baseline_that_is_no_model_before_it_measures(tmp_path, monkeypatch):
    from pipelines.robustness import robustness as stage

    monkeypatch.chdir(project(tmp_path, baseline="trained/resnet"))
    with pytest.raises(UserError, match="trained/resnet"):
        stage()
    assert not (tmp_path / "reports" / "robustness.csv").exists()


@pytest.mark.slow
def test_the_stage_writes_every_row_and_the_mce_of_every_model(tmp_path, monkeypatch, capsys):
    from pipelines.robustness import robustness as stage

    monkeypatch.chdir(project(tmp_path, images=60, severities=[5, 1], baseline="trained/mlp"))
    stage()
    with (tmp_path / "reports" / "robustness.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["model", "corruption", "severity", "top1"]
    assert len(rows) == 2 * (1 + 15 * 2)
    assert [row["severity"] for row in rows[:3]] == ["0", "1", "5"]
    told = json.loads((tmp_path / "reports" / "robustness.json").read_text())
    assert told["baseline"] == "trained/mlp" and told["images"] == 60
    assert list(told["models"]) == ["trained/perceptron", "trained/mlp"]
    assert told["models"]["trained/mlp"]["mce"] == 100 != told["models"]["trained/perceptron"]["mce"]
    assert "trained/perceptron: top-1" in capsys.readouterr().out
    first = (tmp_path / "reports" / "robustness.csv").read_bytes()
    stage()
    assert (tmp_path / "reports" / "robustness.csv").read_bytes() == first
    assert "megapixels" not in capsys.readouterr().out
    raw = json.loads((tmp_path / "params.yaml").read_text())
    raw["robustness"] |= {"megapixels": 0.002, "severities": [5]}
    (tmp_path / "params.yaml").write_text(json.dumps(raw))
    stage()
    assert "robustness: 31 of 60 test images of 8 px" in capsys.readouterr().out
    assert json.loads((tmp_path / "reports" / "robustness.json").read_text())["images"] == 31


@pytest.mark.parametrize(("size", "images"), [(8, 400), (28, 400), (64, 400), (96, 217), (224, 39), (2000, 1)])
def test_large_images_are_fewer_unless_told_otherwise(size, images):
    assert robustness.count(400, size=(size, size), megapixels=2.0) == images
    assert robustness.count(400, size=(size, size), megapixels=2000.0) == 400


def test_the_stage_loads_neither_torch_nor_scikit_learn():
    code = "import sys, pipelines.robustness; print({'torch', 'sklearn', 'mlflow', 'pandas'} & set(sys.modules))"
    root = Path(__file__).parents[1]
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
