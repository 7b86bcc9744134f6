"""A running `neocog serve`, and what to ask it."""

import base64
import http.client
import json
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neocog.bundle.read import Bundle
from neocog.serving import predictor


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
        return predictor.load(self.bundle).predictions(self.images[number : number + 1])[0]


def start(bundle: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "neocog.cli.main", "serve", str(bundle), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    greeting = process.stdout.readline()
    assert "answers on http://127.0.0.1:" in greeting, process.communicate()[1]
    return process, int(greeting.partition("http://127.0.0.1:")[2].partition(":")[0])


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
