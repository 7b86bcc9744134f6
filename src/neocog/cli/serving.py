"""`neocog predict` and `neocog serve`: nothing heavy is imported before they run."""

import argparse
import os
from pathlib import Path
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.core.errors import UserError

CROWD = 4  # threads a core: more only wait for each other, and thousands never start


def add(verbs: Any) -> None:
    """Add the verbs to argparse's subparsers."""
    predict = verbs.add_parser(
        "predict",
        help="what a trained network says of image files",
        description="Ask BUNDLE about each FILE, and about every file below each folder: one line a file, decoded exactly as `prepare` "
        "does. Files that cannot be used are named on stderr with the reason, and make the exit code 2; all others are answered.",
        epilog="examples: neocog predict models/trained/resnet shoe.jpg photos/ | neocog predict models:/neocog@champion photos/ --csv",
    )
    predict.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    predict.add_argument("files", metavar="FILE", nargs="+", type=Path, help="an image, or a folder of them")
    predict.add_argument(
        "--top", metavar="K", type=int, default=3, help="likeliest classes to name (default: %(default)s)"
    )
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="one JSON object a line")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="a table")
    predict.add_argument(
        "--resize",
        choices=("crop", "pad", "stretch"),
        help="how an oblong image becomes square (default: as the bundle says, else crop)",
    )
    predict.add_argument(
        "--workers", metavar="N", type=int, default=0, help="processes that decode (default: one for each core)"
    )
    predict.set_defaults(run=_predict, form="text")

    serve = verbs.add_parser(
        "serve",
        help="answer over HTTP what is on images",
        description="Answer POST /invocations (MLflow's scoring protocol: base64 pictures or uint8 arrays, or a picture as the body), GET "
        "/health, /ping and /version, until Ctrl-C or SIGTERM. Requests that come while the model is busy are answered together. Anyone "
        "who reaches the port may ask: it listens on this machine only, unless --host says otherwise.",
        epilog="examples: neocog serve models/trained/resnet | neocog serve models:/neocog@champion --port 9000; "
        "curl --data-binary @shoe.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/invocations",
    )
    serve.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="0 takes any free one (default: %(default)s)")
    serve.add_argument(
        "--threads", metavar="N", type=int, default=0, help="of the model (default: one for each core but one)"
    )
    serve.add_argument("--max-images", metavar="N", type=int, default=1024, help="in a request (default: %(default)s)")
    serve.add_argument(
        "--max-bytes", metavar="N", type=int, default=32 << 20, help="of a request (default: %(default)s)"
    )
    serve.set_defaults(run=_serve)


def _predict(options: argparse.Namespace) -> None:
    _check(options, top=1, workers=0)
    from neocog.bundle import locate
    from neocog.evaluation.preparation import preparation
    from neocog.serving import files, output_formats, predict, predictor

    bundle = locate.find(options.bundle)
    how = preparation(bundle)
    how["resize"] = options.resize or how["resize"]
    found = files.find(options.files)
    answers = predict.predict(predictor.load(bundle), found, how=how, workers=options.workers)
    output_formats.show(answers, bundle, top=options.top, form=options.form, total=len(found))


def _serve(options: argparse.Namespace) -> None:
    _check(options, threads=0, max_images=1, max_bytes=1)
    cores = os.cpu_count() or 1
    if options.threads > CROWD * cores:
        raise UserError(f"--threads {options.threads}: this machine has {cores} cores; name at most {CROWD * cores}")
    from neocog.bundle import locate
    from neocog.serving import app, predictor, serve

    limits = app.Limits(max_bytes=options.max_bytes, max_images=options.max_images)
    threads = options.threads or max(1, cores - 1)  # that one reads requests and writes answers
    model = predictor.load(locate.find(options.bundle), threads=threads)
    serve.serve(model, host=options.host, port=options.port, limits=limits)


def _check(options: argparse.Namespace, **least: int) -> None:
    for name, lowest in least.items():
        if (value := getattr(options, name)) < lowest:
            raise UserError(f"--{name.replace('_', '-')} {value} must be at least {lowest}")
