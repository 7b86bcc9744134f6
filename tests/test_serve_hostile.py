"""`neocog serve` against malformed, slow and silent clients: bounded memory, connections and times, and right answers afterwards."""

import json
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import malformed
import numpy as np
import psutil
import pytest
import tiny
from servers import Server, assert_answers, base64_of
from waiting import wait_for

from neocog.bundle.read import Bundle
from neocog.serving import protocol

SERVE = """
import sys
from pathlib import Path
from neocog.bundle import read
from neocog.serving import app, predictor, pixels, protocol, serve
from neocog.serving.connection import Deadlines
{fault}
serve.serve(predictor.load(read.read(Path(sys.argv[1])), threads=1), port=0, limits=app.Limits(deadlines=Deadlines({deadlines})))
"""
LEAK = (
    "kept, items = [], protocol.items; protocol.items = lambda body, kind: kept.append(body * 9) or items(body, kind)"
)
RAW = (
    "protocol.brief = str; protocol.dumps = lambda value: __import__('json').dumps(value, ensure_ascii=False).encode()"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, np.ndarray]:
    root = tmp_path_factory.mktemp("hostile")
    data = tiny.digits(root / "prepared")
    return tiny.train(root, data, "mlp", architecture="mlp", hidden=32), np.ascontiguousarray(
        data.split("test").images[:64]
    )


