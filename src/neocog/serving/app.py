"""The HTTP side: MLflow's four paths, limits, and one sentence for whoever sends something wrong."""

import asyncio
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from neocog.bundle import read
from neocog.errors import UserError
from neocog.evaluation.preparation import preparation
from neocog.serving import pixels, protocol
from neocog.serving.classifier import Classifier
from neocog.serving.together import Overloaded, Pixels, Together

JSON = "application/json"
CODES = {400: "BAD_REQUEST", 404: "ENDPOINT_NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 408: "REQUEST_TIMEOUT"}
CODES |= {
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
HELD = 8  # times `max_bytes`: so much of all bodies is held until they are answered; who sends more is told to wait
DRAINED = 8  # times `max_bytes`: so much of a body that is too large is still read, so that its sender hears why


@dataclass(frozen=True)
class Limits:
    """What one request may hold, how many images may wait, and how long (s) a body may take to arrive."""

    max_bytes: int = 32 << 20
    max_images: int = 1024
    max_pixels: int = 200_000_000  # of all pictures in a request as they are sent: some seconds of decoding
    max_waiting: int = 4096
    max_seconds: float = 30.0


class Service:
    """What answers: one bundle behind `/invocations`, `/health`, `/ping` and `/version`."""

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self._limits = limits
        self._held = 0  # bytes of bodies under way
        self._classifier = classifier
        self._how = preparation(classifier.bundle)
        self._together = Together(classifier.probabilities, waiting=limits.max_waiting)
        self._readers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="reader")
        self.about = about(classifier)

    async def invocations(self, request: Request) -> Response:
        """Images in, `predictions` out."""
        loop = asyncio.get_running_loop()
        kind = request.headers.get("content-type", "")
        body: list[bytes] = []
        try:
            await self._read(request, body)
            images = await loop.run_in_executor(self._readers, self._images, b"".join(body), kind)
        finally:
            self._held -= sum(map(len, body))
            body.clear()
        probabilities = await self._together.ask(images)
        written = await loop.run_in_executor(
            self._readers, lambda: protocol.response(self._classifier.told(probabilities))
        )
        return Response(written, media_type=JSON)

    async def health(self, request: Request) -> Response:
        """The model is loaded: nothing listens before it is."""
        return JSONResponse({"status": "ok"})

    async def version(self, request: Request) -> Response:
        """Which bundle answers, and what it takes."""
        return JSONResponse(self.about)

    def _images(self, body: bytes, content_type: str) -> Pixels:
        items = protocol.items(body, content_type)
        if len(items) > self._limits.max_images:
            raise HTTPException(413, f"{len(items)} images; send at most {self._limits.max_images} in one request")
        most = max(self._limits.max_pixels, self._how["max_pixels"])  # what may be sent alone is no crowd
        if (found := pixels.promised(items)) > most:
            raise HTTPException(413, f"{found:,} pixels; send at most {most:,} in one request, all pictures together")
        return pixels.images(items, self._how)

    async def _read(self, request: Request, body: list[bytes]) -> None:
        """Add the parts of a request's body to `body`, and their bytes to those held."""
        most = self._limits.max_bytes
        size = 0
        try:
            async with asyncio.timeout(self._limits.max_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= most:
                        body.append(chunk)
                        self._held += len(chunk)
                    elif size > DRAINED * most:
                        break
                    if self._held > HELD * most:
                        raise Overloaded
        except TimeoutError:
            raise HTTPException(408, f"the body took longer than {self._limits.max_seconds:g} s to arrive") from None
        if size > most:
            raise HTTPException(413, f"the body has more than {most:,} bytes; send fewer images at a time")


def about(classifier: Classifier) -> dict[str, object]:
    """What `/version` says."""
    bundle = classifier.bundle
    return {
        "neocog": version("neocog"),
        "model": bundle.model,
        "architecture": bundle.architecture,
        "bundle_sha256": read.digest(bundle.folder),
        "classes": bundle.classes,
        "input": {"size": bundle.size, "channels": bundle.channels},
        "temperature": classifier.temperature,
    }


def build(service: Service) -> Starlette:
    """The ASGI application."""
    routes = [
        Route("/invocations", service.invocations, methods=["POST"]),
        Route("/health", service.health),
        Route("/ping", service.health),
        Route("/version", service.version),
    ]
    handlers = {HTTPException: _http, UserError: _wrong, Overloaded: _busy, ClientDisconnect: _left, Exception: _failed}
    return Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type] # each takes its own kind


def _refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    body = protocol.refusal(CODES.get(status, CODES[400]), sentence)
    return Response(body, status, media_type=JSON, headers=dict(headers or {}))


async def _http(request: Request, error: HTTPException) -> Response:
    sentences = {
        404: f"{request.url.path} is not here; POST /invocations, GET /health, /ping or /version",
        405: f"{request.method} is not for {request.url.path}; it takes {(error.headers or {}).get('Allow', 'another')}",
    }
    return _refuse(error.status_code, sentences.get(error.status_code, error.detail), error.headers)


async def _wrong(request: Request, error: UserError) -> Response:
    return _refuse(415 if isinstance(error, protocol.Unsupported) else 400, str(error))


async def _busy(request: Request, error: Overloaded) -> Response:
    return _refuse(503, "too much waits already; try again in a second", {"Retry-After": "1"})


async def _left(request: Request, error: ClientDisconnect) -> Response:
    return _refuse(400, "the sender has left")


async def _failed(request: Request, error: Exception) -> Response:
    print(f"neocog: {request.url.path} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return _refuse(500, "the model failed on this request; the server's own output says why")
