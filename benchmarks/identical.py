"""Two checkouts trained side by side: are weights, graphs and scores the same, bit by bit?

    git worktree add ../before <commit>
    python -m benchmarks.identical ../before                                # everything: about fifteen minutes
    python -m benchmarks.identical ../before --names train@lenet tune@lenet # only these stages and what they need

On the digits, every architecture is trained for two epochs on one thread, LeNet is tuned, each compression method has a recipe, and some
of all these are evaluated: once with this checkout's code and once with the other's, from the same params.yaml (the other's, made small).
Compared are `weights.safetensors` byte by byte, `model.onnx` but for the names of its nodes, initializers and modules, and every row and
number of reports/ and models/ but for times, speeds and provenance. Exit code 1 on a difference: the proof that a refactoring changed
nothing, or the list of what it changed.
"""

import csv
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import yaml

from benchmarks import parser

HERE = Path(__file__).parents[1]
MEASURED = re.compile(r"seconds|speed|latency|throughput|per_second|wait_share|_ms|sha256|digest|provenance|git|run_id")
UNREAD = {"bundle.json", "training.json"}  # provenance and times
RECIPES: dict[
    str, tuple[str, dict[str, Any]]
] = {  # of each compression method: the model that it changes, its settings
    "distill": ("resnet", {"student": "lenet", "hints": 0.5, "train": {"epochs": 1, "lr": 0.05}}),
    "half": ("lenet", {}),
    "prune_structured": ("resnet", {"ratio": 0.5, "train": {"epochs": 1}}),
    "prune_unstructured": ("lenet", {"train": {"epochs": 1}}),
    "quantize_aware": ("lenet", {"images": 128, "train": {"epochs": 1}}),
    "quantize_dynamic": ("lenet", {}),
    "quantize_static": ("resnet", {}),
    "temperature": ("lenet", {}),
    "thresholds": ("lenet", {}),
    "weight_only": ("lenet", {}),
}


def params(checkout: Path) -> dict[str, Any]:
    """The params.yaml of `checkout` with digits, short trainings, one small sweep and a recipe for each compression method."""
    made: dict[str, Any] = yaml.safe_load((checkout / "params.yaml").read_text(encoding="utf-8"))
    made["data"]["source"] = "digits"
    made["train"] |= {"threads": 1, "accelerator": "cpu"}
    made["architectures"]["timm"] = {"model": "test_resnet"}
    for block in made["architectures"].values():
        block["epochs"] = 2
    made["architectures"]["svm"]["landmarks"] = 100
    small = {"architectures": ["lenet"], "trials": 2, "epochs": 2, "images": 512, "finalists": 1, "seeds": 1}
    made["tune"] |= small | {"space": {"lenet": {"lr": {"log_uniform": [0.05, 0.2]}, "width": {"choice": [1, 2]}}}}
    made["compress"] = {
        method.replace("_", "-"): {
            "model": f"trained/{model}",
            "steps": [{"method": method, **settings}],
            "goals": {"max_top1_drop": 1.0},
        }
        for method, (model, settings) in RECIPES.items()
    }
    made["evaluate"]["bootstrap"] = 100
    made["robustness"]["baseline"] = None
    return made


def stages(made: dict[str, Any], names: Sequence[str] = ("*",)) -> list[str]:
    """The stages that match `names`, and those that they need, in an order in which they can run."""
    trained = [f"train@{name}" for name in made["architectures"]]
    others = [f"tune@{name}" for name in made["tune"]["architectures"]]
    others += [f"compress@{name}" for name in made["compress"]]
    judged = ["evaluate@lenet", "evaluate@svm", "evaluate@tuned/lenet", "evaluate@compressed/quantize-static"]
    wanted = {stage for stage in trained + others + judged if any(fnmatch.fnmatch(stage, name) for name in names)}
    for stage in [*wanted]:
        kind, _, item = stage.partition("@")[2].rpartition("/")
        if kind:
            wanted.add(f"{'tune' if kind == 'tuned' else 'compress'}@{item}")
    for stage in [*wanted]:
        verb, _, item = stage.partition("@")
        parent = made["compress"][item]["model"].partition("/")[2] if verb == "compress" else item
        if f"train@{parent}" in trained:
            wanted.add(f"train@{parent}")
    return ["prepare", *(stage for stage in trained + others + judged if stage in wanted)]


def run(stage: str, checkout: Path, project: Path) -> str:
    """Run `stage` in the folder `project` with the code of `checkout`; the last line of its error, if it failed."""
    verb, _, item = stage.partition("@")
    path = os.pathsep.join([str(checkout / "src"), str(checkout)])
    own = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'mlflow.db'}"}
    ended = subprocess.run(
        [sys.executable, "-m", f"pipelines.{verb}", *([item] if item else [])],
        cwd=project,
        env={key: value for key, value in os.environ.items() if key != "DVC_STAGE"} | own,
        capture_output=True,
        text=True,
        check=False,
    )
    return (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1] if ended.returncode else ""


