"""The command line: `neocog VERB`. Nothing heavy is imported before the verb that needs it is known."""

import argparse
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neocog import architectures
from neocog.bundle.locate import NAMED
from neocog.cli import explain, export, image_options, reproduce, serving
from neocog.cli import register as registry
from neocog.core import constrained_types, errors, output
from neocog.core.escape import say

LONGEST = 3600  # seconds that a combination may be timed
GUIDE = """
The pipeline itself is DVC's: `dvc repro` runs what changed, `dvc exp run -S train.epochs=2` tries something,
`dvc exp show` and `mlflow ui` compare. These verbs answer questions on the side.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse `arguments` (those of the process by default) and run the verb; exit codes as in `neocog.core.errors`."""
    errors.run(_run, [arguments], unread="ends")


def _run(arguments: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="neocog",
        description="Train, compress and compare convolutional networks, reproducibly.",
        epilog=GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"neocog {version('neocog')}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    fastest = verbs.add_parser(
        "fastest",
        help="measure which memory format and precision trains an architecture fastest here",
        description="Time a few training steps of ARCH in each memory format and precision, in turns, and print the table. "
        "Put the winner into the architecture's block in params.yaml: results must not depend on a machine's mood, "
        "so neocog never chooses by itself.",
        epilog="example: neocog fastest resnet",
    )
    fastest.add_argument(
        "architecture", metavar="ARCH", help=f"a block of params.yaml, or one of {', '.join(architectures.names())}"
    )
    fastest.add_argument(
        "--size", type=_positive, help="side of the images in pixels (default: that of data/prepared, else 28)"
    )
    fastest.add_argument(
        "--channels", type=int, choices=(1, 3), help="of the images (default: those of data/prepared, else 1)"
    )
    fastest.add_argument("--seconds", type=float, default=2.0, help="spent on each combination (default: %(default)s)")
    fastest.add_argument("--threads", type=_positive, help="CPU threads (default: one for each core)")
    fastest.set_defaults(run=_fastest)

    models = verbs.add_parser(
        "models",
        help="list the architectures: year, size, idea and forms",
        description="List the architectures by year, or tell everything about one: paper, forms, and the keys of its block in params.yaml.",
        epilog="examples: neocog models | neocog models resnet",
    )
    models.add_argument("architecture", metavar="ARCH", nargs="?", help="tell everything about this one")
    models.set_defaults(run=_models)

    inspect = verbs.add_parser(
        "inspect",
        help="draw what goes on inside a trained network",
        description="Draw BUNDLE at work on one image: what it says, the first weights that the image meets, and what becomes of the "
        "image at several depths. Dark is the lowest answer of a map, bright its highest; the most varied maps come first.",
        epilog="examples: neocog inspect models/trained/resnet | neocog inspect models/trained/lenet --image shoe.jpg --out shoe.png",
    )
    inspect.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    image_options.add(inspect)
    inspect.add_argument(
        "--out", metavar="FILE.png", type=Path, help="where to (default: <bundle's name>-inside.png here)"
    )
    inspect.set_defaults(run=_inspect)

    serving.add(verbs)
    registry.add(verbs)
    export.add(verbs)
    explain.add(verbs)
    reproduce.add(verbs)

    sensitivity = verbs.add_parser(
        "sensitivity",
        help="which layers of a trained network bear pruning and rounding",
        description="Take channels from, or round the weights of, one layer of BUNDLE at a time, train nothing, and measure top-1 on "
        "validation images of data/prepared. Draws what each layer costs, writes FILE.csv beside the picture, and names the fragile ones.",
        epilog="examples: neocog sensitivity models/trained/resnet | neocog sensitivity models/tuned/lenet --images 5000 --out lenet.png",
    )
    sensitivity.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    sensitivity.add_argument(
        "--images", metavar="N", type=_positive, default=2000, help="to judge by (default: %(default)s)"
    )
    sensitivity.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="where to, .svg, .html or .png (default: <bundle's name>-sensitivity.svg here)",
    )
    sensitivity.set_defaults(run=_sensitivity)

    shapes = verbs.add_parser(
        "shapes",
        help="what happens to an image in an architecture, layer by layer",
        description="Sizes, receptive field, parameters, multiply-accumulates and memory of every layer of ARCH, and pixels it never uses. "
        "Of N pixels, a filter of F with padding P and stride S leaves (N - F + 2P) / S + 1; a rest of that division is never looked at.",
        epilog="examples: neocog shapes lenet | neocog shapes resnet --form resnet50 --image 225",
    )
    shapes.add_argument(
        "architecture", metavar="ARCH", help=f"a block of params.yaml, or one of {', '.join(architectures.names())}"
    )
    shapes.add_argument(
        "--image",
        metavar="N",
        type=_positive,
        help="side of the image in pixels (default: that of data/prepared, else 28; 224 for a published form)",
    )
    shapes.add_argument(
        "--channels",
        metavar="C",
        type=int,
        choices=(1, 3),
        help="of the image, 1 or 3 (default: those of data/prepared, else 1; 3 for a published form)",
    )
    shapes.add_argument(
        "--classes",
        metavar="K",
        type=_positive,
        help="to tell apart (default: those of data/prepared, else 10; 1000 for a published form)",
    )
    shapes.add_argument(
        "--form", metavar="F", help="small, or a published one such as resnet50 (default: as in params.yaml)"
    )
    shapes.set_defaults(run=_shapes)

    options = parser.parse_args(arguments)
    options.run(options)


