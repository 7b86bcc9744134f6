"""`neocog register`: what the stage `register` does, or for one bundle by name."""

import argparse
from pathlib import Path
from typing import Any

from neocog.errors import UserError


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    register = verbs.add_parser(
        "register",
        help="make a model the champion of MLflow's registry",
        description="Make BUNDLE, or the best model of reports/leaderboard.csv by the section `register` of params.yaml, a version of the "
        "registered model with the alias @champion; the champion so far becomes @previous. The same bundle again changes nothing.",
        epilog="examples: neocog register | neocog register models/compressed/resnet-int8 --name shoes",
    )
    register.add_argument("bundle", metavar="BUNDLE", nargs="?", help="this one, whatever the goals")
    register.add_argument("--name", help="of the registered model (default: register.name of params.yaml, else neocog)")
    register.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.bundle import read
    from neocog.registry import choose, register

    params = params_file()
    how = params.get("register") or {}
    name = options.name or how.get("name", "neocog")
    if options.bundle:
        bundle = read.read(options.bundle)
    else:
        bundle, _ = choose.best(prefer=how.get("prefer", "top1"), goals=choose.goals(how.get("goals") or {}))
    experiment = (params.get("tracking") or {}).get("experiment", "neocog")
    promoted = register.register(bundle, name=name, experiment=experiment)
    print(register.sentence(bundle, promoted, name=name))


def params_file() -> dict[str, Any]:
    """params.yaml, where there is one."""
    import yaml

    path = Path("params.yaml")
    try:
        return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
