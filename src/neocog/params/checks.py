"""Checks of params.yaml beyond its types: unknown names, sweeps and recipes that cannot be carried out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from neocog import architectures, compression
from neocog.bundle.read import NAME
from neocog.core.constrained_types import LAST_SEED
from neocog.core.errors import UserError, nearest
from neocog.core.validation import keywords, typed
from neocog.data.sources.csv_rows import csv_header
from neocog.params import block, judged, references
from neocog.params.sections import SECTIONS
from neocog.tasks import task as tasks
from neocog.training.recipe import KEYS, Recipe
from neocog.tuning.space import grid

if TYPE_CHECKING:
    from neocog.params.load import Params

CLASSIFICATION = "classification"  # the task of the networks with a learning rule of their own
RECIPE = get_type_hints(Recipe, include_extras=True)
MACHINE = (
    "seed",
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "threads",
    "on_oom",
)  # of a recipe: where, not how
OWN_GROUPS = ("table", "huggingface", "webdataset")  # sources with columns of their own
FINE_TUNING = ("freeze", "layer_decay", "head_lr", "focal", "class_weights")
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
        typed(judged.register(judged.metric_of(raw)) if section == "register" else adapter, section, raw[section])
    for section in ("architectures", "compress"):  # an empty block holds the defaults
        raw[section] = {name: {} if values is None else values for name, values in raw[section].items()}
    if not raw["architectures"]:
        raise UserError(f"params.yaml: architectures is empty; name at least one of {', '.join(architectures.names())}")


def check(params: "Params") -> None:
    """Raise UserError (exit 2) for the first thing that is wrong with the whole file, whose `sections` are right."""
    if params.evaluate.tta != "none" and tasks.task(params.data.task).has_places:
        raise UserError(
            f"params.yaml: evaluate.tta (={params.evaluate.tta}) averages outputs over moved images, which outputs with places in an image "
            f"do not allow (data.task (={params.data.task})); set evaluate.tta: none"
        )
    _check_architectures(params)
    references.check(params.raw)
    _check_tune(params)
    _check_compress(params)


def _check_architectures(params: "Params") -> None:
    for name, values in params.raw["architectures"].items():
        block.check(name, values)
        recipe = params.recipe(name)
        _check_task(name, params.architecture(name), params.raw["data"].get("task", CLASSIFICATION), recipe)
        _check_rule(name, params.architecture(name), recipe)
        _check_column(params, f"architectures.{name}.groups" if "groups" in values else "train.groups", recipe.groups)
        _check_seeds(params, name, "seeds", values.get("seeds", 1))


def _check_tune(params: "Params") -> None:
    """The sweeps: of known blocks, over keys that these have, with values that each of them takes."""
    tune = params.tune
    if len(set(tune.architectures)) < len(tune.architectures):
        once = ", ".join(dict.fromkeys(tune.architectures))
        raise UserError(
            f"params.yaml: tune.architectures (={tune.architectures}) names one twice; set tune.architectures: [{once}]"
        )
    for name in tune.architectures:
        _check_seeds(params, name, "tune.seeds", tune.seeds)
        if not tune.space.get(name):
            raise UserError(
                f"params.yaml: tune.space.{name} is empty; set tune.space.{name}: {{lr: {{log_uniform: [0.001, 0.1]}}}}"
            )
        points = 1 + (len(grid(params.space(name), where=f"tune.space.{name}")) if tune.searcher == "grid" else 0)
        if points > tune.trials:
            raise UserError(
                f"params.yaml: tune.trials (={tune.trials}) is less than the grid of {name} and today's settings; set tune.trials: {points}"
            )
    if tune.scheduler == "pbt" and tune.searcher.startswith("optuna"):
        raise UserError(
            f"params.yaml: tune.scheduler (=pbt) changes the values itself, but tune.searcher (={tune.searcher}); set tune.searcher: random"
        )
    for name in tune.space:
        _check_space(params, name)


def _check_space(params: "Params", name: str) -> None:
    sizes, scheduler = architectures.card(params.architecture(name)).sizes, params.tune.scheduler
    known = [*sizes, *(key for key in KEYS if key not in MACHINE)]
    for key, dimension in params.space(name).items():
        where = f"tune.space.{name}.{key}"
        if key not in known:
            raise UserError(f"params.yaml: {where}: unknown key; {nearest(key, known)}")
        if scheduler == "pbt" and key not in HANDED_ON:
            raise UserError(
                f"params.yaml: {where}: tune.scheduler (=pbt) hands the weights of one trial to another, which must fit; "
                f"set tune.scheduler: asha, or search only {', '.join(HANDED_ON)}"
            )
        for value in dimension.values:
            if key in sizes:
                keywords(sizes, f"tune.space.{name}", params.sizes(name) | {key: value})
                if key == "weights":
                    block.check_weights(where, value)
            else:
                merged = params.recipe(name).asdict() | {key: value}
                found = typed(SECTIONS["train"], f"tune.space.{name}", merged, shown={key: value})
                _check_rule(name, params.architecture(name), found)
                _check_column(params, f"{where}.groups" if key != "groups" else where, found.groups)
        if dimension.kind in ("uniform", "log_uniform") and _is_whole(sizes[key][0] if key in sizes else RECIPE[key]):
            raise UserError(f"params.yaml: {where} takes whole numbers; write {{integer: {list(dimension.values)}}}")


def _is_whole(kind: Any) -> bool:
    """Whether a type takes integers and no fractions."""
    return kind is int or any(_is_whole(part) for part in get_args(kind))


def _check_column(params: "Params", where: str, column: str | None) -> None:
    """A column is one of the file data.groups, as far as that can be read here; `prepare` says what is wrong with the file."""
    if column is None or params.data.source in OWN_GROUPS:  # whose columns are known when it is read
        return
    if params.data.groups is None:
        raise UserError(
            f"params.yaml: {where} (={column!r}) is a column of the file data.groups, but data.groups (=null); "
            "name a CSV inside data.root there"
        )
    columns = csv_header(Path(params.data.groups))
    if columns and column not in (others := [name for name in columns if name != "path"]):
        raise UserError(
            f"params.yaml: {where} (={column!r}) is no column of the file data.groups (={params.data.groups!r}); {nearest(column, others)}"
        )


def _check_seeds(params: "Params", name: str, key: str, count: int) -> None:
    first = params.recipe(name).seed
    if first + count - 1 > LAST_SEED:
        where = f"architectures.{name}.seed" if "seed" in params.raw["architectures"][name] else "train.seed"
        raise UserError(
            f"params.yaml: {where} (={first}): {key} (={count}) counts up from it, but {LAST_SEED} is the last; set {where}: 0"
        )


def _check_task(name: str, architecture: str, task: str, recipe: Recipe) -> None:
    about, own = architectures.card(architecture), tasks.task(task)
    if task != CLASSIFICATION and about.own_rule:
        raise UserError(
            f"params.yaml: architectures.{name}: {architecture} learns by its own rule, which is for {CLASSIFICATION}, not for {task}; "
            "remove the block"
        )
    if architecture not in (known := architectures.names(task)):
        kind = about.task or "whole images"
        raise UserError(
            f"params.yaml: architectures.{name}: {architecture} is for {kind}, not for data.task (={task}), which has {', '.join(known)}"
            + (
                f"; write architecture: {known[-1]}, backbone: {architecture}"
                if about.has_maps
                else "; remove the block"
            )
        )
    for key, value in getattr(own.targets, "UNSUITED", {}).items():
        if (given := getattr(recipe, key)) != value:
            plain = json.dumps(value)
            raise UserError(
                f"params.yaml: architectures.{name}: {key} (={json.dumps(given)}) changes images in a way that the targets of data.task "
                f"(={task}) do not follow; set train.{key}: {plain}"
            )


def _check_rule(name: str, architecture: str, recipe: Recipe) -> None:
    if architectures.card(architecture).own_rule:
        defaults = Recipe()
        for key in FINE_TUNING:
            if (value := getattr(recipe, key)) != getattr(defaults, key):
                raise UserError(
                    f"params.yaml: architectures.{name}.{key} (={value!r}): {architecture} learns by its own learning rule, without the "
                    f"task's loss and its gradients; set architectures.{name}.{key}: {json.dumps(getattr(defaults, key)).strip(chr(34))}"
                )
        for key in ("mixup", "cutmix", "label_smoothing"):
            if getattr(recipe, key):
                raise UserError(
                    f"params.yaml: architectures.{name}.{key} (={getattr(recipe, key)}): {architecture} learns by its own learning rule, "
                    f"which knows no soft labels; set architectures.{name}.{key}: 0.0"
                )
        if recipe.objective != "mean":
            raise UserError(
                f"params.yaml: architectures.{name}.objective (={recipe.objective}): {architecture} learns by its own learning rule, "
                f"which has no losses of images to weigh; set architectures.{name}.objective: mean"
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
        if not how.steps:
            raise UserError(f"params.yaml: {where}.steps is empty; set {where}.steps: [{{method: quantize_static}}]")
        compression.check(how.steps, where=f"params.yaml: {where}")
        architecture = made[model] if kind == "compressed" else params.architecture(model)
        earlier = network_of.get(how.model)
        for number, step in enumerate(how.steps):
            here = f"{where}.steps[{number}]"
            settings = {key: value for key, value in step.items() if key not in compression.STEP_KEYS}
            keywords(compression.card(step["method"]).settings, here, settings)
            _check_column(params, f"{here}.column", step.get("column"))
            _check_step(step, here, parent=how.model, earlier=earlier)
            params.recovery(step, {}, where=here)
            if student := step.get("student"):
                if student not in (known := architectures.names()):
                    raise UserError(
                        f"params.yaml: {here}.student (={student!r}): there is no such architecture; {nearest(student, known)}"
                    )
                architecture = student
                keywords(architectures.card(student).sizes, f"{here}.sizes", step.get("sizes", {}))
                block.check_weights(f"{here}.sizes.weights", step.get("sizes", {}).get("weights"))
            compression.check_task(step["method"], params.task, where=f"params.yaml: {here}")
            compression.check_architecture(step["method"], architecture, where=f"params.yaml: {here}")
        made[str(name)] = architecture
        if earlier or any(compression.card(step["method"]).on != "network" for step in how.steps):
            network_of[f"compressed/{name}"] = earlier or how.model


def _check_step(step: dict[str, Any], where: str, *, parent: str, earlier: str | None) -> None:
    """What a step can do to `parent`, whose graph is its network's unless `earlier` names the last model of which that is so."""
    method = step["method"]
    if earlier and compression.card(method).on != "logits":
        raise UserError(
            f"params.yaml: {where}: {method} would undo what was done to the graph of {parent}; "
            f"set {where.partition('.steps')[0]}.model: {earlier} and repeat the steps between, "
            "or leave only temperature and thresholds here"
        )
    train = step["train"] if isinstance(step.get("train"), dict) else {}
    for key, value in train.items():
        if key in ("devices", "num_nodes", "strategy") and value not in (1, "auto"):
            raise UserError(
                f"params.yaml: {where}.train.{key} (={value!r}): a recipe trains in one process; remove {where}.train.{key}"
            )
