"""`neocog repro` and `neocog exp run`: what `dvc repro` and `dvc exp run` do, several stages at once."""

import argparse
import sys
from typing import Any

from neocog.core.errors import UserError

_COMMON = "-j 0 takes repro.jobs of params.yaml, whose default is one stage for each core"


def add(verbs: Any) -> None:
    """Add both verbs to argparse's subparsers."""
    repro = verbs.add_parser(
        "repro",
        help="run what changed of the pipeline, several stages at once",
        description="What `dvc repro` does, with all its arguments, several stages at once: dvc.lock, cache and outs become the same, byte "
        "for byte. What a stage takes of the machine is its `meta` in dvc.yaml, or repro.resources in params.yaml. Each stage's output is "
        "in .neocog/logs; a terminal shows one table. Waits while another `neocog repro` is at work here.",
        epilog="examples: neocog repro | neocog repro -j 2 evaluate --keep-going | neocog repro train@lenet --force --single-item",
        usage="neocog repro [-h] [-j N] [--isolated | --ray ADDRESS] [targets and options of dvc repro ...]",
        allow_abbrev=False,
    )
    repro.set_defaults(run=_repro, takes_more=True)
    experiment = verbs.add_parser(
        "exp",
        help="`exp run`: run an experiment, several stages at once",
        description="`neocog exp run` is `dvc exp run`, with all its arguments, several stages at once.",
        epilog="example: neocog exp run -S train.epochs=2 --name short",
        usage="neocog exp run [-h] [-j N] [--isolated | --ray ADDRESS] [options of dvc exp run ...]",
        allow_abbrev=False,
    )
    experiment.set_defaults(run=_experiment, takes_more=True)
    for parser in (repro, experiment):
        parser.add_argument("-j", "--jobs", metavar="N", type=_jobs, default=0, help=f"stages at once; {_COMMON}")
        parser.add_argument(
            "--isolated",
            action="store_true",
            help="run each stage in a folder that holds its declared dependencies and nothing else: an undeclared read fails",
        )

        parser.add_argument(
            "--ray",
            metavar="ADDRESS",
            default="",
            help="run the stages on the nodes of the Ray cluster at ADDRESS (auto, host:port, ray://host:port, or params: ray.address of "
            "params.yaml), each in such a folder; files travel through the DVC remote or a shared cache (docs/cluster.md)",
        )


def _repro(options: argparse.Namespace) -> None:
    _run(["repro", *options.more], options)


def _experiment(options: argparse.Namespace) -> None:
    if options.more[:1] != ["run"]:
        said = " ".join(options.more) or "nothing"
        raise UserError(f"neocog exp takes `run`, not {said!r}; for all else there is `dvc exp`")
    _run(["exp", *options.more], options)


def _run(command: list[str], options: argparse.Namespace) -> None:
    from neocog.orchestration.parallel import run

    if code := run.run(command, jobs=options.jobs, isolated=options.isolated, ray=options.ray):
        sys.exit(code)


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 1024")
    return int(text)
