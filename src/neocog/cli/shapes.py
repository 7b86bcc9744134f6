"""`neocog shapes`: sizes, receptive field and cost of an architecture, layer by layer."""

import argparse
from typing import Any

from neocog import architectures
from neocog.cli.options import image_shape, image_size, network, positive, within
from neocog.core import constrained_types, errors, output
from neocog.core.image_size import Size


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "shapes",
        help="what happens to an image in an architecture, layer by layer",
        description="Sizes, receptive field, parameters, multiply-accumulates and memory of every layer of ARCH, and pixels it never uses. "
        "Of N pixels, a filter of F with padding P and stride S leaves (N - F + 2P) / S + 1; a rest of that division is never looked at.",
        epilog="examples: neocog shapes lenet | neocog shapes resnet --form resnet50 --image 225",
    )
    parser.add_argument(
        "architecture", metavar="ARCH", help=f"a block of params.yaml, or one of {', '.join(architectures.names())}"
    )
    parser.add_argument(
        "--image",
        metavar="N",
        type=image_size,
        help="side of the image in pixels, or HxW (default: that of data/prepared, else 28; 224 for a published form)",
    )
    parser.add_argument(
        "--channels",
        metavar="C",
        type=int,
        choices=(1, 3),
        help="of the image, 1 or 3 (default: those of data/prepared, else 1; 3 for a published form)",
    )
    parser.add_argument(
        "--classes",
        metavar="K",
        type=positive,
        help="to tell apart (default: those of data/prepared, else 10; 1000 for a published form)",
    )
    parser.add_argument(
        "--form", metavar="F", help="small, or a published one such as resnet50 (default: as in params.yaml)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    card, block, _ = network(options.architecture)
    within("--image", options.image and max(options.image), constrained_types.LARGEST_IMAGE)
    within("--classes", options.classes, constrained_types.MOST)
    form = options.form or block.get("form", architectures.SMALL)
    known = card.forms or (architectures.SMALL,)
    if form not in known:
        raise errors.UserError(f"--form {form}: {card.name} has no such form; {errors.nearest(form, known)}")
    sizes = {key: value for key, value in block.items() if key in card.sizes and key != "form"}
    if form != architectures.SMALL:
        sizes = {"form": form} | (sizes if form == block.get("form") else {})
    if form == architectures.SMALL:
        shape = image_shape(options.image, options.channels)
    else:
        shape = {"size": options.image or (224, 224), "channels": options.channels or 3, "classes": 1000}
    shape["classes"] = options.classes or shape["classes"]

    from neocog.inspect.shapes import sizes as fitting
    from neocog.inspect.shapes import table

    console = output.console()

    def build(size: Size) -> Any:
        return architectures.build(card.name, **(shape | {"size": size}), sizes=sizes)

    given = {"channels": shape["channels"], "size": shape["size"]}
    with console.status("looking ..."):
        model, found = fitting.layers_that_fit(build, **given)
        better = fitting.size_without_waste(build, found, **given)
    name = card.name if form == architectures.SMALL else form
    image = " x ".join(map(str, (shape["channels"], *shape["size"])))
    title = f"{name}: an image of {image}, {shape['classes']} classes"
    params = sum(parameter.numel() for parameter in model.parameters())
    table.show(found, console, title=title, params=params, better=better)
