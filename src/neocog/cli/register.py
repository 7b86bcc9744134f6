"""`neocog register`: register the best model, or a named bundle, in MLflow's model registry."""

import argparse
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.cli.options import params_file
from neocog.core.errors import UserError, nearest
from neocog.core.escape import say

REGISTER = {"name": str, "prefer": str, "goals": dict | None}
TRACKING = {"experiment": str}
_CALLED = {str: "text"}


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    register = verbs.add_parser(
        "register",
        help="make a model the champion of MLflow's registry",
        description="Make BUNDLE, or the best model of reports/leaderboard.csv by the section `register` of params.yaml, a version of the "
        "registered model with the alias @champion; the champion so far becomes @previous. The same bundle again changes nothing.",
        epilog="examples: neocog register | neocog register models/compressed/resnet-int8 --name shoes",
    )
    register.add_argument("bundle", metavar="BUNDLE", nargs="?", help=f"this one: {NAMED}")
    register.add_argument(
        "--anyway", action="store_true", help="even if BUNDLE misses register.goals, or was never judged here"
    )
    register.add_argument("--name", help="of the registered model (default: register.name of params.yaml, else neocog)")
    register.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from neocog.bundle import locate
    from neocog.registry import choose, register

    params = params_file()
    how, tracking = _section(params, "register", REGISTER), _section(params, "tracking", TRACKING)
    name, goals = options.name or how.get("name", "neocog"), how.get("goals") or {}
    lacking = ""
    if options.anyway and not options.bundle:
        raise UserError("--anyway is about a BUNDLE that is named; name one")
    if options.bundle:
        bundle = locate.find(options.bundle)
        lacking = choose.shortfall(bundle, goals)
    else:
        bundle, _ = choose.best(prefer=how.get("prefer"), limits=goals)
    if lacking and not options.anyway:
        raise UserError(f"{bundle.model} is not registered: {lacking}; name another, or add --anyway")
    promoted = register.register(bundle, name=name, experiment=tracking.get("experiment", "neocog"))
    say(register.sentence(bundle, promoted, name=name) + (f"; anyway: {lacking}" if lacking else ""))


def _section(params: dict[str, Any], name: str, kinds: dict[str, Any]) -> dict[str, Any]:
    """A section of params.yaml, whose keys and their types are `kinds`. Raises UserError for any other."""
    found = params.get(name) or {}
    if not isinstance(found, dict):
        raise UserError(f"params.yaml: {name} (={found!r}) must be a section with {', '.join(kinds)}")
    for key, value in found.items():
        if key not in kinds:
            raise UserError(f"params.yaml: {name}.{key}: unknown key; {nearest(str(key), kinds)}")
        if not isinstance(value, kinds[key]):
            raise UserError(f"params.yaml: {name}.{key} (={value!r}) must be {_CALLED.get(kinds[key], 'a section')}")
    return found
