"""What this machine has: cores, and amounts of memory as people write them."""

import os
import re

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}  # of memory, in bytes
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_size(text: str) -> int | None:
    """Bytes of `80G`, `500 MiB`, `1024`: G are 2^30. None for what is no amount of memory."""
    found = _AMOUNT.fullmatch(text.strip())
    return int(float(found[1]) * UNITS[found[2].upper()]) if found else None
