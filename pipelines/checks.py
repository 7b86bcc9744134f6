"""What is wrong with params.yaml beyond its types: names of nothing, sweeps and recipes that cannot be carried out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neocog import architectures, block, compression
from neocog.bundle.read import NAME
from neocog.errors import UserError, nearest
from neocog.training.recipe import KEYS, Recipe
from neocog.tuning.space import grid
from neocog.typed import keywords, typed
from pipelines.sections import SECTIONS

if TYPE_CHECKING:
    from pipelines.params import Params

MACHINE = (
    "seed",
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "threads",
    "on_oom",
)  # of a recipe: where, not how
HANDED_ON = (
    "lr",
    "momentum",
    "weight_decay",
    "clip_norm",
    "label_smoothing",
    "flip",
    "crop",
    "cutout",
    "mixup",
    "cutmix",
)


def sections(raw: dict[str, Any]) -> None:
    """Sections that are known, each of its type; a missing one is filled in with {}."""
    known = [*SECTIONS, "architectures", "compress"]
    for section in raw:
        if section not in known:
            raise UserError(f"params.yaml: {section}: unknown section; {nearest(str(section), known)}")
    for section in known:
        if not isinstance(raw.setdefault(section, {}), dict):
            raise UserError(f"params.yaml: {section} (={raw[section]!r}) must be a block of keys")
    for section, adapter in SECTIONS.items():
        typed(adapter, section, raw[section])
    for section in ("architectures", "compress"):  # an empty block holds the defaults
        raw[section] = {name: {} if values is None else values for name, values in raw[section].items()}
    if not raw["architectures"]:
        raise UserError(f"params.yaml: architectures is empty; name at least one of {', '.join(architectures.names())}")


def check(params: "Params") -> None:
    """Raise UserError (exit 2) for the first thing that is wrong with the whole file, whose `sections` are right."""
    _check_architectures(params)
    _check_tune(params)
    _check_compress(params)
    _check_audit(params)


def _check_architectures(params: "Params") -> None:
    for name, values in params.raw["architectures"].items():
        block.check(str(name), values)
        _check_rule(name, params.recipe(name))


def _check_tune(params: "Params") -> None:
    """The sweeps: of known blocks, over keys that these have, with values that each of them takes."""
    tune = params.tune
    if len(set(tune.architectures)) < len(tune.architectures):
        raise UserError(f"params.yaml: tune.architectures (={tune.architectures}) names one twice; remove it")
    for name in [*tune.architectures, *tune.space]:
        if name not in params.architectures:
            where = "tune.architectures" if name in tune.architectures else "tune.space"
            raise UserError(
                f"params.yaml: {where}: {name!r} has no block under architectures; {nearest(name, params.architectures)}"
            )
    for name in tune.architectures:
        if not tune.space.get(name):
            raise UserError(
                f"params.yaml: tune.space.{name} is empty; name what to search, such as {{lr: {{log_uniform: [0.001, 0.1]}}}}"
            )
        points = 1 + (len(grid(params.space(name))) if tune.searcher == "grid" else 0)
        if points > tune.trials:
            raise UserError(
                f"params.yaml: tune.trials (={tune.trials}) is less than the grid of {name} and today's settings; set trials: {points}"
            )
    if tune.scheduler == "pbt" and tune.searcher.startswith("optuna"):
        raise UserError(
            f"params.yaml: tune.scheduler (=pbt) changes the values itself; set tune.searcher (={tune.searcher}) to random or grid"
        )
    for name in tune.space:
        _check_space(params, name)


def _check_space(params: "Params", name: str) -> None:
    sizes, scheduler = architectures.card(name).sizes, params.tune.scheduler
    known = [*sizes, *(key for key in KEYS if key not in MACHINE)]
    for key, dimension in params.space(name).items():
        where = f"tune.space.{name}.{key}"
        if key not in known:
            raise UserError(f"params.yaml: {where}: unknown key; {nearest(key, known)}")
        if scheduler == "pbt" and key not in HANDED_ON:
            raise UserError(
                f"params.yaml: {where}: tune.scheduler (=pbt) hands the weights of one trial to another, which must fit; "
                f"search {key} with another scheduler, or only {', '.join(HANDED_ON)}"
            )
        for value in dimension.values:
            if key in sizes:
                keywords(sizes, f"tune.space.{name}", params.sizes(name) | {key: value})
            else:
                merged = params.recipe(name).asdict() | {key: value}
                typed(SECTIONS["train"], f"tune.space.{name}", merged, shown={key: value})


def _check_rule(name: str, recipe: Recipe) -> None:
    if architectures.card(name).own_rule:
        for key in ("mixup", "cutmix", "label_smoothing"):
            if getattr(recipe, key):
                raise UserError(
                    f"params.yaml: architectures.{name}.{key} (={getattr(recipe, key)}): {name} learns by its own learning rule, "
                    f"which knows no soft labels; set {key}: 0.0 in its block"
                )
        if recipe.objective != "mean":
            raise UserError(
                f"params.yaml: architectures.{name}.objective (={recipe.objective}): {name} learns by its own learning rule, "
                "which has no losses of images to weigh; set objective: mean in its block"
            )


def _check_compress(params: "Params") -> None:
    """The recipes: of models that are there or made above, with steps that can be carried out."""
    made: dict[str, str] = {}  # recipes above, and the architecture each ends with
    network_of: dict[
        str, str
    ] = {}  # of each whose graph is no longer its network's: the last model before, whose graph is
    for name in params.raw["compress"]:
        where = f"compress.{name}"
        if not NAME.fullmatch(str(name)):
            raise UserError(
                f"params.yaml: {where}: the name of a recipe becomes a folder; write it in at most 100 letters, digits, - and _"
            )
        how = params.compression(name)
        kind, _, model = how.model.partition("/")
        known = {"trained": params.architectures, "tuned": params.tune.architectures, "compressed": made}
        if model not in known.get(kind, ()):
            there = [f"{kind}/{name}" for kind, names in known.items() for name in names]
            raise UserError(
                f"params.yaml: {where}.model (={how.model!r}) is no model of this file, or a recipe further down; "
                f"{nearest(how.model, there)}"
            )
        if not how.steps:
            raise UserError(
                f"params.yaml: {where}.steps is empty; write at least one, such as {{method: quantize_static}}"
            )
        compression.check(how.steps, where=f"params.yaml: {where}")
        architecture = made[model] if kind == "compressed" else model
        earlier = network_of.get(how.model)
        teachable = [f"models/{kind}/{name}" for kind, names in known.items() for name in names]
        for number, step in enumerate(how.steps):
            here = f"{where}.steps[{number}]"
            settings = {key: value for key, value in step.items() if key not in compression.STEP_KEYS}
            keywords(compression.card(step["method"]).settings, here, settings)
            params.recovery(step, {}, where=here)
            _check_step(step, here, parent=how.model, earlier=earlier, teachable=teachable)
            if student := step.get("student"):
                architecture = student
                keywords(architectures.card(student).sizes, f"{here}.sizes", step.get("sizes", {}))
            compression.check_architecture(step["method"], architecture, where=f"params.yaml: {here}")
        made[str(name)] = architecture
        if earlier or any(compression.card(step["method"]).on != "network" for step in how.steps):
            network_of[f"compressed/{name}"] = earlier or how.model


def _check_step(
    step: dict[str, Any], where: str, *, parent: str, earlier: str | None, teachable: Sequence[str]
) -> None:
    """What a step can do to `parent`, whose graph is its network's unless `earlier` names the last model of which that is so."""
    method = step["method"]
    if earlier and compression.card(method).on != "logits":
        raise UserError(
            f"params.yaml: {where}: {method} would undo what was done to the graph of {parent}; "
            f"set model: {earlier} and repeat the steps between, or leave only temperature and thresholds here"
        )
    for key in ("devices", "num_nodes"):
        if (value := (step.get("train") or {}).get(key, 1)) != 1:
            raise UserError(
                f"params.yaml: {where}.train.{key} (={value!r}): a recipe trains in one process; remove {key}"
            )
    for teacher in step.get("teachers", ()):
        if teacher not in teachable:
            raise UserError(
                f"params.yaml: {where}.teachers (={teacher!r}) is no model of this file, or a recipe further down; "
                f"{nearest(teacher, teachable)}"
            )


def _check_audit(params: "Params") -> None:
    """The model that looks the labels over is one of this file."""
    there = ["best", *(f"{folder.parent.name}/{folder.name}" for folder in params.models)]
    if params.audit.model not in there:
        raise UserError(
            f"params.yaml: audit.model (={params.audit.model!r}) is no model of this file; {nearest(params.audit.model, there)}"
        )