def _positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return int(text)


def _models(options: argparse.Namespace) -> None:
    from neocog.inspect import catalog

    print(catalog.page(options.architecture) if options.architecture else catalog.table())


def _fastest(options: argparse.Namespace) -> None:
    card, block, batch_size = _network(options.architecture)
    _within("--size", options.size, constrained_types.LARGEST_IMAGE)
    _within("--threads", options.threads, os.cpu_count() or 1, why=", the cores of this machine")
    if not 0 < options.seconds <= LONGEST:
        raise errors.UserError(f"--seconds (={options.seconds:g}) must be above 0 and at most {LONGEST}")
    sizes = {key: value for key, value in block.items() if key in card.sizes}
    shape = _shape(options.size, options.channels)

    import torch
    from rich.table import Table

    from neocog.inspect.fastest import measure

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    console = output.console()
    with console.status("building ...") as status:
        speeds = measure(
            lambda: architectures.build(card.name, **shape, sizes=sizes),
            **shape,
            batch_size=batch_size,
            name=card.name,
            seconds=options.seconds,
            on_turn=status.update,
        )
    default = next(speed for speed in speeds if speed.precision == "32-true" and not speed.channels_last)
    table = Table(title=f"{card.name} at {shape['size']} px, batch {batch_size}: whole training steps")
    for column in ("channels_last", "precision", "images/s", "against the default"):
        table.add_column(column, justify="right")
    for speed in speeds:
        ratio = speed.images_per_second / default.images_per_second
        said = f"{speed.precision}; wrong gradients: {speed.wrong}" if speed.wrong else speed.precision
        table.add_row(str(speed.channels_last).lower(), said, f"{speed.images_per_second:,.0f}", f"{ratio:.2f}x")
    console.print(table)
    best = speeds[0]
    console.print(f"fastest here: channels_last: {str(best.channels_last).lower()}, precision: {best.precision}")


def _inspect(options: argparse.Namespace) -> None:
    from neocog.bundle import locate
    from neocog.inspect import activation_rows, activations, activations_poster
    from neocog.inspect import image as subject
    from neocog.tasks.task import task

    bundle = locate.find(options.bundle)
    path = output.checked(options.out or Path(f"{bundle.name}-inside.png"), ".png")
    bundle.session(threads=1)  # a damaged graph is said in a sentence
    image, about = subject.of(options, bundle)
    found = activations.look(bundle, image)
    likeliest = task(bundle.task).respond.likeliest(found.prediction, card=bundle.card, top=activations_poster.CLASSES)
    activations_poster.write(
        activations_poster.draw(found, image, likeliest=likeliest, name=bundle.model, about=about), path
    )
    said = ", ".join(f"{name} ({probability:.1%})" for name, probability in likeliest[:1])
    say(f"{path}: {bundle.model} says {said} of {about}; {activation_rows.summary(found)}")


