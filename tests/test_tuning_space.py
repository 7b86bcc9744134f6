"""What a sweep may draw: inside its bounds, the same for the same number, and refused where params.yaml is wrong."""

import json
import math
import re

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from imports import ROOT

from neocog.core.errors import UserError
from neocog.params import load
from neocog.tuning.space import Dimension, grid, sample, space

BOUNDS = st.tuples(st.floats(1e-6, 1e3), st.floats(1.01, 1e3)).map(lambda pair: (pair[0], pair[0] * pair[1]))
DIMENSIONS = st.one_of(
    BOUNDS.map(lambda pair: Dimension("log_uniform", pair)),
    BOUNDS.map(lambda pair: Dimension("uniform", pair)),
    st.tuples(st.integers(-50, 50), st.integers(1, 50)).map(lambda p: Dimension("integer", (p[0], p[0] + p[1]))),
    st.lists(st.sampled_from(["a", 2, 3.5, True, (1, 2)]), min_size=1, unique_by=str).map(
        lambda values: Dimension("choice", tuple(values))
    ),
)


@settings(max_examples=200, deadline=None)
@given(DIMENSIONS, st.integers(0, 10**6))
def test_what_is_drawn_lies_inside(dimension, seed):
    value = dimension.draw(np.random.default_rng(seed))
    assert dimension.contains(value) or math.isclose(value, dimension.clip(value), rel_tol=1e-12)
    assert not dimension.contains("something else")


@settings(max_examples=100, deadline=None)
@given(BOUNDS, st.floats(-1e6, 1e6))
def test_clipping_ends_inside_and_moves_nothing_that_is_inside(bounds, value):
    dimension = Dimension("uniform", bounds)
    clipped = dimension.clip(value)
    assert dimension.contains(clipped)
    assert clipped == value or not dimension.contains(value)


def test_log_uniform_spends_as_much_on_each_decade():
    chance = np.random.default_rng(0)
    drawn = [Dimension("log_uniform", (1e-4, 1.0)).draw(chance) for _ in range(4000)]
    shares = np.histogram(np.log10(drawn), bins=4, range=(-4, 0))[0] / 4000
    assert np.all(np.abs(shares - 0.25) < 0.03)
    plain = [Dimension("uniform", (1e-4, 1.0)).draw(chance) for _ in range(4000)]
    assert np.histogram(np.log10(plain), bins=4, range=(-4, 0))[0][-1] > 3400, "the control: plain uniform does not"


def test_a_trial_draws_the_same_whenever_it_is_asked_for_and_each_another():
    sides = space({"lr": {"log_uniform": [0.001, 0.1]}, "width": {"choice": [1, 2]}}, where="tune.space.lenet")
    first = [sample(sides, seed=0, index=index) for index in range(20)]
    assert first[7] == sample(sides, seed=0, index=7)
    assert len({values["lr"] for values in first}) == 20
    assert sample(sides, seed=1, index=7) != first[7]


def test_a_grid_holds_every_combination_once():
    sides = space({"width": {"choice": [1, 2, 3]}, "crop": {"integer": [0, 1]}}, where="tune.space.lenet")
    points = grid(sides)
    assert len(points) == 6 == len({json.dumps(point) for point in points})
    with pytest.raises(UserError, match=r"lr: tune\.searcher \(=grid\) tries every value, but log_uniform has no end"):
        grid(space({"lr": {"log_uniform": [0.1, 1.0]}}, where="x"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architectures": ["lenat"]}, r"tune\.architectures \(='lenat'\) has no block.*did you mean 'lenet'"),
        ({"architectures": ["lenet", "lenet"]}, "names one twice"),
        ({"architectures": ["mlp"]}, r"tune\.space\.mlp is empty"),
        ({"trials": 0}, r"tune\.trials \(=0\)"),
        ({"searcher": "optunna"}, "did you mean 'optuna'"),
        ({"scheduler": "asah"}, "did you mean 'asha'"),
        ({"space": {"lenet": {"lt": {"uniform": [0, 1]}}}}, r"tune\.space\.lenet\.lt: unknown key; did you mean 'lr'"),
        ({"space": {"lenet": {"threads": {"integer": [1, 2]}}}}, "unknown key"),
        ({"space": {"lenet": {"lr": {"log_uniform": [0.1, 0.01]}}}}, r"write {log_uniform: \[0\.01, 0\.1\]}"),
        ({"space": {"lenet": {"lr": {"log_uniform": [0, 0.1]}}}}, "values above 0"),
        ({"space": {"lenet": {"lr": {"log_uniform": ["low", 0.1]}}}}, "two numbers"),
        ({"space": {"lenet": {"lr": {"uniform": [-1.0, 0.1]}}}}, r"tune\.space\.lenet\.lr \(=-1\.0\)"),
        ({"space": {"lenet": {"width": {"choice": [1, "wide"]}}}}, r"tune\.space\.lenet\.width \(='wide'\)"),
        ({"space": {"lenet": {"lr": {"choice": []}}}}, "wants different values"),
        ({"space": {"lenet": {"lr": {"normal": [0, 1]}}}}, r"tune\.space\.lenet\.lr"),
        ({"space": {"lenet": {"epochs": {"integer": [1, 5]}}}, "scheduler": "pbt"}, "hands the weights"),
        (
            {"space": {"lenet": {"width": {"choice": [1, 2, 3, 4]}}}, "searcher": "grid", "trials": 4},
            "set tune.trials: 5",
        ),
    ],
)
def test_a_wrong_sweep_is_refused_with_its_key_and_the_remedy(project, change, said):
    raw = yaml.safe_load((project / "params.yaml").read_text())
    raw["tune"] = raw["tune"] | {"architectures": ["lenet"]} | change
    (project / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError, match=said):
        load.for_stage("tune@lenet")


def test_a_sweep_sees_its_own_space_and_no_other(project):
    settings = load.for_stage("tune@lenet")
    assert set(settings.raw["tune"]["space"]) == {"lenet"}
    assert "architectures" not in settings.raw["tune"], "another sweep must not re-run this one"
    assert set(settings.space("lenet")) == set(settings.raw["tune"]["space"]["lenet"])


def test_no_sweep_names_the_test_images():
    """What chooses must not have seen what judges."""
    files = [
        ROOT / "pipelines/tune.py",
        *(ROOT / "src/neocog/tuning").glob("*.py"),
        *(ROOT / "src/neocog/training").glob("*.py"),
    ]
    assert len(files) > 15
    assert not [path.name for path in files if re.search(r"""["']test["']""", path.read_text())]
    assert re.search(r"""["']test["']""", (ROOT / "pipelines/evaluate.py").read_text()), (
        "the control: it would be found"
    )
