"""Plan of a reproduction: what made a bundle, and what would run again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neocog.architectures.pretrained import digest
from neocog.bundle.read import CARD, Bundle
from neocog.core import machine, params_yaml
from neocog.core.errors import UserError, nearest
from neocog.reproduce.git import Project
from neocog.reproduce.origin import LOCK, Origin

STAGES = {"trained": "train", "tuned": "tune", "compressed": "compress"}
PACKAGES = ("requirements.lock", "requirements.txt")  # of the clone, and of a project of `neocog init`
RECORDED = ("data_digest", "code_digest", "params", "seed", "libraries")  # provenance without which there is no plan


@dataclass(frozen=True)
class Plan:
    """A bundle, where it comes from, and the stage that makes it."""

    bundle: Bundle
    project: Project
    origin: Origin

    @property
    def stage(self) -> str:
        """`train@resnet`."""
        return f"{STAGES[self.bundle.kind]}@{self.bundle.name}"

    @property
    def out(self) -> Path:
        """Where the stage leaves the model, from the root of the project."""
        return Path("models") / self.bundle.model

    @property
    def threads(self) -> int:
        """CPU threads that it was made with, and that it must be made with again for the same bits."""
        return int(self.bundle.card["provenance"].get("threads", 0))

    def warnings(self) -> list[str]:
        """What is otherwise here than where the bundle was made, and may change bits."""
        made = self.bundle.card["provenance"]
        found = [
            f"{name} made it at {there}, here is {here}"
            for name, there in made["libraries"].items()
            if (here := _installed(name)) != there
        ]
        if (asked := self._named_version()) and asked != (here := _installed("neocog")):
            found.append(f"{PACKAGES[1]} of that commit asks for neocog {asked}, here is {here}")
        cores = machine.cores()
        if self.threads > cores:
            found.append(f"{self.threads} threads made it, here are {cores} cores")
        if made.get("device", "cpu") != "cpu":
            found.append(f"it was trained on {made['device']}, where equal runs need not give equal bits")
        return found

    def page(self) -> str:
        """Commit, data, params, lock files and the run to come, a line each."""
        made = self.bundle.card["provenance"]
        commit, project = self.origin.commit, self.project
        lines = {
            "commit": f"{project.describe(commit)}: {_WHY[self.origin.how]}",
            "data": f"digest {made['data_digest'][:12]}",
            "params": f"{_params(made['params'])}: {self._params_from()}",
            "packages": self._packages(),
            "code": f"digest {str(made['code_digest'])[:12]}, seed {made['seed']}, {self.threads or '?'} threads, "
            f"{made.get('device', 'cpu')}",
            "run": f"dvc repro -s --force {self.stage}, in a worktree of its own",
        }
        if begun := made.get("first_weights"):
            lines["weights"] = f"{begun['origin']}, SHA-256 {begun['sha256'][:12]}"
        width = max(map(len, lines)) + 2
        entries = [f"{name.ljust(width)}{text}" for name, text in lines.items()]
        return "\n".join([self.bundle.model, *entries, *(f"warning: {each}" for each in self.warnings())])

    def _params_from(self) -> str:
        if self.origin.committed:
            return f"params.yaml {self.project.blob(self.origin.commit, 'params.yaml')}, as committed"
        return "from bundle.json, put into that commit's params.yaml"

    def _packages(self) -> str:
        name = next((name for name in PACKAGES if self.project.blob(self.origin.commit, name)), None)
        if name is None:
            return f"neither {' nor '.join(PACKAGES)} is in that commit; what is installed here is used"
        at, here = (self.project.blob(commit, name) for commit in (self.origin.commit, "HEAD"))
        return f"{name} {at}, {'that of HEAD' if at == here else 'not that of HEAD'}; what is installed here is used"

    def _named_version(self) -> str | None:
        """The version of neocog that the commit's requirements.txt asks for; None where it names none."""
        text = self.project.file(self.origin.commit, PACKAGES[1]) or ""
        found = re.search(r"^neocog(?:\[.*?\])?==([^\s;#]+)", text, re.MULTILINE)
        return found and found[1]


_WHY = {
    "lock": f"the first whose {LOCK} has this bundle",
    "run": f"no commit's {LOCK} has this bundle (uncommitted); its MLflow run names this commit, perhaps with changes since",
    "head": f"HEAD, for no commit's {LOCK} has this bundle (uncommitted) and no MLflow run says where it is from",
    "asked": "the one asked for",
}


def check(plan: Plan) -> Plan:
    """The same. Raises UserError for a bundle that no stage makes, or none of that commit, or that does not say what made it, or whose
    first weights are no longer there."""
    if plan.bundle.kind not in STAGES:
        raise UserError(f"{plan.bundle.folder}: no stage makes a {plan.bundle.kind} model; {nearest('', STAGES)}")
    named = _named(plan)
    if plan.origin.committed and plan.bundle.name not in named:
        raise UserError(
            f"{plan.stage}: params.yaml of {plan.origin.commit[:10]} has no {plan.bundle.name!r} there; "
            f"{nearest(plan.bundle.name, named)}"
        )
    made = plan.bundle.card.get("provenance")
    if lacking := [name for name in RECORDED if not isinstance(made, Mapping) or name not in made]:
        raise UserError(
            f"{plan.bundle.folder / CARD}: no {', '.join(lacking)} in its `provenance`, so what made it cannot be told; "
            f"`dvc repro {plan.stage} --force` makes one that says it"
        )
    if (named_file := first_weights_file(plan)) and digest.of_file({"weights": str(named_file)}) != {
        "weights": plan.bundle.card["provenance"]["first_weights"]["sha256"]
    }:
        raise UserError(
            f"{plan.bundle.folder}: it began with the weights of {named_file}, which is not there, or no longer has SHA-256 "
            f"{plan.bundle.card['provenance']['first_weights']['sha256'][:12]}; put it there again"
        )
    return plan


def first_weights_file(plan: Plan) -> Path | None:
    """The file or folder of first weights that the params of the bundle name."""
    made = plan.bundle.card["provenance"]
    named = made.get("first_weights") and made["params"].get("architecture", {}).get("weights")
    return plan.project.folder / Path(named).expanduser() if named else None


def _named(plan: Plan) -> list[str]:
    """Those of the bundle's kind that params.yaml of the commit has."""
    commit = plan.origin.commit
    try:
        params = params_yaml.parse(plan.project.file(commit, "params.yaml") or "")
        sections = {
            "trained": params.get("architectures"),
            "tuned": (params.get("tune") or {}).get("architectures"),
            "compressed": params.get("compress"),
        }
        return [str(name) for name in sections[plan.bundle.kind] or ()]
    except (ValueError, AttributeError, TypeError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"params.yaml of {commit[:10]} cannot be read ({why}); name another with --at") from None


def _params(params: Mapping[str, Any]) -> str:
    if "compress" in params:
        steps = ", ".join(step["method"] for step in params["compress"]["steps"])
        return f"{steps} on {params['compress']['model']}"
    return ", ".join(f"{key} {params['train'][key]}" for key in ("optimizer", "lr", "epochs", "batch_size"))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
