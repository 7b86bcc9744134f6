"""Malformed HTTP requests from a seed: broken, mistyped, nested, huge, cut, mislabelled, and pictures that grow."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO

import numpy as np
from bombs import tiled_tiff
from PIL import Image

from neocog.data.decoding.formats import READ

KEYS = ("inputs", "instances", "dataframe_split", "dataframe_records")
ODD = [
    "",
    *["\ud800"] * 4,
    "\x1b[2J",
    "\u202e",
    "a" * 5000,
    "../../etc/passwd",
    "$(id)",
    "\0",
    "é",
    "\U0001f600",
    "'; --",
]
NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-0",
    "9" * 4000,
    "9" * 5000,
    "1e-400",
    "-1",
    "256",
    "0.5",
    "01",
    "0x1",
]

START = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CONTENT_TYPES = ["", "text/csv", "image/", "x" * 3000, "application/json;;;="]
CONTENT_TYPES += ["application/json; charset=\x00", "application/json; charset=utf-16"]
HEADERS = [
    b"X" * 70_000 + b": 1\r\n",
    b"A: b\r\n" * 3000,
    b"\xff: 1\r\n",
    b"A : 1\r\n",
    b" folded\r\n",
    b"A:\r\n b\r\n",
    b"A: \0\r\n",
]
HEADERS += [b"Content-Length: 5\r\n", b"Transfer-Encoding: gzip\r\n", b"Expect: 200-ok\r\n", b"Host: [\r\n"]
HEADERS += [b"Upgrade: websocket\r\nConnection: upgrade\r\n"]
METHODS = [b"POST", b"GET", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"P\x00ST", b"X" * 100]
PATHS = [
    b"/invocations",
    b"/invocations/",
    b"/",
    b"*",
    b"//",
    b"/%00",
    b"/%ff%fe",
    b"/../..",
    b"/health?x=%",
    b"/version#",
]
PATHS += [b"/" + b"a" * 9000, b"http://[/x", b"/\xff"]
LENGTHS = [b"0", b"3", b"-1", b"x", b"99999999", b"9" * 30, b"1_0", b"+5", b" ", b"5, 5", b"5, 6"]
CHUNKS = [
    b"zz\r\nabc\r\n",
    b"-1\r\n\r\n",
    b"fffffffffffffffff\r\nab",
    b"5\r\nab\r\n0\r\n\r\n",
    b"2\r\nabcd\r\n0\r\n\r\n",
]
CHUNKS += [b"2;" + b"x" * 9000 + b"\r\nab\r\n0\r\n\r\n", b"2\r\nab\r\n0\r\nTrailer: \xff\r\n\r\n", b"0\r\n\r\n"]
CHUNKS += [b"1\r\n{\r\n" * 2000 + b"0\r\n\r\n"]
SIZES = [(0, 0), (2500, 2500), (7000, 7000), (20_000, 20_000), (60_000, 60_000), (1, 60_000)]


def requests(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` pairs of kind and bytes to send, each kind about as often."""
    draw = random.Random(seed)
    kinds: dict[str, Callable[[random.Random], bytes]] = {
        "broken JSON": lambda d: post(_spoilt(d, _good())),
        "wrong types": lambda d: post(json.dumps({d.choice(KEYS): _value(d, 4)}).encode()),
        "data frames": lambda d: post(json.dumps({d.choice(KEYS[2:]): _frame(d)}).encode()),
        "nesting": _nested,
        "numbers": lambda d: post(f'{{"inputs": [[[{d.choice(NUMBERS)}{", 0" * d.choice([0, 63])}]]]}}'.encode()),
        "texts": lambda d: post(json.dumps({d.choice(KEYS): d.choice(ODD), d.choice(ODD): [d.choice(ODD)]}).encode()),
        "grows": _growing,
        "headers": _headers,
        "request lines": _line,
        "lengths": _length,
        "chunks": _chunks,
        "pictures": lambda d: post(_spoilt(d, _picture(d.choice(READ))), kind="image/png"),
        "bombs": lambda d: post(_bomb(*d.choice(SIZES)), kind="image/png"),
        "base64": lambda d: post(
            json.dumps({"inputs": [_spoilt(d, base64.b64encode(_picture("PNG"))).decode("latin-1")]}).encode()
        ),
        "garbage": lambda d: (
            d.choice([b"", b"\x16\x03\x01\x02", b"PRI * HTTP/2.0\r\n\r\n"])
            + d.randbytes(d.choice([9, 900]))
            + b"\r\n\r\n"
        ),
    }
    names = list(kinds)
    for number in range(count):
        kind = names[number % len(names)]
        yield kind, kinds[kind](draw)


