"""Does the order of the ladder hold? Each network of it with several seeds, and each against the one before, image by image.

    python -m benchmarks.ladder                     # the milestones on the images in data/prepared: 15 minutes on two cores
    python -m benchmarks.ladder mlp lenet --seeds 5

Every network is trained as its block in params.yaml says and judged on the test images as the ONNX graph that is shipped. The first
table has the mean and the spread of top-1 over the seeds; the second the difference from the network before, seed by seed, with its
95 % interval (Newcombe 1998, paired). The order holds where no interval of any seed reaches zero.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import _tiny, parser
from neocog import architectures
from neocog.bundle import provenance, write
from neocog.data import prepared
from neocog.evaluation import predictions
from neocog.params import load
from neocog.report.compare import pairs
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

MILESTONES = ("perceptron", "mlp", "lenet", "alexnet", "vgg", "resnet")


def right(name: str, sizes: dict[str, Any], recipe: Recipe, data: prepared.Prepared) -> NDArray[np.bool_]:
    """Which test images [N] the network gets right when it is trained so."""
    shape: dict[str, Any] = {"channels": data.channels, "size": data.size, "classes": len(data.classes)}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        build = partial(architectures.build, name, **shape, sizes=sizes)
        fitted = fit(build, data, recipe, name=f"{name} seed {recipe.seed}", work=work / "work")
        made = provenance.provenance(fitted, data_digest=data.digest, params={}, code_digest="")
        card = {"kind": "trained", "name": name, "architecture": name, "sizes": sizes, "provenance": made}
        return predictions.scores(write.write(work / "bundle", fitted.model, data, **card), data.split("test"))


def report(found: dict[str, list[NDArray[np.bool_]]]) -> None:
    """Print both tables of the networks `found`, in their order: which test images each got right with each seed."""
    print("| network | top-1, mean | spread | seeds |")
    print("|---|--:|--:|--:|")
    for name, seeds in found.items():
        scores = [100 * each.mean() for each in seeds]
        spread = f"{stdev(scores):.2f}" if len(scores) > 1 else "-"
        print(f"| {name} | {mean(scores):.2f} % | {spread} | {len(scores)} |")
    print("\n| network | against | difference in points, seed by seed | holds |")
    print("|---|---|---|---|")
    for before, name in pairwise(found):
        cells, holds = [], True
        for one, other in zip(found[name], found[before], strict=True):
            each = pairs.paired(np.stack([one, other]))
            cells.append(
                f"{100 * each.difference[0, 1]:+.2f} ({100 * each.low[0, 1]:+.2f} to {100 * each.high[0, 1]:+.2f})"
            )
            holds &= bool(each.low[0, 1] > 0)
        print(f"| {name} | {before} | {', '.join(cells)} | {'yes' if holds else 'no'} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the networks asked for with each seed and print how they compare."""
    options = parser("ladder", __doc__)
    options.add_argument("architectures", nargs="*", metavar="ARCH", help=f"default: {' '.join(MILESTONES)}")
    options.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each (default: %(default)s)")
    asked = options.parse_args(arguments)
    found: dict[str, list[NDArray[np.bool_]]] = {}
    if asked.tiny:
        with tempfile.TemporaryDirectory() as temporary:
            data = _tiny.digits(Path(temporary))
            recipe = Recipe(epochs=1, optimizer="adamw", lr=0.003, label_smoothing=0.0, threads=1)
            for name in ("perceptron", "mlp"):
                found[name] = [
                    right(name, architectures.sizes(name, {}), replace(recipe, seed=s), data) for s in (0, 1)
                ]
            report(found)
        return
    data = prepared.read("data/prepared")
    for name in asked.architectures or MILESTONES:
        settings = load.for_stage(f"train@{name}")
        recipe, sizes = settings.recipe(name), settings.sizes(name)
        found[name] = [right(name, sizes, replace(recipe, seed=seed), data) for seed in range(asked.seeds)]
    report(found)


if __name__ == "__main__":
    main()
