"""What the stages that look at many images cost at the size of photographs: seconds and peak memory of each.

    python -m benchmarks.photographs            # at 224 px; five minutes

A project of made-up photographs in four classes with a ResNet-18 and a vision transformer that have hardly learned anything,
and otherwise the default params: `evaluate`, `robustness`, `audit` and `explain`, each in a process of its own, whose
largest resident set is told.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from benchmarks import parser

ROOT = Path(__file__).parents[1]
STAGES = ("prepare", "train resnet", "train vit", "evaluate vit")
MEASURED = ("evaluate resnet", "robustness", "audit", "explain")


def photographs(folder: Path, *, side: int, count: int, height: int | None = None) -> None:
    """`count` pictures in four classes, each with the smooth large and noisy small structure of a photograph; `side` wide, and as high
    if `height` says nothing else."""
    size = (side, height or side)
    draw = np.random.default_rng(0)
    for label in "abcd":
        (folder / label).mkdir(parents=True)
        tint = draw.integers(0, 128, 3)
        for i in range(count // 4):
            coarse = (draw.integers(0, 128, (12, 12, 3)) + tint).astype(np.uint8)
            pixels = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
            noisy = np.clip(pixels + draw.normal(0, 8, (*size[::-1], 1)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / label / f"{i}.jpg", quality=88)


def _params(side: int, *, tiny: bool) -> dict[str, Any]:
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"source": "folder", "root": "data/raw", "size": side, "test_fraction": 0.7}
    params["train"] |= {"epochs": 1, "images": 64, "batch_size": 4 if tiny else 16}
    params["architectures"] = {"resnet": {}} if tiny else {"resnet": {"form": "resnet18"}, "vit": {}}
    params["tune"] |= {"architectures": [], "space": {}}
    params["robustness"]["baseline"] = "trained/resnet"
    return params | {"compress": {}}


def run(stage: str, folder: Path) -> tuple[float, float, str]:
    """Seconds, MB of the largest resident set, and what it said last."""
    command = [sys.executable, "-m", *f"pipelines.{stage}".split()]
    own = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    said = folder / "said"
    began = time.perf_counter()
    with said.open("w") as file:
        process = subprocess.Popen(command, cwd=folder, env=own, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    told = said.read_text()
    if process.returncode:
        raise RuntimeError(f"{stage} ended with {process.returncode}:\n{told}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024, told


def main(arguments: Sequence[str] | None = None) -> None:
    """Print seconds and peak memory of each stage as a table, and what the stages say of their cost."""
    given = parser("photographs", __doc__)
    given.add_argument("--side", type=int, default=224, help="pixels a side (default: %(default)s)")
    given.add_argument("--images", type=int, default=640, help="photographs (default: %(default)s)")
    asked = given.parse_args(arguments)
    side, count = (32, 80) if asked.tiny else (asked.side, asked.images)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photographs(folder / "data" / "raw", side=side, count=count)
        (folder / "params.yaml").write_text(yaml.safe_dump(_params(side, tiny=asked.tiny), sort_keys=False))
        shutil.copy2(ROOT / "dvc.yaml", folder)
        print(f"| stage, {side} px | seconds | peak memory, MB |\n|---|--:|--:|")
        said = ""
        for stage in (*STAGES, *MEASURED):
            if asked.tiny and stage.endswith("vit"):
                continue
            seconds, megabytes, told = run(stage, folder)
            if stage in MEASURED:
                print(f"| {stage} | {seconds:.1f} | {megabytes:,.0f} |", flush=True)
                said += told
        print(f"\n{said}")


if __name__ == "__main__":
    main()
