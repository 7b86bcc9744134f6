"""Entries of dvc.lock are in the order of the plan, however stages end, whoever else writes the file, whenever a run is killed."""

from pathlib import Path

import pytest
from dvc.utils.serialize import dumps_yaml, load_yaml
from hypothesis import given
from hypothesis import strategies as st

from neocog.orchestration.parallel.lock_entries import LockEntries, append_line, read_lines


def entry(name: str, version: int = 0) -> dict[str, object]:
    return {"cmd": f"make {name} {version}", "deps": [{"path": "a b", "hash": "md5", "md5": "0" * 32}]}


@given(
    ended=st.permutations(range(6)),
    known=st.sets(st.integers(0, 5)),
    kills=st.sets(st.integers(0, 5)),
    others=st.sets(st.integers(0, 5)),
)
def test_the_order_is_that_of_the_plan_after_what_was_there(
    tmp_path_factory: pytest.TempPathFactory, ended: list[int], known: set[int], kills: set[int], others: set[int]
) -> None:
    root = tmp_path_factory.mktemp("lock")
    path = root / "dvc.lock"
    plan = [(str(path), f"s{number}") for number in range(6)]
    before = {f"s{number}": entry(f"s{number}", 1) for number in sorted(known, reverse=True)}
    if before:
        path.write_text(dumps_yaml({"schema": "2.0", "stages": before}))
    entries = LockEntries(plan, root)
    for step, number in enumerate(ended):
        if step in kills:
            entries = LockEntries(plan, root)
        if step in others and path.exists():  # another process writes, as DVC does
            found = load_yaml(str(path))
            found["stages"]["other"] = entry("other", step)
            path.write_text(dumps_yaml(found))
        assert entries.write(str(path), f"s{number}", entry(f"s{number}"))
        assert not entries.write(str(path), f"s{number}", entry(f"s{number}"))
    found = load_yaml(str(path))["stages"]
    stages = [name for name in found if name != "other"]
    new = [f"s{number}" for number in range(6) if number not in known]
    assert stages == [*before, *new] and all(found[name] == entry(name) for name in stages)
    assert ("other" in found) == bool((others - {0}) or (others and known))


def test_a_line_that_a_kill_cut_off_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    append_line(path, ["dvc.lock", "a"])
    path.write_bytes(path.read_bytes() + b'\n["dvc.lo')
    append_line(path, ["dvc.lock", "b"])
    assert read_lines(path) == [["dvc.lock", "a"], ["dvc.lock", "b"]]