def graph(path: Path) -> bytes:
    """The ONNX graph in `path`, its values numbered as they appear and nothing else named but inputs and outputs."""
    model = onnx.load(path)
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    body = model.graph
    known = {value.name: value.name for value in [*body.input, *body.output]}
    _number(body, known)
    body.ClearField("name")
    return model.SerializeToString(deterministic=True)


def _number(body: onnx.GraphProto, known: dict[str, str]) -> None:
    def number(name: str) -> str:
        return known.setdefault(name, str(len(known))) if name else name

    for node in body.node:
        for field in ("name", "doc_string", "metadata_props"):
            node.ClearField(field)
        node.input[:] = map(number, node.input)
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                _number(inner, known)
        node.output[:] = map(number, node.output)
    tensors = sorted(body.initializer, key=lambda tensor: int(number(tensor.name)))
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in tensors]
    for copy in copies:
        copy.name = number(copy.name)
        copy.ClearField("doc_string")
        copy.ClearField("metadata_props")
    del body.initializer[:]
    body.initializer.extend(copies)
    body.ClearField("value_info")
    body.ClearField("metadata_props")


def rows(path: Path) -> Any:
    """The content of a file in reports/ or models/ without times, speeds and provenance."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return [_kept(row) for row in csv.DictReader(text.splitlines())]
    return _kept(yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text))


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _kept(one) for key, one in value.items() if not MEASURED.search(str(key))}
    return [_kept(one) for one in value] if isinstance(value, list) else value


def differences(one: Path, other: Path) -> Iterator[tuple[str, str]]:
    """Each file of two projects that is compared, and what differs in it: empty where nothing does."""
    kinds = {".safetensors", ".onnx", ".csv", ".json", ".yaml"}
    found = {
        str(path.relative_to(project))
        for project in (one, other)
        for room in ("models", "reports")
        for path in (project / room).rglob("*")
        if path.suffix in kinds and path.name not in UNREAD
    }
    for name in sorted(found):
        pair = [project / name for project in (one, other)]
        missing = [str(path.parents[len(Path(name).parts) - 1].name) for path in pair if not path.exists()]
        if missing:
            yield name, f"not in {missing[0]}"
        elif pair[0].suffix == ".safetensors":
            yield name, "" if pair[0].read_bytes() == pair[1].read_bytes() else "other bytes"
        elif pair[0].suffix == ".onnx":
            yield name, "" if graph(pair[0]) == graph(pair[1]) else "another graph"
        else:
            yield name, _first(rows(pair[0]), rows(pair[1]))


def _first(one: Any, other: Any, where: str = "") -> str:
    """Where two contents differ first, with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        parts = ((one.get(key, "nothing"), other.get(key, "nothing"), f"{where}.{key}".strip(".")) for key in keys)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        parts = ((*pair, f"{where}[{index}]") for index, pair in enumerate(zip(one, other, strict=True)))
    else:
        return "" if one == other else f"{where}: {one} and {other}"
    return next((found for part in parts if (found := _first(*part))), "")


def compare(checkouts: Sequence[Path], made: dict[str, Any], names: Sequence[str]) -> bool:
    """Run the stages in both checkouts and print what differs; whether nothing does."""
    with tempfile.TemporaryDirectory() as temporary:
        projects = [Path(temporary) / name for name in ("this", "other")]
        for checkout, project in zip(checkouts, projects, strict=True):
            project.mkdir()
            shutil.copy(checkout / "dvc.yaml", project)
            (project / "params.yaml").write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")
        same = True
        for stage in stages(made, names):
            errors = [run(stage, *each) for each in zip(checkouts, projects, strict=True)]
            if any(errors):
                same = False
            print(f"{stage}: {' / '.join(error or 'done' for error in errors)}", file=sys.stderr, flush=True)
        print("| file | this checkout and the other |")
        print("|---|---|")
        for name, difference in differences(*projects):
            same &= not difference
            print(f"| {name} | {difference or 'same'} |", flush=True)
    return same


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare this checkout with the one asked for; exit 1 on a difference."""
    options = parser("identical", __doc__)
    options.add_argument(
        "other", nargs="?", type=Path, default=HERE, metavar="OTHER", help="the other checkout's folder"
    )
    options.add_argument(
        "--names", nargs="+", default=["*"], metavar="STAGE", help="such as train@lenet or 'compress@*'"
    )
    asked = options.parse_args(arguments)
    names = ["train@perceptron"] if asked.tiny else asked.names
    other = asked.other.resolve()
    sys.exit(not compare([HERE, other], params(other), names))


if __name__ == "__main__":
    main()
