"""`neocog serve`: real requests to a real server, right answers for what is right and one sentence for what is wrong."""

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tiny
from PIL import Image
from servers import Server, assert_answers, base64_of, png, start
from starlette.requests import Request

from neocog.bundle.read import digest
from neocog.core.errors import UserError
from neocog.serving import app, batching, predictor
from neocog.serving.budget import Overloaded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("serve")
    data = tiny.digits(root / "prepared")
    bundle = tiny.train(root, data, "mlp", architecture="mlp", hidden=32, epochs=2)
    process, port = start(bundle.folder)
    yield Server(process, port, bundle, np.ascontiguousarray(data.split("test").images[:64]))
    process.terminate()
    assert process.wait(timeout=20) == 0


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


def test_wrong_paths_and_methods_say_what_there_is(server: Server) -> None:
    assert server.ask(b"", path="/predict", method="GET")[0] == 404
    status, told = server.ask(b"", method="GET")
    assert status == 405 and "POST" in told["message"]


def test_many_clients_at_once_each_get_their_own_answers(server: Server) -> None:
    def client(number: int) -> None:
        for step in range(4):
            numbers = [(number + step) % 64, (number * 7 + step) % 64]
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
    service = app.Service(predictor.load(server.bundle), app.Limits(max_bytes=1000))
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
        with pytest.raises(Overloaded):
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
        model = batching.Batcher(answer, batch=8, waiting=20)
        sent = [np.full((size, 1, 1, 1), i, np.uint8) for i, size in enumerate((1, 3, 4, 2, 2))]
        asked = [asyncio.create_task(model.predict(sent[0]))]
        await asyncio.sleep(0.1)
        asked += [asyncio.create_task(model.predict(images)) for images in sent[1:]]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await model.predict(np.zeros((10, 1, 1, 1), np.uint8))
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
        model = batching.Batcher(answer, waiting=20)
        with pytest.raises(ValueError, match="too bright"):
            await model.predict(np.full((1, 1, 1, 1), 99, np.uint8))
        assert (await model.predict(np.zeros((3, 1, 1, 1), np.uint8))).shape == (3, 2)

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


@pytest.mark.parametrize("options", [[], ["--host", "0.0.0.0"]], ids=["by default", "asked to"])
def test_it_listens_beyond_this_machine_only_when_asked_and_says_so(server: Server, options: list[str]) -> None:
    command = [sys.executable, "-m", "neocog.cli.main", "serve", str(server.bundle.folder), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "answers on" in process.stdout.readline()
    addresses = {each.laddr.ip for each in psutil.Process(process.pid).net_connections() if each.status == "LISTEN"}
    process.terminate()
    warning = process.communicate(timeout=20)[1]
    assert addresses == {"0.0.0.0" if options else "127.0.0.1"}
    assert ("can be reached from other machines" in warning) == bool(options)


def test_a_port_that_is_taken_and_a_folder_that_is_none_end_with_2(server: Server, tmp_path: Path) -> None:
    for arguments, told in (
        ([str(server.bundle.folder), "--port", str(server.port)], f"--port {server.port}: taken"),
        ([str(server.bundle.folder), "--port", "99999"], "0 to 65535"),
        ([str(tmp_path)], "is not a bundle"),
        ([str(server.bundle.folder), "--threads", "100000"], "--threads 100000: this machine has"),
    ):
        command = [sys.executable, "-m", "neocog.cli.main", "serve", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert told in ended.stderr and "Traceback" not in ended.stderr