def post(body: bytes, *, kind: str = "application/json", headers: bytes = b"") -> bytes:
    """A request that is right as HTTP."""
    return b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        kind.encode(),
        len(body),
        headers,
        body,
    )


@cache
def _picture(form: str) -> bytes:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 41, 3), np.uint8)).save(file, form)
    return file.getvalue()


@cache
def _bomb(width: int, height: int) -> bytes:
    """A few kilobytes that decode to gigabytes, or say so."""
    if not width:
        return tiled_tiff(side=16, tile=16_384)
    file = BytesIO()
    Image.new("1", (width, min(height, 7000))).save(file, "PNG")
    content = bytearray(file.getvalue())
    content[20:24] = height.to_bytes(4, "big")
    return bytes(content)


@cache
def _good() -> bytes:
    return json.dumps(
        {"inputs": [base64.b64encode(_picture("PNG")).decode(), np.zeros((8, 8, 1), int).tolist()]}
    ).encode()


def _spoilt(draw: random.Random, content: bytes) -> bytes:
    spoilt = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(spoilt))
        match draw.randrange(4):
            case 0:
                spoilt[at] = draw.randrange(256)
            case 1:
                del spoilt[at : at + draw.randint(1, 50)]
            case 2:
                spoilt[at:at] = draw.choice([b'"', b"[", b"{", b"]", b",", b"\\u", b"\xff", b"\0", draw.randbytes(9)])
            case _:
                del spoilt[max(at, 9) :]
        if not spoilt:
            return b" "
    return bytes(spoilt)


def _value(draw: random.Random, depth: int) -> object:
    leaves = [None, True, False, 0, -1, 10**30, 0.5, float("nan"), *ODD, base64.b64encode(_picture("GIF")).decode()]
    match draw.randrange(3) if depth else 2:
        case 0:
            return [_value(draw, depth - 1) for _ in range(draw.randrange(5))]
        case 1:
            return {draw.choice([*ODD, "image"]): _value(draw, depth - 1) for _ in range(draw.randrange(4))}
        case _:
            return draw.choice(leaves)


def _frame(draw: random.Random) -> object:
    columns = draw.choice(
        [["image"], ["image", "image"], [], ["\ud800"], "\ud800image", None, [["image"]], {"image": 0}]
    )
    return draw.choice(
        [{"columns": columns, "data": _value(draw, 3)}, [{"image": _value(draw, 3)}], {"data": [[_value(draw, 2)]]}]
    )


def _nested(draw: random.Random) -> bytes:
    depth = draw.choice([5, 300, 900, 990, 5000, 100_000])
    opened, closed = draw.choice([(b"[", b"]"), (b'{"image":', b"}"), (b'{"inputs":', b"}")])
    where = draw.choice(
        [b'{"inputs":%s}', b'{"dataframe_split":{"columns":%s,"data":[]}}', b"%s", b'{"instances":[%s]}']
    )
    return post(where % (opened * depth + b"0" + closed * depth))


def _growing(draw: random.Random) -> bytes:
    size = draw.choice([1000, 1_000_000])
    part = draw.choice([b"[],", b"{},", b"[0],", b"1e1,", b'"ab",', b'"",', b'{"a":0},'])
    many = part * (size // len(part))
    padded = b'"' + b"a" * size + b'",' + b'"",' * 500
    return post(draw.choice([b'{"inputs":[%s0]}', b'{"inputs":[[%s0]]}']) % draw.choice([many, padded]))


def _headers(draw: random.Random) -> bytes:
    return post(_good(), kind=draw.choice(CONTENT_TYPES), headers=draw.choice(HEADERS))


def _line(draw: random.Random) -> bytes:
    version = draw.choice([b"1.1", b"1.0", b"0.9", b"2.0", b"9"])
    host = draw.choice([b"x", b"[", b"", b"\xff"])
    return b"%s %s HTTP/%s\r\nHost: %s\r\n\r\n" % (draw.choice(METHODS), draw.choice(PATHS), version, host)


def _length(draw: random.Random) -> bytes:
    return START + b"Content-Length: %s\r\n\r\n%s" % (draw.choice(LENGTHS), _good())


def _chunks(draw: random.Random) -> bytes:
    return START + b"Transfer-Encoding: chunked\r\n\r\n" + draw.choice(CHUNKS)
