"""What any method makes of a network goes through all that comes after: every stage up to the report, and the verbs."""

import subprocess
import sys

import numpy as np
import projects
import pytest

from neocog import compression
from neocog.bundle.read import read
from neocog.data import prepared
from neocog.drawing import colormaps
from neocog.inspect import activation_rows, activations, explain
from neocog.inspect.explain import poster

TRAIN = {"epochs": 1, "images": 256}
STEPS = {
    name: {"method": name} | ({"train": TRAIN} if compression.card(name).trains == "must" else {})
    for name in compression.names()
}
SCRIPT = """
import sys; sys.path.insert(0, ".")
from pipelines import audit, benchmark, compress, evaluate, explain, prepare, report, robustness, train

prepare.prepare()
train.train("lenet")
evaluate.evaluate("lenet")
for recipe in sys.argv[1:]:
    compress.compress(recipe)
    evaluate.evaluate(f"compressed/{recipe}")
for stage in (benchmark.benchmark, robustness.robustness, audit.audit, explain.explain, report.report):
    stage()
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = projects.set_up(
        tmp_path_factory.mktemp("methods") / "project",
        data={"source": "digits", "size": [10, 8]},  # oblong: most other tests have squares
        architectures={"lenet": {"epochs": 1, "threads": 1}},
        tune={"architectures": [], "space": {}},
        compress={name: {"model": "trained/lenet", "steps": [step]} for name, step in STEPS.items()},
        evaluate={"bootstrap": 20},
        benchmark={"rounds": 3},
        robustness={"images": 20, "severities": [1], "baseline": None},
    )
    command = [sys.executable, "-c", SCRIPT, *STEPS]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-3000:]
    return folder


def test_every_method_is_on_the_page(done):
    page = (done / "reports/report.html").read_text()
    assert len(STEPS) >= 10
    for name in STEPS:
        assert f"compressed/{name}" in page
    assert len((done / "reports/robustness.csv").read_text().splitlines()) == 1 + (1 + len(STEPS)) * 16


@pytest.mark.parametrize("name", STEPS)
def test_its_inside_can_be_drawn_and_its_answers_explained(name, done):
    bundle = read(done / "models/compressed" / name)
    image = np.asarray(prepared.read(done / "data/prepared").split("test").images[0])
    found = activations.look(bundle, image)
    assert found.filters is not None and found.depths
    drawn = [colormaps.sheet(row.tiles, side=colormaps.side(max(bundle.size))) for row in activation_rows.rows(found)]
    assert all(sheet.any() for sheet in drawn)
    if name == "quantize_dynamic":
        plain = activations.look(read(done / "models/trained/lenet"), image).filters
        ours = (each.weights.reshape(len(each.weights), -1) for each in (plain, found.filters))
        alike = [float(np.corrcoef(one, other)[0, 1]) for one, other in zip(*ours, strict=True)]
        assert min(alike) > 0.95, "the filters are those that were rounded, around their zero"
    told = poster.explained(bundle, image, explain.names())
    assert "occlusion" in told.maps and abs(told.probability - found.prediction.max()) < 1e-3
