"""params.yaml at the door: strict, typed, and cut to what dvc.yaml declares for a stage. Costs milliseconds and no torch.

The whole file is checked whenever any stage starts, so that a typo in the last architecture is found before the first is trained; but a
stage is handed only the sections that its `params` in dvc.yaml names, because those are what DVC watches.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError, create_model

from neocog import architectures
from neocog.errors import UserError, nearest
from neocog.training.recipe import Recipe
from neocog.tuning.space import Dimension, grid, space
from pipelines.sections import SECTIONS, STRICT, Benchmark, Data, Evaluate, Ray, Report, Tracking, Tune

UNWATCHED = ("tracking", "ray")  # sections that change no output: every stage may read them, none depends on them
UNION_MEMBER = re.compile(r"[\[\]-]|^(int|float|str)$")  # steps of pydantic's path that are types, not keys
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
RECIPE_KEYS = [field.name for field in fields(Recipe)]


class Params:
    """The sections that one stage declares; asking for another one is an error, since DVC would not watch it."""

    data: Data
    train: Recipe
    evaluate: Evaluate
    benchmark: Benchmark
    report: Report
    tune: Tune
    ray: Ray
    tracking: Tracking

    def __init__(self, stage: str, raw: Mapping[str, Any]) -> None:
        self.stage, self.raw = stage, raw

    def __getattr__(self, section: str) -> Any:
        if section not in SECTIONS:
            raise AttributeError(section)
        if section not in self.raw:
            raise LookupError(
                f"stage {self.stage} reads `{section}` from params.yaml but does not declare it in dvc.yaml"
            )
        return _check(SECTIONS[section], section, self.raw[section])

    def space(self, name: str) -> dict[str, Dimension]:
        """What the sweep of an architecture may choose."""
        return space(self.raw["tune"].get("space", {}).get(name, {}), where=f"tune.space.{name}")

    @cached_property
    def architectures(self) -> list[str]:
        """Names of the declared architecture blocks, in the order of params.yaml."""
        return list(self.raw.get("architectures", {}))

    def recipe(self, name: str) -> Recipe:
        """`train`, with what the architecture's block overrides."""
        own = {key: value for key, value in self.raw["architectures"][name].items() if key in RECIPE_KEYS}
        merged = {**self.raw["train"], **own}
        return cast(Recipe, _check(SECTIONS["train"], f"architectures.{name}", merged, shown=own))

    def sizes(self, name: str) -> dict[str, Any]:
        """What shapes the architecture: what its block sets, and the defaults of the rest."""
        block, card = self.raw["architectures"][name], architectures.card(name)
        sizes = {key: block.get(key, default) for key, (_, default) in card.sizes.items()}
        return {key: value for key, value in sizes.items() if key not in card.blocks or value is not None}

    @property
    def models(self) -> list[Path]:
        """The bundles of all declared architectures, trained first, then tuned."""
        tuned = self.raw.get("tune", {}).get("architectures", [])
        return [Path("models/trained") / name for name in self.architectures] + [
            Path("models/tuned") / name for name in tuned
        ]

    def resolved(self) -> dict[str, Any]:
        """All that the stage saw, as plain values."""
        return json.loads(json.dumps(self.raw))


def for_stage(stage: str, *, folder: Path | str = ".") -> Params:
    """The params of `train@resnet`, checked and cut to what dvc.yaml declares for it. Raises UserError (exit 2)."""
    folder = Path(folder)
    raw = _load(folder / "params.yaml")
    _check_all(raw)
    cut: dict[str, Any] = {section: raw[section] for section in UNWATCHED}
    for path in _declared(folder / "dvc.yaml", stage):
        *steps, last = path.split(".")
        source, target = raw, cut
        for step in steps:
            source, target = source.get(step, {}), target.setdefault(step, {})
        if last in source:
            target[last] = source[last]
        elif steps == ["architectures"]:  # elsewhere the defaults hold
            raise UserError(f"params.yaml: {path} is not there; {nearest(last, source)}")
    return Params(stage, cut)


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path.name} not found; run neocog at the root of the project")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path.name} must hold sections ({', '.join(SECTIONS)}), not {type(raw).__name__}")
    return raw


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, where YAML would silently take the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(f"key {twice[0]!r} stands twice in one block {node.start_mark}")
        return super().construct_mapping(node, deep)


