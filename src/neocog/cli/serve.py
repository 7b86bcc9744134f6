"""`neocog serve`: answer over HTTP."""

import argparse
import os
from typing import Any

from neocog.bundle.locate import NAMED
from neocog.cli.options import at_least
from neocog.core.errors import UserError

CROWD = 4  # threads a core: more only wait for each other, and thousands never start


def add(verbs: Any) -> None:
    """Add the verb to argparse's subparsers."""
    parser = verbs.add_parser(
        "serve",
        help="answer over HTTP what is on images",
        description="Answer POST /invocations (MLflow's scoring protocol: base64 pictures or uint8 arrays, or a picture as the body), GET "
        "/health, /ping and /version, until Ctrl-C or SIGTERM. Requests that come while the model is busy are answered together. Anyone "
        "who reaches the port may ask: it listens on this machine only, unless --host says otherwise.",
        epilog="examples: neocog serve models/trained/resnet | neocog serve models:/neocog@champion --port 9000; "
        "curl --data-binary @shoe.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/invocations",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help=NAMED)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one (default: %(default)s)")
    parser.add_argument(
        "--threads", metavar="N", type=int, default=0, help="of the model (default: one for each core but one)"
    )
    parser.add_argument("--max-images", metavar="N", type=int, default=1024, help="in a request (default: %(default)s)")
    parser.add_argument(
        "--max-bytes", metavar="N", type=int, default=32 << 20, help="of a request (default: %(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    at_least(options, threads=0, max_images=1, max_bytes=1)
    cores = os.cpu_count() or 1
    if options.threads > CROWD * cores:
        raise UserError(f"--threads {options.threads}: this machine has {cores} cores; name at most {CROWD * cores}")
    from neocog.bundle import locate
    from neocog.serving import app, predictor, serve

    limits = app.Limits(max_bytes=options.max_bytes, max_images=options.max_images)
    threads = options.threads or max(1, cores - 1)  # that one reads requests and writes answers
    model = predictor.load(locate.find(options.bundle), threads=threads)
    serve.serve(model, host=options.host, port=options.port, limits=limits)
