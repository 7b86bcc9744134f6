"""A bundle as the folder that MLflow calls a model: the bundle itself, the code that answers, and what MLflow wants to know.

| file | content |
|---|---|
| `bundle/` | the three files of the bundle |
| `code/neocog/` | the files of this package that `serving/pyfunc.py` needs |
| `MLmodel` | flavor, signature, ids |
| `input_example.json`, `serving_input_example.json` | one image, as base64 |
| `requirements.txt`, `python_env.yaml`, `conda.yaml` | the versions that it was proven with |

Written by hand: `mlflow.pyfunc.log_model` would pickle a class or load the model to guess its requirements, and takes longer.
"""

import base64
import json
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from neocog.bundle import read
from neocog.bundle.locate import BUNDLE
from neocog.bundle.read import CARD, GRAPH, WEIGHTS, Bundle
from neocog.core.errors import NeocogError
from neocog.serving import pyfunc
from neocog.serving.protocol import COLUMN
from neocog.tasks.task import task

PACKAGES = ("mlflow", "numpy", "onnxruntime", "pillow")
EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
_SOURCE = Path(__file__).parents[1]


def write(folder: Path, bundle: Bundle, *, digest: str, model_id: str, location: str, run_id: str | None) -> None:
    """Write the model's folder. `model_id`, its `location` and `run_id` are MLflow's."""
    (folder / BUNDLE).mkdir(parents=True)
    for name in (GRAPH, WEIGHTS, CARD):
        shutil.copyfile(bundle.folder / name, folder / BUNDLE / name)
    if read.digest(folder / BUNDLE) != digest:
        raise NeocogError(f"{bundle.folder}: changed while it was registered; run the same again")
    for name in (*pyfunc.FILES, *task(bundle.task).respond.FILES):
        path = folder / "code" / "neocog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_SOURCE / name, path)
    _environment(folder)
    _example(folder, bundle)
    mlmodel = _mlmodel(bundle, digest=digest, model_id=model_id, location=location, run_id=run_id)
    mlmodel["model_size_bytes"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel, sort_keys=False), encoding="utf-8")


def _mlmodel(bundle: Bundle, *, digest: str, model_id: str, location: str, run_id: str | None) -> dict[str, Any]:
    flavor = {
        "loader_module": pyfunc.__name__,
        "code": "code",
        "data": BUNDLE,
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "python_version": platform.python_version(),
    }
    return {
        "artifact_path": location,
        "flavors": {"python_function": flavor},
        "is_signature_from_type_hint": False,
        "metadata": {
            "bundle.sha256": digest,
            "model": bundle.model,
            "architecture": bundle.architecture,
            "classes": list(bundle.classes),
            "input": f"column `{COLUMN}`: a picture file as base64 text, or uint8 {[*bundle.size, bundle.channels]}",
        },
        "mlflow_version": version("mlflow"),
        "model_id": model_id,
        "model_uuid": model_id,
        **({"run_id": run_id} if run_id else {}),
        "saved_input_example_info": {
            "artifact_path": EXAMPLE,
            "pandas_orient": "split",
            "serving_input_path": SERVING_EXAMPLE,
            "type": "dataframe",
        },
        "signature": _signature(bundle),
        "type_hint_from_example": False,
        "utc_time_created": str(datetime.now(UTC).replace(tzinfo=None)),
    }


def _signature(bundle: Bundle) -> dict[str, str | None]:
    """`any`, for MLflow has no type that is either text or an array; what is wrong with an image is said by what reads it."""
    inputs = [{"type": "any", "name": COLUMN, "required": True}]
    outputs = task(bundle.task).respond.SCHEMA
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}


def _environment(folder: Path) -> None:
    pinned = [f"{name}=={version(name)}" for name in PACKAGES]
    (folder / "requirements.txt").write_text("\n".join(pinned) + "\n")
    python = platform.python_version()
    env = {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    (folder / "python_env.yaml").write_text(yaml.safe_dump(env, sort_keys=False))
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": pinned}],
    }
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False))


def _example(folder: Path, bundle: Bundle) -> None:
    """A picture that shows the format; no image of anybody's data leaves the project with the model."""
    rows, columns = (np.linspace(0, 255, side).astype(np.uint8) for side in bundle.size)
    file = BytesIO()
    Image.fromarray(np.minimum.outer(rows, columns)).save(file, "PNG")
    frame = {"columns": [COLUMN], "data": [[base64.b64encode(file.getvalue()).decode()]]}
    (folder / EXAMPLE).write_text(json.dumps(frame))
    (folder / SERVING_EXAMPLE).write_text(json.dumps({"dataframe_split": frame}))
