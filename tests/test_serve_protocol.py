"""What `neocog serve` accepts, in every spelling of ordinary clients, and the sentence for all else."""

import base64
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import tiny
from mlflow.exceptions import MlflowException
from PIL import Image
from servers import Server, assert_answers, base64_of, png, start

from neocog.serving import pyfunc

MAX_BYTES, MAX_IMAGES = 200_000, 64


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("serve")
    data = tiny.digits(root / "prepared")
    bundle = tiny.train(root, data, "mlp", architecture="mlp", hidden=32, epochs=2)
    process, port = start(bundle.folder, "--max-bytes", str(MAX_BYTES), "--max-images", str(MAX_IMAGES))
    yield Server(process, port, bundle, np.ascontiguousarray(data.split("test").images[:64]))
    process.terminate()
    assert process.wait(timeout=20) == 0


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
    "deep": (400, "not JSON", b'{"inputs": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "application/json"),
    "nested": (400, "more than 3 levels", b'{"inputs": ' + b"[" * 600 + b"]" * 600 + b"}", "application/json"),
    "grows": (413, "when it is parsed", b'{"inputs": [' + b"[]," * 60_000 + b"0]}", "application/json"),
    "padded": (400, "shape [501]", {"inputs": [["x" * 100_000] + [""] * 500]}, "application/json"),
    "surrogate": (400, "\\ud800", {"dataframe_split": {"columns": ["\ud800"], "data": []}}, "application/json"),
    "surrogate key": (400, "\\ud800", {"inputs": ["x"], "\ud800": 1}, "application/json"),
    "huge": (
        400,
        "from 0 to 1e+09",
        {"inputs": [(PIXELS + 10**400 * np.eye(8, dtype=object)[..., None]).tolist()]},
        "application/json",
    ),
    "true": (400, "no whole numbers", {"inputs": [(PIXELS == 0).tolist()]}, "application/json"),
    "images": (413, "65 images; send at most 64", {"inputs": ["x"] * 65}, "application/json"),
    "bytes": (413, "more than 200,000 bytes", b" " * 1_000_000, "application/json"),
    "kind": (415, "text/csv", b"image\nx", "text/csv"),
    "charset": (415, "UTF-8", b"{}", "application/json; charset=latin-1"),
    "no charset": (415, "charset 'x'", b"{}", "application/json; charset=x"),
}


def lines(text: str) -> str:
    return "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76)) + "\r\n"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "lines": lambda text: lines(text).replace("\r", ""),
    "CR LF": lines,
    "spaces": lambda text: f"  {text[:9]} {text[9:]}\t",
    "URL-safe": lambda text: text.replace("+", "-").replace("/", "_"),
    "no padding": lambda text: text.rstrip("="),
    "URL": lambda text: f"data:image/png;base64,{text}",
    "URL in lines": lambda text: f"DATA:image/png;charset=utf-8;base64,{lines(text)}",
    "URL, quoted": lambda text: f"data:image/png;base64,{quote(lines(text), safe='')}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_base64_may_be_written_as_ordinary_clients_do(server: Server, spelling: str) -> None:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 41), np.uint8)).save(file, "PNG")
    plain = base64.b64encode(file.getvalue()).decode()
    assert "+" in plain and "/" in plain and plain.endswith("="), "whatever a spelling changes is there"
    written = SPELLINGS[spelling](plain)
    assert written != plain
    answer = server.ask({"inputs": [plain]})
    assert answer[0] == 200 and server.ask({"inputs": [written]}) == answer
    assert server.ask({"inputs": [written.replace("A", "*", 1)]})[0] == 400, "what is no base64 stays none"


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"', "utf_8", "us-ascii"])
def test_utf8_may_be_spelt_in_any_way(server: Server, charset: str) -> None:
    body = {"inputs": [base64_of(server.images[0])]}
    assert server.ask(body, kind=f"Application/JSON;charset={charset}; version=1")[0] == 200


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_answered_with_one_sentence(server: Server, what: str) -> None:
    status, sentence, body, kind = WRONG[what]
    found, told = server.ask(body, kind=kind)
    assert (found, set(told)) == (status, {"error_code", "message"})
    assert sentence in told["message"]
    assert "Traceback" not in told["message"] and "\n" not in told["message"]
    assert server.ask({"inputs": [base64_of(server.images[0])]})[0] == 200, "and the server goes on"


def test_mlflows_server_bounds_the_pixels_of_a_request_too(server: Server) -> None:
    large = BytesIO()
    Image.new("1", (7000, 7000)).save(large, "PNG")
    text = base64.b64encode(large.getvalue()).decode()
    model = pyfunc.Model(server.bundle.folder)
    with pytest.raises(MlflowException, match="245,000,000 pixels; send at most 200,000,000 in one request"):
        model.predict({"image": [text] * 5})
    assert len(model.predict({"image": [SPELLINGS["URL in lines"](base64_of(server.images[0]))]})) == 1
