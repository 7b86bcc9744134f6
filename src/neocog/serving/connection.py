"""HTTP connection with deadlines for headers, bodies and responses, and a limit on open connections.

| state | deadline | then |
|---|---|---|
| new, nothing sent yet | `head_seconds` | closed |
| a head has begun | `head_seconds` from its first byte | 408 |
| a body arrives | `body_seconds`, kept by the application; here a second later | 408; cut off |
| an answer that the client does not take | `answer_seconds` | cut off |
| idle between requests | `keep_alive` of uvicorn | closed |

Each deadline is for the whole of it: a byte now and then wins no time. Beyond `max_connections` the connection that has waited
longest for a whole head makes room; when every other is at work, the new one is answered 503.
"""

import asyncio
import http
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from neocog.serving import protocol

JSON = "application/json"
FLUSH = 5.0  # s that a refused client has to take its answer
CODES = {
    400: "BAD_REQUEST",
    404: "ENDPOINT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
FULL = "queue is full; retry later"


@dataclass(frozen=True)
class Deadlines:
    """Maximum number of open connections, and timeouts (s) of their phases."""

    max_connections: int = 512
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    answer_seconds: float = 120.0  # once it no longer fits into the sockets' buffers


class Connection(H11Protocol):
    """uvicorn's own, watched. `waiting` is shared by all: those without a whole head, the longest waiting first."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        deadlines: Deadlines,
        waiting: "dict[Connection, None]",
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadlines = deadlines
        self._waiting = waiting
        self._state: object = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._enter("new", self._deadlines.head_seconds)
        most = self._deadlines.max_connections
        if len(self.connections) > most and sum(not each.transport.is_closing() for each in self.connections) > most:
            next(iter(self._waiting))._refuse(503, FULL)  # this one, where no other waits

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter(None)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it where the connection was reset

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._at_work():
            return
        if self._state == "body":  # the rest of one that was answered before it ended
            self._enter("idle", self.timeout_keep_alive)
        else:
            self._enter("head", self._deadlines.head_seconds)

    def handle_events(self) -> None:
        super().handle_events()
        if self._at_work() and self._state != "answer":
            if self.conn.their_state is h11.SEND_BODY:
                self._enter("body", self._deadlines.body_seconds + 1)
            else:
                self._enter("model")

    def on_response_complete(self) -> None:
        if self.transport.is_closing():
            self._enter("closing", self._deadlines.answer_seconds)
        elif self.conn.their_state is not h11.SEND_BODY:  # a body that nobody reads ends with its deadline
            self._enter("idle")
        super().on_response_complete()
        if not self._at_work() and self.conn.trailing_data[0]:  # a head that began behind the request before it
            self._enter("head", self._deadlines.head_seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._enter("answer", self._deadlines.answer_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._state == "answer" and not self._at_work():
            self._enter("idle")

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is no HTTP."""
        self._refuse(400, "the request is not valid HTTP/1.1; send it with an ordinary client")

    def timeout_keep_alive_handler(self) -> None:
        """uvicorn's end of an idle connection, which would wait until all that was answered is taken."""
        self.transport.abort()

    def _at_work(self) -> bool:
        answering = self.cycle is not None and not self.cycle.response_complete
        return answering or self.conn.their_state is h11.SEND_BODY

    def _enter(self, state: str | None, seconds: float | None = None) -> None:
        """Change to `state` with a timeout of `seconds`; staying in it extends nothing, and `closing` is final."""
        if state == self._state or (self._state == "closing" and state is not None):
            return
        self._state = state
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._late)
        if state in ("new", "idle"):
            self._waiting[self] = None
        elif state != "head":
            self._waiting.pop(self, None)

    def _late(self) -> None:
        if self._state == "head":
            self._refuse(408, f"the head took longer than {self._deadlines.head_seconds:g} s to arrive")
        else:
            self.transport.abort()

    def _refuse(self, status: int, sentence: str) -> None:
        """Send an error response and close, unless a response has begun."""
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        silent = self._state == "idle" or (self._state == "new" and status == 408)
        if not begun and not silent:
            body = protocol.refusal(CODES[status], sentence)
            head = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\ncontent-type: {JSON}\r\n"
            head += f"content-length: {len(body)}\r\nconnection: close\r\n"
            head += "retry-after: 1\r\n" if status == 503 else ""
            self.transport.write(f"{head}\r\n".encode() + body)
        self._enter("closing", FLUSH)
        self.transport.close()
