"""Cores of the machine, and amounts of memory as people write them."""

import os

import pytest

from neocog.core import machine


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("500M", 500 << 20), ("2 GiB", 2 << 30), ("1.5g", 3 << 29), ("80GB", 80 << 30), (" 1T ", 1 << 40)],
)
def test_amounts_of_memory_are_read_as_people_write_them(text, size):
    assert machine.memory_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1X", "2G5", "1e3", "inf"])
def test_what_is_no_amount_of_memory_is_none(text):
    assert machine.memory_size(text) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_cores_are_those_that_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert machine.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert machine.cores() == len(allowed)
