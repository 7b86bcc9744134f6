"""`neocog augment`: a picture of what training sees, and the augmentations that there are."""

import argparse
from pathlib import Path
from typing import Any

from neocog.cli.options import positive
from neocog.core.escape import say


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "augment",
        help="draw what training sees of some images, augmented as a block says",
        description="Draw training images of data/prepared, and beside each what the first epochs make of it by `augment`, `flip`, `crop`, "
        "`cutout`, `mixup` and `cutmix` of BLOCK in params.yaml (of `train` without one).",
        epilog="examples: neocog augment resnet | neocog augment --list",
    )
    parser.add_argument("block", metavar="BLOCK", nargs="?", help="of architectures in params.yaml")
    parser.add_argument("--images", metavar="N", type=positive, default=8, help="rows (default: %(default)s)")
    parser.add_argument("--epochs", metavar="N", type=positive, default=8, help="columns (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="say what `augment` may name, and the settings of each")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("augmented.png"), help="where to (default: %(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.list:
        from neocog.data.augmentations.card import cards

        say("\n".join(_entry(name, *card) for name, card in cards().items()))
        return
    from neocog.data import prepared
    from neocog.inspect import augmented
    from neocog.params import load

    recipe = load.recipe_of(options.block)
    data = prepared.read()
    augmented.sheet(data, recipe, images=options.images, epochs=options.epochs).save(options.out)
    said = ", ".join(each["method"] for each in recipe.augment)
    say(
        f"{options.out}: {options.images} training images, then {options.epochs} epochs of each ({said or 'augment is empty'})"
    )


def _entry(name: str, about: str, settings: dict[str, tuple[Any, Any]]) -> str:
    keys = ", ".join(
        f"{key}: {list(value) if isinstance(value, tuple) else value}" for key, (_, value) in settings.items()
    )
    return f"{{method: {name}, {keys}}}\n    {about}"