@contextmanager
def serving(trained: tuple[Bundle, np.ndarray], deadlines: str = "", *, fault: str = "") -> Iterator[Server]:
    """A server with these deadlines and one answer given."""
    bundle, images = trained
    code = SERVE.format(fault=fault, deadlines=deadlines)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(bundle.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    greeting = process.stdout.readline()
    assert greeting, process.communicate()[1]
    server = Server(process, int(re.findall(r"127\.0\.0\.1:(\d+)", greeting)[0]), bundle, images)
    try:
        assert server.ask({"inputs": [base64_of(images[0])]})[0] == 200
        yield server
    finally:
        process.kill()
        process.communicate()


@dataclass
class Fuzzed:
    """What became of the requests: how many by status (0: closed without an answer), and what was sent for a 5xx."""

    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[tuple[str, int, bytes]] = field(default_factory=list)
    growth: float = 0.0
    peak: int = 0


def send(port: int, content: bytes) -> int:
    """The status of the answer to these bytes; 0 where the connection ended without one."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client, suppress(ConnectionError):
        with suppress(ConnectionError):
            client.sendall(content)
        while len(answer) < 12 and (part := client.recv(4096)):
            answer += part
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def fuzz(server: Server, count: int, *, patience: float = 10.0) -> Fuzzed:
    """Send so many malformed requests, eight at a time; memory may take `patience` (s) to go back to the system."""
    found = Fuzzed()
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    requests = list(malformed.requests(seed=11, count=count))
    with ThreadPoolExecutor(8) as pool:
        for (kind, content), status in zip(
            requests, pool.map(lambda each: send(server.port, each[1]), requests), strict=True
        ):
            found.statuses[status] += 1
            if status >= 500:
                found.failed.append((kind, status, content[:300]))
    end = time.monotonic() + patience
    while (growth := process.memory_info().rss / before) > GROWTH and time.monotonic() < end:
        time.sleep(0.2)
    found.growth = growth
    found.peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[0]) << 10
    return found


GROWTH = 1.5
QUICK = "head_seconds=0.5, body_seconds=0.5"


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_malformed_requests_break_nothing(trained: tuple[Bundle, np.ndarray], count: int) -> None:
    with serving(trained, QUICK) as server:
        found = fuzz(server, count)
        assert not found.failed
        assert found.growth < GROWTH
        assert found.statuses[0] < count / 20, "all but some are told what is wrong"
        assert found.peak < 1 << 30, "bytes, at any moment"
        assert count < 1000 or {400, 404, 405, 408, 413, 415} <= set(found.statuses), "every kind of refusal was met"
        assert server.process.poll() is None
        for number in range(5):
            status, told = server.ask({"inputs": [base64_of(server.images[number])]})
            assert status == 200
            assert_answers(server, told, [number])


def test_the_fuzz_finds_a_server_that_fails_and_one_that_keeps_memory(trained: tuple[Bundle, np.ndarray]) -> None:
    with serving(trained, QUICK, fault=f"{RAW}; {LEAK}") as server:
        found = fuzz(server, 150, patience=0)
        assert {status for _, status, _ in found.failed} == {500}
        assert found.growth > GROWTH


N = 200_000
GROWING = {
    "empty lists": b"[],",
    "empty objects": b"{},",
    "pixels": b"[0],",
    "nested": b"[" * 50 + b"]" * 50 + b",",
    "objects": b'{"a":0},',
    "wide objects": b'{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0},',
    "floats": b"1e1,",
    "integers": b"999,",
    "texts": b'"ab",',
    "wide texts": '"aaaaaaaaaaaaaaaaaaaaa\U0001f600",'.encode(),
    "escapes": rb'"\n\n",',
}
BODIES = {name: b"[" + part * (N // len(part)) + b"0]" for name, part in GROWING.items()}
BODIES["text"] = b'["' + b"a" * N + b'"]'
BODIES["wide text"] = b'["' + b"a" * N + rb'\ud83d\ude00"]'
BODIES["wide body"] = ('["' + "a" * N + '\U0001f600"]').encode()
BODIES["keys"] = b"{" + b",".join(b'"%d":0' % i for i in range(N // 9)) + b"}"
BODIES["UTF-16"] = ("[" + "[]," * (N // 6) + "0]").encode("utf-16")


@pytest.mark.parametrize("kind", BODIES)
def test_no_body_takes_more_memory_than_is_counted_before_it_is_parsed(kind: str) -> None:
    body = BODIES[kind]
    tracemalloc.start()
    try:
        json.loads(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) < peak + len(body) <= protocol.memory(body, "application/json"), "with the body itself"


def opened(server: Server, content: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    client.sendall(content)
    return client


def connections(server: Server) -> int:
    return len(psutil.Process(server.process.pid).net_connections("tcp")) - 1  # but the one that listens


def answer(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    with suppress(ConnectionError):
        while part := client.recv(65536):
            parts.append(part)
    client.close()
    return b"".join(parts)


HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"


def test_slow_and_silent_connections_end_at_their_deadlines(trained: tuple[Bundle, np.ndarray]) -> None:
    slow = {
        "silent": (b"", b""),
        "half a head": (HEAD, b"408"),
        "half a body": (HEAD + b"Content-Type: image/png\r\nContent-Length: 9\r\n\r\nx", b"408"),
        "half a chunk": (HEAD + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx", b"408"),
        "a body nobody reads": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", b"404"),
        "half a second head": (b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\nGET /", b"200"),
    }
    with serving(trained, QUICK) as server:
        clients = {name: [opened(server, content) for _ in range(20)] for name, (content, _) in slow.items()}
        for name, (_, status) in slow.items():
            for client in clients[name]:
                told = answer(client)
                assert told[9:12] == status, name
                assert status != b"408" or b"took longer than 0.5 s to arrive" in told
        assert wait_for(lambda: connections(server) == 0, seconds=30)
    with serving(trained, "head_seconds=60, body_seconds=60") as server:
        client = opened(server, HEAD)
        client.settimeout(1.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.close()


def test_a_byte_now_and_then_wins_no_time(trained: tuple[Bundle, np.ndarray]) -> None:
    with serving(trained, QUICK) as server, opened(server) as client:
        sent = 0
        with suppress(ConnectionError):
            while sent < 300:
                client.sendall(HEAD[sent % 9 : sent % 9 + 1])
                sent += 1
                time.sleep(0.1)
        assert sent < 300


def test_silent_connections_make_room_and_a_full_server_says_so(trained: tuple[Bundle, np.ndarray]) -> None:
    with serving(trained, "max_connections=8, head_seconds=60") as server:
        silent = [opened(server) for _ in range(8)]
        assert server.ask({"inputs": [base64_of(server.images[0])]})[0] == 200, "the oldest silent one made room"
        assert b"queue is full; retry later" in answer(silent[0])
        begun = HEAD + b"Content-Type: image/png\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\nx"
        busy = []
        for _ in range(8):
            busy.append(opened(server, begun))
            assert busy[-1].recv(99).startswith(b"HTTP/1.1 100 "), "its head is read"
        told = answer(opened(server))
        assert told.startswith(b"HTTP/1.1 503 ") and b"queue is full; retry later" in told and b"retry-after: 1" in told
        for client in busy:
            client.sendall(b"x" * 8)
            assert client.recv(99).startswith(b"HTTP/1.1 400"), "who was at work is answered"
            client.close()
        assert server.ask({"inputs": [base64_of(server.images[0])]})[0] == 200


def test_a_client_that_takes_no_answer_is_cut_off(trained: tuple[Bundle, np.ndarray]) -> None:
    large = malformed.post(json.dumps({"inputs": [base64_of(trained[1][0])] * 1024}).encode())
    with serving(trained, "answer_seconds=0.5") as server:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        assert wait_for(lambda: connections(server) == 1, seconds=30)
        with suppress(ConnectionError):
            client.sendall(large * 40)
        assert wait_for(lambda: connections(server) == 0, seconds=30)
        client.close()
