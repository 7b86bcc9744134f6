"""DVC writes no .gitignore into a folder that a stage depends on: it would take the line back when a later stage fails."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from clones import run
from imports import ROOT
from test_stages import STAGES, body

NEW = "of-my-own"  # a model or recipe that no .gitignore names yet
CHAIN = {
    "compress": {
        "cmd": "mkdir -p models/compressed/x; echo x > models/compressed/x/x",
        "outs": ["models/compressed/x"],
    },
    "judge": {"cmd": "echo judge >> ran; touch judged", "deps": ["models/compressed"], "outs": ["judged"]},
    "last": {"cmd": f"{sys.executable} -c 'raise SystemExit(1)'", "deps": ["judged"]},
}


def cached(stage: str) -> list[str]:
    """The outs of a stage of which DVC keeps git away, for a new item."""
    outs = [out for kind in ("outs", "metrics", "plots") for out in body(stage).get(kind, ())]
    kept = [{out: {}} if isinstance(out, str) else out for out in outs]
    names = [name for out in kept for name, how in out.items() if how.get("cache", True)]
    kind = next((each["kind"] for each in body(stage).get("vars", ())), "")
    return [name.replace("${key}", NEW).replace("${item}", NEW).replace("${kind}", kind) for name in names]


def repository(folder: Path) -> Path:
    """The .gitignore files of this repository, and nothing else."""
    for name in run(ROOT, "git", "ls-files", "*.gitignore").split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    return folder


def test_what_dvc_caches_is_ignored_before_dvc_has_to_say_so(tmp_path):
    from scmrepo.git import Git

    scm = Git(str(repository(tmp_path)))
    read = {dep for stage in STAGES for dep in body(stage)["deps"]}
    inside = [out for stage in STAGES for out in cached(stage) if {str(folder) for folder in Path(out).parents} & read]
    assert len(inside) == 15, inside  # three kinds of models; predictions, tables, curves and counts of each
    assert [out for out in inside if not scm.is_ignored(str(tmp_path / out))] == []
    assert scm.ignore(str(tmp_path / "models/compressed" / NEW)) is None


@pytest.mark.parametrize("ignored", [True, False])
def test_a_stage_that_fails_lets_no_other_run_again(tmp_path, ignored):
    """Without the lines of .gitignore (the control), DVC changes the folder behind the stage that read it."""
    repository(tmp_path)
    if not ignored:
        (tmp_path / ".gitignore").unlink()
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": CHAIN}, sort_keys=False))
    run(tmp_path, "dvc", "init", "-q", "-f")
    for _ in range(2):
        with pytest.raises(AssertionError, match=r"failed to run: .*SystemExit"):
            run(tmp_path, "dvc", "repro")
    assert (tmp_path / "ran").read_text().split() == ["judge"] * (1 if ignored else 2)
