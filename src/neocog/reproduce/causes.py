"""Differences in how two bundles were made, by their cards: data, params, code, libraries, threads."""

from collections.abc import Mapping
from typing import Any

from neocog.bundle.read import Bundle

NAMED = 6  # differing params that are named


def causes(before: Bundle, after: Bundle) -> list[str]:
    """One phrase for each thing that differs; none where the cards tell of no difference."""
    was, now = before.card["provenance"], after.card["provenance"]
    found = []
    for what, name in (("data", "data_digest"), ("code", "code_digest")):
        if was.get(name) != now.get(name):
            found.append(f"other {what} ({str(was.get(name))[:12]}, now {str(now.get(name))[:12]})")
    for what, name in (("params", "params"), ("libraries", "libraries")):
        if changed := _changes(flat(was.get(name, {})), flat(now.get(name, {}))):
            found.append(f"other {what} ({changed})")
    if was.get("threads") != now.get("threads"):
        found.append(f"{was.get('threads')} threads, now {now.get('threads')}")
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    other = [name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]
    parts = [f"{name} {was.get(name, 'not set')}, now {now.get(name, 'not set')}" for name in other[:NAMED]]
    return "; ".join(parts) + (f" and {len(other) - NAMED} more" if len(other) > NAMED else "")
