"""Every stage on photographs that stay encoded leaves what it leaves of the same photographs as pixels, bit by bit."""

import filecmp
import subprocess
import sys
from pathlib import Path

import numpy as np
import projects
import pytest
from pictures import picture, save
from PIL import Image

TRAIN = {"epochs": 1, "images": 32}
STEPS = [
    {"method": "prune_structured", "importance": "taylor", "ratio": 0.3},
    {"method": "distill", "hints": 0.5, "train": TRAIN},
    {"method": "quantize_static"},
    {"method": "temperature"},
]
SCRIPT = """
import os, sys
sys.path.insert(0, os.getcwd())
from pipelines import audit, benchmark, compress, evaluate, explain, prepare, report, robustness, train

prepare.prepare()
train.train("lenet")
evaluate.evaluate("lenet")
compress.compress("small")
evaluate.evaluate("compressed/small")
robustness.robustness()
audit.audit()
if "all" in sys.argv:
    for stage in (benchmark.benchmark, explain.explain, report.report):
        stage()
"""
BOTH = ("packed", "encoded")
MODELS = ("trained/lenet", "compressed/small")
SAME = [
    *(f"models/{model}/{name}" for model in MODELS for name in ("model.onnx", "weights.safetensors")),
    *(f"reports/{model}/metrics.json" for model in MODELS),
    "reports/trained/lenet/history.csv",
    *(f"reports/{name}.csv" for name in ("robustness", "audit/labels", "audit/duplicates")),
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stages")
    for label in range(2):
        for i in range(40):
            pixels = np.asarray(picture(label * 1000 + i, width=200, height=150)).copy()
            pixels[label * 70 : label * 70 + 60] = (250, 120 * label, 0)
            save(Image.fromarray(pixels), folder / "raw" / f"class{label}" / f"{i}.jpg")
    projected = {
        store: projects.set_up(
            folder / store,
            data={
                "source": "folder",
                "root": str(folder / "raw"),
                "size": [28, 36],
                "store": store,
                "val_fraction": 0.2,
            },
            train={"epochs": 1, "batch_size": 16},
            architectures={"lenet": {"threads": 1, "augment": [{"method": "random_resized_crop"}]}},
            tune={"architectures": [], "space": {}},
            compress={"small": {"model": "trained/lenet", "steps": STEPS}},
            evaluate={"bootstrap": 20, "tta": "flip"},
            benchmark={"rounds": 2},
            robustness={"images": 8, "severities": [1], "baseline": None},
            explain={"images": 1},
        )
        for store in BOTH
    }
    for store, project in projected.items():  # what is drawn and timed of the packed ones, other tests look at
        command = [sys.executable, "-c", SCRIPT, "all" if store == "encoded" else ""]
        ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=400)
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-3000:]
    return projected


@pytest.mark.slow
def test_models_scores_and_tables_are_the_same(done: dict[str, Path]) -> None:
    packed, encoded = (done[store] for store in BOTH)
    assert (encoded / "data/prepared/images.bin").is_file() and not (encoded / "data/prepared/images.npy").exists()
    different = [name for name in SAME if not filecmp.cmp(packed / name, encoded / name, shallow=False)]
    assert different == []
    assert "compressed/small" in (encoded / "reports/report.html").read_text()
    assert not filecmp.cmp(packed / "data/prepared/dataset.json", encoded / "data/prepared/dataset.json", shallow=False)
