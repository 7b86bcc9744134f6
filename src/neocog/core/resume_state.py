"""What a stage needs to be continued, kept until DVC has noted in dvc.lock what the stage made.

A stage that has ended is not yet safe: killed before dvc.lock names its outputs, DVC removes them and runs it again. So under DVC its
working files stay, beside a record of what it made, and the next stage (or `make repro`) that finds this in dvc.lock removes both.
"""

import json
import os
import shutil
from pathlib import Path

from neocog.core import integrity, lockfile

_RECORDS = Path(".neocog") / "unnoted"
_STAGE = "DVC_STAGE"  # DVC's word in the environment of each stage
_needed: list[Path] = []  # by the stage that this process is


def remove(path: Path) -> None:
    """Remove the file or folder `path`, which the stage needs to be continued: at once, or under DVC as soon as dvc.lock allows."""
    if _outs():
        _needed.append(path)
    else:
        _remove(path)


def begin() -> None:
    """At the start of a stage: dvc.lock is whole and names what earlier stages made."""
    if _STAGE in os.environ:
        lockfile.keep_copy()
        remove_noted()


def end() -> None:
    """At the end of a stage: record what it made. What an earlier record of it kept, for other settings, goes."""
    if not _needed:
        return
    record = _RECORDS / f"{_stage()}.json"
    needed = [str(path) for path in _needed]
    earlier = _read(record)["needed"] if record.exists() else []
    outs = {out: lockfile.md5(Path(out)) for out in _outs()}
    integrity.write(record, json.dumps({"outs": outs, "needed": needed}))
    for path in set(earlier) - set(needed):
        _remove(Path(path))
    _needed.clear()


def remove_noted() -> None:
    """Remove what the stages kept whose outputs dvc.lock names."""
    for record in _RECORDS.glob("*.json"):
        try:
            kept = _read(record)
        except FileNotFoundError:  # another stage, which runs beside this one, was faster
            continue
        if lockfile.names_outs(record.stem, kept["outs"]):
            for path in kept["needed"]:
                _remove(Path(path))
            record.unlink(missing_ok=True)


def _outs() -> list[str]:
    """What the stage writes according to dvc.yaml; nothing where no stage is at work."""
    if _STAGE not in os.environ:
        return []
    import yaml  # whoever only logs does without

    base, _, item = _stage().partition("@")
    try:
        body = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][base]
    except (OSError, yaml.YAMLError, KeyError):
        return []
    body = body.get("do", body)
    outs = [out for kind in ("outs", "metrics", "plots") for out in body.get(kind, ())]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    names = {"key": item, "item": item} | {name: value for each in body.get("vars", ()) for name, value in each.items()}
    for name, value in names.items():
        paths = [path.replace(f"${{{name}}}", value) for path in paths]
    return paths


def _stage() -> str:
    return os.environ.get(_STAGE, "").rpartition(":")[2]


def _read(record: Path) -> dict:
    return json.loads(record.read_text(encoding="utf-8"))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
