"""How fast a bundle answers over HTTP: `neocog serve` beside `mlflow models serve`, each answer held against the bundle's own.

    python -m benchmarks.serving                         # trained/resnet, 600 requests of each kind: five minutes
    python -m benchmarks.serving models/trained/resnet --requests 300

Both serve the same registered model in one run, in turns. A request is one test image, as base64 PNG or as an array; 1, 8 and 32 clients
each send the next one when the last is answered, over a connection that stays. Clients and server share the machine's cores.
"""

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import _tiny, parser
from neocog.bundle import read
from neocog.data import prepared
from neocog.registry.register import register
from neocog.serving import predictor

CLIENTS = (1, 8, 32)
ROUNDS = 3
IMAGES = 64
MODEL = "models:/neocog@champion"
COMMANDS = {
    "neocog serve": ["neocog", "serve", MODEL, "--port"],
    "mlflow models serve": ["mlflow", "models", "serve", "-m", MODEL, "--env-manager", "local", "-p"],
}


class Load:
    """What to ask, and what the answer must be."""

    def __init__(self, bundle: read.Bundle, images: np.ndarray) -> None:
        own = predictor.load(bundle, threads=1)
        self.expected = own.answers(own.predictions(images))
        pictures = [{"inputs": [_base64(image)]} for image in images]
        arrays = [{"inputs": [image.tolist()]} for image in images]
        self.bodies = {
            "base64 PNG": [json.dumps(body).encode() for body in pictures],
            "array": [json.dumps(body).encode() for body in arrays],
        }

    def is_right(self, number: int, status: int, answer: bytes) -> bool:
        """Whether the answer is the bundle's own: the class, and every probability to 1e-5."""
        if status != 200:
            return False
        [told] = json.loads(answer)["predictions"]
        own = self.expected[number]
        near = all(abs(told["probabilities"][name] - p) < 1e-5 for name, p in own["probabilities"].items())
        return near and told["class"] == own["class"]


def measure(load: Load, form: str, *, port: int, clients: int, requests: int) -> tuple[list[float], float, int, int]:
    """(ms of each request, s in all, wrong answers, connections lost) of `clients` that send `requests` between them."""
    took: list[float] = []
    lost: list[int] = []
    answers: list[tuple[int, int, bytes]] = []

    def client(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for i in range(first, requests, clients):
            number = i % IMAGES
            start = time.perf_counter()
            try:
                status, content = _ask(connection, load.bodies[form][number])
            except (ConnectionError, http.client.HTTPException):  # closed meanwhile: once more, as every client does
                connection.close()
                lost.append(i)
                status, content = _ask(connection, load.bodies[form][number])
            took.append(1000 * (time.perf_counter() - start))
            answers.append((number, status, content))
        connection.close()

    threads = [threading.Thread(target=client, args=[i]) for i in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    assert len(answers) == requests, f"{requests - len(answers)} requests got no answer"
    return took, seconds, sum(not load.is_right(*answer) for answer in answers), len(lost)


@contextlib.contextmanager
def served(name: str, store: str) -> Iterator[tuple[int, float]]:
    """The server of that name; gives its port and the seconds from its start to its first sign of life."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"MLFLOW_TRACKING_URI": store}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    start = time.perf_counter()
    process = subprocess.Popen(
        [*COMMANDS[name], str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while True:
            assert process.poll() is None and time.perf_counter() - start < 120, f"{name} does not start"
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/ping")
                if connection.getresponse().status == 200:
                    break
            time.sleep(0.05)
        yield port, time.perf_counter() - start
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; ends with 1 when an answer was wrong."""
    options = parser("serving", __doc__)
    options.add_argument(
        "bundle", nargs="?", type=Path, default=Path("models/trained/resnet"), help="default: %(default)s"
    )
    options.add_argument("--requests", type=int, default=600, help="of each kind (default: %(default)s)")
    asked = options.parse_args(arguments)
    requests, rounds_of, clients_of = (4, 1, (2,)) if asked.tiny else (asked.requests, ROUNDS, CLIENTS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server is left behind
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        data = _tiny.digits(Path(temporary)) if asked.tiny else prepared.read()
        bundle = _tiny.lenet(Path(temporary), data) if asked.tiny else read.read(asked.bundle.resolve())
        load = Load(bundle, np.ascontiguousarray(data.split("test").images[:IMAGES]))
        stack.enter_context(contextlib.chdir(temporary))
        store = f"sqlite:///{temporary}/mlflow.db"
        os.environ["MLFLOW_TRACKING_URI"] = store
        register(bundle, name="neocog", experiment="benchmark")
        ports: dict[str, int] = {}
        for name in COMMANDS:
            ports[name], seconds = stack.enter_context(served(name, store))
            print(f"{name}: answers {seconds:.1f} s after its start", flush=True)
        print("\n| a request | clients | server | p50, ms | p95, ms | p99, ms | images/s | wrong | lost connections |")
        print("|---|--:|---|--:|--:|--:|--:|--:|--:|")
        for form in load.bodies:
            for clients in clients_of:
                found: dict[str, list[tuple[list[float], float, int, int]]] = {name: [] for name in COMMANDS}
                for name in [*COMMANDS] * (rounds_of + 1):
                    found[name].append(measure(load, form, port=ports[name], clients=clients, requests=requests))
                for name, rounds in found.items():
                    took = np.concatenate([each for each, *_ in rounds[1:]])  # the first warms up
                    p50, p95, p99 = np.percentile(took, [50, 95, 99])
                    rate = requests * rounds_of / sum(seconds for _, seconds, *_ in rounds[1:])
                    bad, lost = sum(each for *_, each, _ in rounds), sum(each for *_, each in rounds)
                    wrong += bad
                    print(
                        f"| {form} | {clients} | {name} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {rate:,.0f} | {bad} | {lost} |",
                        flush=True,
                    )
    sys.exit(bool(wrong))


def _ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def _base64(image: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main()