def _sensitivity(options: argparse.Namespace) -> None:
    from neocog.bundle import locate
    from neocog.data import prepared
    from neocog.evaluation import predictions
    from neocog.inspect.sensitivity import fragile, measure, picture

    bundle, data = locate.find(options.bundle), prepared.read()
    predictions.match(bundle, data)
    path = picture.checked(options.out or Path(f"{bundle.name}-sensitivity.svg"))
    found = measure.measure(bundle, data, images=options.images)
    picture.write(path, found)
    measure.write_csv(path.with_suffix(".csv"), found)
    told = f"{path} and {path.with_suffix('.csv').name}: {bundle.model} on {found.images:,} validation images"
    say("\n".join([told, *fragile.sentences(found)]))


def _shapes(options: argparse.Namespace) -> None:
    card, block, _ = _network(options.architecture)
    _within("--image", options.image, constrained_types.LARGEST_IMAGE)
    _within("--classes", options.classes, constrained_types.MOST)
    form = options.form or block.get("form", architectures.SMALL)
    known = card.forms or (architectures.SMALL,)
    if form not in known:
        raise errors.UserError(f"--form {form}: {card.name} has no such form; {errors.nearest(form, known)}")
    sizes = {key: value for key, value in block.items() if key in card.sizes and key != "form"}
    if form != architectures.SMALL:
        sizes = {"form": form} | (sizes if form == block.get("form") else {})
    if form == architectures.SMALL:
        shape = _shape(options.image, options.channels)
    else:
        shape = {"size": options.image or 224, "channels": options.channels or 3, "classes": 1000}
    shape["classes"] = options.classes or shape["classes"]

    from neocog.inspect.shapes import sizes as image_sizes
    from neocog.inspect.shapes import table

    console = output.console()

    def build(size: int) -> Any:
        return architectures.build(card.name, **(shape | {"size": size}), sizes=sizes)

    given = {"channels": shape["channels"], "size": shape["size"]}
    with console.status("looking ..."):
        model, found = image_sizes.layers_that_fit(build, **given)
        better = image_sizes.size_without_waste(build, found, **given)
    name = card.name if form == architectures.SMALL else form
    title = f"{name}: an image of {shape['channels']} x {shape['size']} x {shape['size']}, {shape['classes']} classes"
    params = sum(parameter.numel() for parameter in model.parameters())
    table.show(found, console, title=title, params=params, better=better)


def _network(name: str) -> tuple[architectures.Card, dict[str, Any], int]:
    """The architecture of a block of params.yaml or of that name itself, the block if there is one, and its batch size."""
    from neocog.core import validation
    from neocog.params import block

    raw = registry.params_file()
    given = {key: {} if raw.get(key) is None else raw[key] for key in ("architectures", "train")}
    for key, section in given.items():
        if not isinstance(section, dict):
            raise errors.UserError(f"params.yaml: {key} (={section!r}) must be a block of keys")
    found = given["architectures"].get(name)
    found = {} if found is None else found
    if name not in given["architectures"]:
        architectures.card(name)
    block.check(name, found)
    batch = {"batch_size": (given["train"] | found).get("batch_size", 64)}
    where = f"architectures.{name}" if "batch_size" in found else "train"
    validation.keywords({"batch_size": (constrained_types.AtLeast1, 64)}, where, batch)
    return architectures.card(block.architecture(name, found)), found, batch["batch_size"]


def _within(option: str, value: int | None, largest: int, *, why: str = "") -> None:
    """Raise UserError when the value of an option is above the largest that makes sense."""
    if value is not None and value > largest:
        raise errors.UserError(f"{option} (={value}) must be at most {largest}{why}")


def _shape(size: int | None, channels: int | None) -> dict[str, int]:
    """Size, channels and classes: as asked for, else those of data/prepared, else 28, 1 and 10."""
    from neocog.data import prepared

    found = prepared.read("data/prepared") if Path("data/prepared/dataset.json").is_file() else None
    return {
        "size": size or (found.size if found else 28),
        "channels": channels or (found.channels if found else 1),
        "classes": len(found.classes) if found else 10,
    }


if __name__ == "__main__":
    main()
