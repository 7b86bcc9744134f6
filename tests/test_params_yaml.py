"""params.yaml means to neocog what it means to DVC, which reads YAML 1.2; only a duplicate key is refused more strictly."""

import pytest
import yaml
from dvc.utils.serialize import loads_yaml

from neocog.core import params_yaml
from neocog.core.errors import UserError

SCALARS = [
    "1e-05",
    "1e-5",
    "1E3",
    "-2e+4",
    "1.",
    ".5",
    "12e03",
    "0.1",
    "on",
    "off",
    "yes",
    "No",
    "y",
    "true",
    "True",
    "null",
    "~",
    "Null",
]
SCALARS += [
    "010",
    "08",
    "0o10",
    "0x1F",
    "0b11",
    "1:30",
    "1_000",
    "+1",
    "-0",
    ".inf",
    "-.INF",
    "1e",
    "'1e-5'",
    "2026-01-01",
    "[1e-2, 2]",
]
MERGED = """
base: &base {epochs: 2, lr: 0.06}
other: &other {lr: 0.5, crop: 1}
after: {lr: 0.1, <<: *base}
before: {<<: *base, lr: 0.1}
both: {<<: [*base, *other], crop: 3}
again: {<<: *base, epochs: 9}
alias: *base
"""


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_value_is_read_as_dvc_reads_it(scalar):
    text = f"train:\n  lr: {scalar}\n"
    ours, theirs = params_yaml.parse(text)["train"]["lr"], loads_yaml(text)["train"]["lr"]
    assert (type(ours), ours) == (type(theirs), theirs)


def test_pyyaml_would_read_some_of_them_otherwise():
    other = [each for each in SCALARS if yaml.safe_load(f"a: {each}")["a"] != loads_yaml(f"a: {each}")["a"]]
    assert {"1e-05", "on", "010", "1:30"} <= set(other)


def test_anchors_and_merges_are_read_as_dvc_reads_them():
    found = params_yaml.parse(MERGED)
    assert found == loads_yaml(MERGED)
    assert found["after"] == found["before"] == {"epochs": 2, "lr": 0.1} and found["again"]["epochs"] == 9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2\n", "duplicate key 'a' (lines 1 and 2)"),
        ("a:\n  b: 1\n  c: {}\n  b: 2\n", "duplicate key 'b' (lines 2 and 4)"),
        ("x: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n  b: 3\n", "duplicate key 'b' (lines 4 and 5)"),  # DVC takes the last
        ("x: &x {b: 1}\nc: [{<<: *x, <<: *x}]\n", "duplicate key '<<'"),
        ("1: a\n'1': b\n", "duplicate key '1'"),
        ("a: [\n", "not valid YAML"),
        ("a: !!python/object:os.system x\n", "not valid YAML: could not determine a constructor"),
        (f"a: {'9' * 5000}\n", "not valid YAML: Exceeds the limit"),
        ("a: {{b: 1}: 2}\n", "found unhashable key"),
        ("a: " + "[" * 5000 + "]" * 5000, "not valid YAML"),
        ("a: 1\n---\nb: 1\n", "single document"),
        ("[1, 2]\n", "must hold sections, not list"),
        ("7\n", "must hold sections, not int"),
    ],
)
def test_what_is_no_block_of_different_keys_is_one_sentence(text, told):
    with pytest.raises(UserError) as error:
        params_yaml.parse(text)
    assert told in str(error.value) and "\n" not in str(error.value), str(error.value)


def test_an_empty_file_has_no_sections_and_a_missing_one_is_named(tmp_path):
    assert params_yaml.parse("# nothing\n") == {}
    with pytest.raises(UserError, match=r"params\.yaml not found"):
        params_yaml.read(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UserError, match="write it in UTF-8"):
        params_yaml.read(tmp_path / "params.yaml")


def test_what_is_written_reads_back_as_the_same_in_the_same_order():
    values = {
        "z": 1e-05,
        "a": ["1e-5", "on", "010", "0o10", "1:30", "null", "é", ""],
        "n": None,
        "t": True,
        "big": 1e300,
    }
    values["nested"] = {"blocks": {"widths": [1, 2], "s": {"choice": [[1], [2]]}}, "empty": {}, "none": []}
    text = params_yaml.dump(values)
    assert params_yaml.parse(text) == loads_yaml(text) == values
    assert list(params_yaml.parse(text)) == list(values)
