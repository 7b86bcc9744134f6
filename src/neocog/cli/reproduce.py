"""`neocog reproduce`: make a model again and compare it with what was shipped."""

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.core.escape import say

DIFFERS = 1  # exit code


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    reproduce = verbs.add_parser(
        "reproduce",
        help="make a model again from what is recorded of it, and compare",
        description="Say which commit, data, params and lock file made BUNDLE, run its stage again in a clean git worktree (data from "
        "DVC's cache), and tell whether the weights are bit-identical, or how the metrics differ. Your working tree, index, branch, MLflow "
        "store and DVC cache stay as they are. Exit code 0: identical, 1: it differs, 2: it cannot be run.",
        epilog="examples: neocog reproduce models:/neocog@champion | neocog reproduce models/trained/lenet --plan",
    )
    reproduce.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    reproduce.add_argument("--plan", "--dry-run", action="store_true", help="only say what made it and what would run")
    reproduce.add_argument(
        "--at", metavar="COMMIT", help="run the stage of this commit (default: of the commit that made it)"
    )
    reproduce.add_argument("--keep", action="store_true", help="leave the worktree, and say where it is")
    reproduce.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.bundle import locate
    from neocog.reproduce import git, origin, plan, rerun

    project = git.project(Path.cwd())
    bundle = locate.find(options.bundle)
    shared = cache(lambda: rerun.cache_of(project.folder))
    asked = origin.Origin(project.commit(options.at), "asked") if options.at else None
    found = asked or origin.find(bundle, project, cache=shared)
    planned = plan.check(plan.Plan(bundle, project, found))
    say(planned.page(), flush=True)
    if not options.plan:
        _reproduce(planned, shared(), keep=options.keep)


def _reproduce(planned: Any, shared: Path, *, keep: bool) -> None:
    from rich.console import Console
    from rich.markup import escape

    from neocog.bundle import read
    from neocog.data import prepared
    from neocog.reproduce import compare, rerun, summary, worktree

    console = Console(stderr=True)
    with (
        worktree.clean(planned.project, planned.origin.commit, keep=keep) as folder,
        console.status(f"{planned.stage} ...") as status,
    ):
        if keep:
            say(f"worktree  {folder}", flush=True)
        copy = rerun.Copy(folder, planned.threads, lambda line: status.update(f"{planned.stage}: {escape(line)}"))
        made = rerun.rerun(planned, copy, cache=shared)
        result = compare.compare(planned.bundle, read.read(made), lambda: prepared.read(folder / "data" / "prepared"))
    say(summary.page(result))
    if keep:
        home = planned.project.folder
        say(f"kept: {folder} (`git -C {home} worktree remove --force {folder}` removes it)")
    if not result.identical:
        sys.exit(DIFFERS)