def _check_all(raw: dict[str, Any]) -> None:
    known = [*SECTIONS, "architectures"]
    for section in raw:
        if section not in known:
            raise UserError(f"params.yaml: {section}: unknown section; {nearest(str(section), known)}")
    for section in known:
        if not isinstance(raw.setdefault(section, {}), dict):
            raise UserError(f"params.yaml: {section} (={raw[section]!r}) must be a block of keys")
    for section, adapter in SECTIONS.items():
        _check(adapter, section, raw[section])
    if not raw["architectures"]:
        raise UserError(f"params.yaml: architectures is empty; name at least one of {', '.join(architectures.names())}")
    params = Params("params.yaml", raw)
    for name in raw["architectures"]:
        raw["architectures"][name] = block = {} if raw["architectures"][name] is None else raw["architectures"][name]
        sizes = architectures.card(str(name)).sizes
        if not isinstance(block, dict):
            raise UserError(
                f"params.yaml: architectures.{name} (={block!r}) must be a block of keys; write {{}} for the defaults"
            )
        for key in block:
            if key not in sizes and key not in RECIPE_KEYS:
                raise UserError(
                    f"params.yaml: architectures.{name}.{key} (={block[key]!r}): unknown key; {nearest(str(key), [*sizes, *RECIPE_KEYS])}"
                )
        _check_rule(name, params.recipe(name))
        _check_form(name, block)
        model = create_model(name, __config__=STRICT, **cast(Any, sizes))
        _check(TypeAdapter(model), f"architectures.{name}", params.sizes(name))
        lists = {key: block.get(key, sizes[key][1]) for key in ("widths", "depths") if key in sizes}
        if any(not values for values in lists.values()) and len(lists) > 1:
            raise UserError(f"params.yaml: architectures.{name}: {lists} must name at least one stage of the network")
        if len({len(values) for values in lists.values()}) > 1:
            raise UserError(
                f"params.yaml: architectures.{name}: {lists} must be equally long, one entry a stage of the network"
            )
    _check_tune(params)


def _check_tune(params: Params) -> None:
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


def _check_space(params: Params, name: str) -> None:
    sizes, scheduler = architectures.card(name).sizes, params.tune.scheduler
    known = [*sizes, *(key for key in RECIPE_KEYS if key not in MACHINE)]
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
                model = create_model(name, __config__=STRICT, **cast(Any, sizes))
                _check(TypeAdapter(model), f"tune.space.{name}", params.sizes(name) | {key: value})
            else:
                merged = params.recipe(name).asdict() | {key: value}
                _check(SECTIONS["train"], f"tune.space.{name}", merged, shown={key: value})


def _check_rule(name: str, recipe: Recipe) -> None:
    if architectures.card(name).own_rule:
        for key in ("mixup", "cutmix", "label_smoothing"):
            if getattr(recipe, key):
                raise UserError(
                    f"params.yaml: architectures.{name}.{key} (={getattr(recipe, key)}): {name} learns by its own learning rule, "
                    f"which knows no soft labels; set {key}: 0.0 in its block"
                )


def _check_form(name: str, block: Mapping[str, Any]) -> None:
    card, form = architectures.card(name), block.get("form", architectures.SMALL)
    if form in card.forms and form != architectures.SMALL:
        for key in block:
            if key in card.sizes and key not in ("form", *card.blocks):
                raise UserError(
                    f"params.yaml: architectures.{name}.{key} (={block[key]!r}) shapes the small form, but form is {form}; "
                    f"remove {key}, or set form: {architectures.SMALL}"
                )


def _check(adapter: TypeAdapter[Any], section: str, values: Any, *, shown: Mapping[str, Any] | None = None) -> Any:
    """`values` as the adapter's type; through JSON, where a list may stand for a tuple though types are strict."""
    try:
        return adapter.validate_json(json.dumps(values))
    except TypeError as error:
        raise UserError(
            f"params.yaml: {section}: {error}; only numbers, text, true/false, null and lists may stand there"
        ) from error
    except ValidationError as error:
        known = [str(field) for field in adapter.json_schema().get("properties", {})]
        raise UserError("; ".join(_sentences(error, section, known))) from error


def _sentences(error: ValidationError, section: str, known: Iterable[str]) -> Iterator[str]:
    seen = set()
    for item in error.errors():
        steps = [str(step) for step in item["loc"] if not UNION_MEMBER.search(str(step))]
        key = ".".join(["params.yaml: " + section, *steps])
        if key in seen:
            continue  # a union reports each of its members
        seen.add(key)
        value = item["input"]
        if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            yield f"{key} (={value!r}): unknown key; {nearest(steps[-1], known)}"
        elif item["type"] == "literal_error":
            choices = item["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            yield f"{key} (={value!r}) is not one of the choices; {nearest(str(value), choices)}"
        elif item["type"] == "value_error":
            yield f"{key}: {item['ctx']['error']}"
        else:
            yield f"{key} (={value!r}): {item['msg'][0].lower()}{item['msg'][1:]}{_number_in_quotes(value)}"


def _number_in_quotes(value: object) -> str:
    try:
        return f"; {value!r} is text to YAML, write {float(value)!r}" if isinstance(value, str) else ""
    except ValueError:
        return ""


def _declared(path: Path, stage: str) -> list[str]:
    base, _, item = stage.partition("@")
    try:
        body = yaml.safe_load(path.read_text())["stages"][base]
    except FileNotFoundError:
        raise UserError(f"{path.name} not found; run neocog at the root of the project") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    except KeyError:
        raise UserError(f"dvc.yaml: there is no stage {base!r}") from None
    names = body.get("do", body).get("params", [])
    return [str(name).replace("${key}", item).replace("${item}", item) for name in names]
