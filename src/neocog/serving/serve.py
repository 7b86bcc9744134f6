"""HTTP server of `neocog serve`: answers until Ctrl-C or SIGTERM, then finishes the requests under way."""

import errno
import ipaddress
import logging
import resource
import signal
import socket
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import uvicorn

from neocog.core.errors import UserError
from neocog.serving import app
from neocog.serving.connection import Connection, Deadlines
from neocog.serving.predictor import Predictor

GRACE = 10  # s for requests under way, once it is told to stop
BACKLOG = 128  # connections that wait to be accepted
KEPT = 75  # s that a silent connection stays: uvicorn's 5 close it under clients that pause


class _Server(uvicorn.Server):
    """Server that prints its address once it listens."""

    greeting = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        print(self.greeting, flush=True)


def serve(predictor: Predictor, *, host: str = "127.0.0.1", port: int = 8000, limits: app.Limits | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `port` 0 takes any free one. Raises UserError when the address is not available."""
    limits = limits or app.Limits()
    service = app.Service(predictor, limits)
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    where = f"http://{shown}:{listening.getsockname()[1]}"
    if not _is_loopback(host):
        print(f"neocog: {where} can be reached from other machines, and asks nobody who they are", file=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises again what it was stopped by
        signal.signal(number, lambda *_: None)
    logging.getLogger("uvicorn.error").setLevel(
        logging.CRITICAL
    )  # failures are told by the application, in one line each
    connection: Any = partial(Connection, deadlines=_affordable(limits.deadlines), waiting={})
    server = _Server(
        uvicorn.Config(
            app.build(service),
            http=connection,
            backlog=BACKLOG,
            callback_notify=service.release,
            timeout_notify=1,
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEPT,
            timeout_graceful_shutdown=GRACE,
        )
    )
    server.greeting = (
        f"{predictor.bundle.model} ({str(service.about['bundle_sha256'])[:12]}) answers on {where}: "
        "POST /invocations, GET /health, /version; Ctrl-C ends it"
    )
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # What is accepted inherits it; without, each answer waits for the client's delayed acknowledgment: 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"--port {port}: taken on {host}; name another, or 0 for any free one") from None
        raise UserError(
            f"--host {host} --port {port}: {error.strerror or error}; name an address of this machine"
        ) from None
    except OverflowError:
        raise UserError(f"--port {port}: ports go from 0 to 65535") from None


def _affordable(deadlines: Deadlines) -> Deadlines:
    """Limit connections to half of the open files that this process may have."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return deadlines if files < 0 else replace(deadlines, max_connections=min(deadlines.max_connections, files // 2))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
