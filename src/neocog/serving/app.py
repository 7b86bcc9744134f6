"""HTTP application: MLflow's four paths, limits on requests, and one sentence for a bad request."""

import asyncio
import ctypes
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from neocog.bundle import read
from neocog.core import image_size
from neocog.core.errors import UserError
from neocog.evaluation.preparation import preparation
from neocog.serving import pixels, protocol
from neocog.serving.batching import Batcher, Pixels
from neocog.serving.budget import Budget, Overloaded, Share
from neocog.serving.connection import CODES, FULL, JSON, Deadlines
from neocog.serving.predictor import Predictor

HELD = 16  # times `max_bytes`: memory for all requests under way, from the body to the answer
DRAINED = 8  # times `max_bytes`: so much of a body that is too large is still read, so that its sender hears why
CROWDED = 4  # times `max_pixels`: so many pixels wait to be decoded
LARGE = 4_000_000  # pixels: a request with more is decoded by one thread for all such, since each pixel takes 14 bytes
PIECE = 1 << 16  # bytes of an answer that are written before the client has taken those before
RELEASED = 8 << 20  # bytes, or pixels: requests that took more leave memory behind that is given back to the system


@dataclass(frozen=True)
class Limits:
    """Limits of a request and of the queue, and the deadlines of connections."""

    max_bytes: int = 32 << 20
    max_images: int = 1024
    max_pixels: int = pixels.MAX_PIXELS
    max_waiting: int = 4096
    deadlines: Deadlines = field(default_factory=Deadlines)


class Service:
    """Endpoints of one bundle: `/invocations`, `/health`, `/ping` and `/version`."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self._limits = limits
        self._predictor = predictor
        self._how = preparation(predictor.bundle)
        self._memory = Budget(HELD * limits.max_bytes)
        self._crowd = Budget(CROWDED * max(limits.max_pixels, self._how["max_pixels"]))
        self._batcher = Batcher(predictor.predictions, waiting=limits.max_waiting)
        self._readers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="reader")
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self.about = about(predictor)

    async def invocations(self, request: Request) -> Response:
        """Predict the images of a request."""
        share = Share(self._memory)
        try:
            images = await self._images(request, share)
            predictions = await self._batcher.predict(images)
            loop = asyncio.get_running_loop()
            written = await loop.run_in_executor(
                self._readers, lambda: protocol.response(self._predictor.answers(predictions))
            )
            return _Answer(written, share)
        except BaseException:
            share.resize(0)
            raise

    async def health(self, request: Request) -> Response:
        """Health check; the server listens once the model is loaded."""
        return Response(protocol.dumps({"status": "ok"}), media_type=JSON)

    async def version(self, request: Request) -> Response:
        """Describe the bundle and its input."""
        return Response(protocol.dumps(self.about), media_type=JSON)

    async def release(self) -> None:
        """Return freed memory of large requests to the system (malloc_trim); called every second."""
        large = max(self._memory.peak, self._crowd.peak) > RELEASED
        self._memory.peak, self._crowd.peak = self._memory.taken, self._crowd.taken
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if large and trim is not None:
            await asyncio.get_running_loop().run_in_executor(self._readers, trim, 0)

    async def _images(self, request: Request, share: Share) -> Pixels:
        loop = asyncio.get_running_loop()
        kind = request.headers.get("content-type", "")
        body = bytes(await self._body(request, share))
        needed = protocol.memory(body, kind)
        if needed > self._memory.most:
            raise protocol.TooLarge(
                f"the body would take {needed >> 20:,} MB when it is parsed, and may take {self._memory.most >> 20:,}; "
                "send fewer images at a time, or pictures as base64"
            )
        share.resize(needed)
        items, found = await loop.run_in_executor(self._readers, self._items, body, kind)
        del body
        crowd = Share(self._crowd)
        try:
            crowd.resize(found)
            decoder = self._decoder if found > LARGE else self._readers
            images = await loop.run_in_executor(decoder, pixels.images, items, self._how)
        finally:
            crowd.resize(0)
        del items
        needed = images.nbytes + len(images) * self._predictor.respond.answer_bytes(self._predictor.bundle.card)
        if needed > self._memory.most:
            raise protocol.TooLarge(f"the answer for {len(images)} images would take {needed >> 20:,} MB; send fewer")
        share.resize(needed)
        return images

    def _items(self, body: bytes, content_type: str) -> tuple[list[object], int]:
        items = protocol.items(body, content_type)
        if len(items) > self._limits.max_images:
            raise protocol.TooLarge(f"{len(items)} images; send at most {self._limits.max_images} in one request")
        return items, pixels.promised(items, self._how, most=self._limits.max_pixels)

    async def _body(self, request: Request, share: Share) -> bytearray:
        """Read a request's body, accounting its bytes to `share` as they arrive."""
        most, seconds = self._limits.max_bytes, self._limits.deadlines.body_seconds
        body = bytearray()
        size = 0
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= most:
                        share.resize(size)
                        body += chunk
                    elif size > DRAINED * most:
                        break
        except TimeoutError:
            raise HTTPException(408, f"the body took longer than {seconds:g} s to arrive") from None
        if size > most:
            raise protocol.TooLarge(f"the body has more than {most:,} bytes; send fewer images at a time")
        return body


class _Answer(Response):
    """Response streamed in pieces; its memory is accounted until the client has taken it."""

    def __init__(self, content: bytes, share: Share) -> None:
        super().__init__(content, media_type=JSON)
        self._share = share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self.body), PIECE):
                piece = bytes(self.body[start : start + PIECE])
                more = start + PIECE < len(self.body)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            self._share.resize(0)


def about(predictor: Predictor) -> dict[str, object]:
    """The body of `/version`."""
    bundle = predictor.bundle
    return {
        "neocog": version("neocog"),
        "model": bundle.model,
        "architecture": bundle.architecture,
        "bundle_sha256": read.digest(bundle.folder),
        "classes": bundle.classes,
        "input": {"size": image_size.short(bundle.size), "channels": bundle.channels},
        predictor.respond.CALIBRATION: bundle.card.get(predictor.respond.CALIBRATION),
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
    built = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type] # each takes its own kind
    built.router.redirect_slashes = False  # a redirect repeats the Host that was sent, whatever it is
    return built


def _refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    body = protocol.refusal(CODES.get(status, CODES[400]), sentence)
    return Response(body, status, media_type=JSON, headers=dict(headers or {}))


async def _http(request: Request, error: HTTPException) -> Response:
    path = protocol.brief(request.scope["path"])
    sentences = {
        404: f"{path} is not here; POST /invocations, GET /health, /ping or /version",
        405: f"{request.method} is not for {path}; it takes {(error.headers or {}).get('Allow', 'another')}",
    }
    return _refuse(error.status_code, sentences.get(error.status_code, error.detail), error.headers)


async def _wrong(request: Request, error: UserError) -> Response:
    status = 415 if isinstance(error, protocol.Unsupported) else 413 if isinstance(error, protocol.TooLarge) else 400
    return _refuse(status, str(error))


async def _busy(request: Request, error: Overloaded) -> Response:
    return _refuse(503, FULL, {"Retry-After": "1"})


async def _left(request: Request, error: ClientDisconnect) -> Response:
    return _refuse(400, "the sender has left")


async def _failed(request: Request, error: Exception) -> Response:
    failed = f"{protocol.brief(request.scope['path'])} failed: {type(error).__name__}: {protocol.brief(str(error))}"
    print(f"neocog: {failed}", file=sys.stderr, flush=True)
    return _refuse(500, "the model failed on this request; the server's own output says why")
