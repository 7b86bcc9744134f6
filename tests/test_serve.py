"""`neocog serve`: real requests to a real server, right answers for what is right and one sentence for what is wrong."""

import asyncio
import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image
from starlette.requests import Request

from neocog.bundle.read import Bundle, digest
from neocog.errors import UserError
from neocog.serving import app, classifier, together

MAX_BYTES, MAX_IMAGES = 200_000, 64


@dataclass
class Server:
    """A running `neocog serve` and the bundle that it answers with."""

    process: subprocess.Popen[str]
    port: int
    bundle: Bundle
    images: np.ndarray

    def ask(
        self, body: Any, *, kind: str = "application/json", path: str = "/invocations", method: str = "POST"
    ) -> Any:
        """(status, what came back as JSON)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body=content or None, headers={"Content-Type": kind})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        return answer.status, told

    def expected(self, number: int) -> np.ndarray:
        """The bundle's own probabilities of one image."""
        return classifier.load(self.bundle).probabilities(self.images[number : number + 1])[0]


def start(bundle: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "neocog.cli", "serve", str(bundle), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    greeting = process.stdout.readline()
    assert "answers on http://127.0.0.1:" in greeting, process.communicate()[1]
    return process, int(greeting.partition("http://127.0.0.1:")[2].partition(":")[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("serve")
    data = tiny.digits(root / "prepared")
    bundle = tiny.train(root, data, "mlp", architecture="mlp", hidden=32, epochs=2)
    process, port = start(bundle.folder, "--max-bytes", str(MAX_BYTES), "--max-images", str(MAX_IMAGES))
    yield Server(process, port, bundle, np.ascontiguousarray(data.split("test").images[:64]))
    process.terminate()
    assert process.wait(timeout=20) == 0


def png(image: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(image[..., 0]).save(file, "PNG")
    return file.getvalue()


def base64_of(image: np.ndarray) -> str:
    return base64.b64encode(png(image)).decode()


def assert_answers(server: Server, told: Any, numbers: list[int]) -> None:
    assert len(told["predictions"]) == len(numbers)
    for prediction, number in zip(told["predictions"], numbers, strict=True):
        expected = server.expected(number)
        given = [prediction["probabilities"][name] for name in server.bundle.classes]
        np.testing.assert_allclose(given, expected, atol=1e-6)
        assert prediction["class"] == server.bundle.classes[expected.argmax()]
        assert prediction["probability"] == max(given) == next(iter(prediction["probabilities"].values()))


@pytest.mark.parametrize("form", ["split", "records", "inputs", "column", "instances", "url"])
@pytest.mark.parametrize("image", [base64_of, np.ndarray.tolist])
def test_every_form_of_the_scoring_protocol_gets_the_bundles_own_answers(server: Server, form: str, image: Any) -> None:
    sent = [image(each) for each in server.images[:3]]
    if form == "url" and isinstance(sent[0], str):
        sent = [f"data:image/png;base64,{each}" for each in sent]
    body = {
        "split": {"dataframe_split": {"columns": ["id", "image"], "data": [[i, each] for i, each in enumerate(sent)]}},
        "records": {"dataframe_records": [{"image": each} for each in sent]},
        "inputs": {"inputs": sent},
        "column": {"inputs": {"image": sent}},
        "instances": {"instances": [{"image": each} for each in sent]},
        "url": {"inputs": sent},
    }[form]
    status, told = server.ask(body)
    assert status == 200, told
    assert_answers(server, told, [0, 1, 2])


def test_a_picture_may_be_the_body_itself_and_of_any_size(server: Server) -> None:
    status, told = server.ask(png(server.images[5]), kind="image/png")
    assert status == 200
    assert_answers(server, told, [5])
    large = BytesIO()
    Image.fromarray(server.images[5, ..., 0]).resize((301, 200)).convert("RGB").save(large, "JPEG")
    assert server.ask(large.getvalue(), kind="image/jpeg")[0] == 200


def test_it_says_that_it_lives_and_which_bundle_answers(server: Server) -> None:
    assert server.ask(b"", path="/health", method="GET")[0] == 200
    assert server.ask(b"", path="/ping", method="GET")[0] == 200
    status, told = server.ask(b"", path="/version", method="GET")
    assert status == 200
    assert told["bundle_sha256"] == digest(server.bundle.folder)
    assert told["classes"] == list(server.bundle.classes)


PIXELS = np.zeros((8, 8, 1), int)
WRONG: dict[str, tuple[int, str, Any, str]] = {
    "no json": (400, "not JSON", b"{", "application/json"),
    "no object": (400, "must be a JSON object", ["x"], "application/json"),
    "two forms": (400, "exactly one of", {"inputs": [], "instances": []}, "application/json"),
    "unknown key": (400, "'top' beside inputs", {"inputs": ["x"], "top": 1}, "application/json"),
    "nothing": (400, "no image", {"inputs": []}, "application/json"),
    "no list": (400, "inputs must be a list", {"inputs": 3}, "application/json"),
    "no column": (400, "no column 'image'", {"dataframe_split": {"columns": ["a"], "data": []}}, "application/json"),
    "short row": (400, "row 0", {"dataframe_split": {"columns": ["a", "image"], "data": [[1]]}}, "application/json"),
    "no base64": (400, "image 0: not base64", {"inputs": ["§"]}, "application/json"),
    "no picture": (400, "image 1: not an image", {"inputs": [PIXELS.tolist(), "aGVsbG8="]}, "application/json"),
    "cut picture": (400, "truncated", png(np.full((99, 99, 1), 9, np.uint8))[:-30], "image/png"),
    "null": (400, "null", {"inputs": [None]}, "application/json"),
    "shape": (400, "shape [9, 9, 1], not [8, 8, 1]", {"inputs": np.zeros((1, 9, 9, 1)).tolist()}, "application/json"),
    "ragged": (400, "different lengths", {"inputs": [[[1, 2], [3]]]}, "application/json"),
    "scaled": (400, "no whole numbers", {"inputs": [(PIXELS + 0.5).tolist()]}, "application/json"),
    "range": (400, "from 0 to 504", {"inputs": [np.arange(0, 512, 8).reshape(8, 8, 1).tolist()]}, "application/json"),
    "text": (400, "no whole numbers", {"inputs": [PIXELS.astype(str).tolist()]}, "application/json"),
    "not a number": (
        400,
        "no whole numbers",
        b'{"inputs": [%s]}' % json.dumps((PIXELS + np.nan).tolist()).encode(),
        "application/json",
    ),
    "deep": (400, "", b'{"inputs": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "application/json"),
    "images": (413, "65 images; send at most 64", {"inputs": ["x"] * 65}, "application/json"),
    "bytes": (413, "more than 200,000 bytes", b" " * 1_000_000, "application/json"),
    "kind": (415, "text/csv", b"image\nx", "text/csv"),
    "charset": (415, "UTF-8", b"{}", "application/json; charset=latin-1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_answered_with_one_sentence(server: Server, what: str) -> None:
    status, sentence, body, kind = WRONG[what]
    found, told = server.ask(body, kind=kind)
    assert (found, set(told)) == (status, {"error_code", "message"})
    assert sentence in told["message"]
    assert "Traceback" not in told["message"] and "\n" not in told["message"]
    assert server.ask({"inputs": [base64_of(server.images[0])]})[0] == 200, "and the server goes on"


def test_wrong_paths_and_methods_say_what_there_is(server: Server) -> None:
    assert server.ask(b"", path="/predict", method="GET")[0] == 404
    status, told = server.ask(b"", method="GET")
    assert status == 405 and "POST" in told["message"]


def test_many_clients_at_once_each_get_their_own_answers(server: Server) -> None:
    def client(number: int) -> None:
        for start in range(4):
            numbers = [(number + start) % 64, (number * 7 + start) % 64]
            status, told = server.ask({"inputs": [base64_of(server.images[i]) for i in numbers]})
            assert status == 200, told
            assert_answers(server, told, numbers)

    with ThreadPoolExecutor(32) as pool:
        for done in [pool.submit(client, number) for number in range(32)]:
            done.result()


def test_a_client_that_leaves_half_way_disturbs_nobody(server: Server) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    assert server.ask({"inputs": [base64_of(server.images[0])]})[0] == 200


def test_all_pictures_of_a_request_may_have_only_so_many_pixels(server: Server) -> None:
    large = BytesIO()
    Image.new("1", (7000, 7000)).save(large, "PNG")
    assert len(large.getvalue()) < 10_000, "small to send, large to decode"
    text = base64.b64encode(large.getvalue()).decode()
    began = time.monotonic()
    status, told = server.ask({"inputs": [text] * 5})
    assert (status, time.monotonic() - began < 1) == (413, True)
    assert told["message"] == "245,000,000 pixels; send at most 200,000,000 in one request, all pictures together"


def test_bodies_that_are_too_many_at_once_are_told_to_come_again(server: Server) -> None:
    service = app.Service(classifier.load(server.bundle), app.Limits(max_bytes=1000))
    sent = asyncio.Event()

    def request(*parts: bytes) -> Request:
        left = list(parts)

        async def receive() -> dict[str, Any]:
            if left:
                return {"type": "http.request", "body": left.pop(0), "more_body": True}
            await sent.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = [(b"content-type", b"image/png")]
        return Request({"type": "http", "method": "POST", "path": "/invocations", "headers": headers}, receive)

    async def scene() -> None:
        slow = [asyncio.create_task(service.invocations(request(b"x" * 1000))) for _ in range(app.HELD)]
        await asyncio.sleep(0.05)
        with pytest.raises(together.Overloaded):
            await service.invocations(request(b"x"))
        sent.set()
        for refused in await asyncio.gather(*slow, return_exceptions=True):
            assert isinstance(refused, UserError), "no pictures"
        answer = await service.invocations(request(png(server.images[0])))
        assert answer.status_code == 200, "and there is room again"

    asyncio.run(scene())


def test_requests_that_come_while_the_model_is_busy_are_asked_together() -> None:
    free, calls = threading.Event(), []

    def answer(images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        free.wait(10)
        return images.reshape(len(images), -1).astype(np.float32)

    async def scene() -> None:
        model = together.Together(answer, most=8, waiting=20)
        sent = [np.full((size, 1, 1, 1), i, np.uint8) for i, size in enumerate((1, 3, 4, 2, 2))]
        asked = [asyncio.create_task(model.ask(sent[0]))]
        await asyncio.sleep(0.1)
        asked += [asyncio.create_task(model.ask(images)) for images in sent[1:]]
        await asyncio.sleep(0)
        with pytest.raises(together.Overloaded):
            await model.ask(np.zeros((10, 1, 1, 1), np.uint8))
        asked[2].cancel()
        free.set()
        for i, task in enumerate(asked):
            if i != 2:
                np.testing.assert_array_equal(await task, sent[i].reshape(-1, 1))

    asyncio.run(scene())
    assert calls == [1, 7, 4], "the first alone and at once, the others as they fit into eight"


def test_a_failing_model_fails_those_that_it_was_asked_for_and_goes_on() -> None:
    def answer(images: np.ndarray) -> np.ndarray:
        if images.max() > 9:
            raise ValueError("too bright")
        return np.zeros((len(images), 2), np.float32)

    async def scene() -> None:
        model = together.Together(answer, waiting=20)
        with pytest.raises(ValueError, match="too bright"):
            await model.ask(np.full((1, 1, 1, 1), 99, np.uint8))
        assert (await model.ask(np.zeros((3, 1, 1, 1), np.uint8))).shape == (3, 2)

    asyncio.run(scene())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_told_to_and_says_nothing(server: Server, number: int) -> None:
    process, port = start(server.bundle.folder)
    idle = socket.create_connection(("127.0.0.1", port))
    began = time.monotonic()
    os.kill(process.pid, number)
    out, complaint = process.communicate(timeout=20)
    assert (process.returncode, out, complaint) == (0, "", "")
    assert time.monotonic() - began < 8
    idle.close()


def test_a_port_that_is_taken_and_a_folder_that_is_none_end_with_2(server: Server, tmp_path: Path) -> None:
    for arguments, told in (
        ([str(server.bundle.folder), "--port", str(server.port)], f"--port {server.port}: taken"),
        ([str(server.bundle.folder), "--port", "99999"], "0 to 65535"),
        ([str(tmp_path)], "is not a bundle"),
        ([str(server.bundle.folder), "--threads", "100000"], "--threads 100000: this machine has"),
    ):
        command = [sys.executable, "-m", "neocog.cli", "serve", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert told in ended.stderr and "Traceback" not in ended.stderr
