"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): 70,000 gray pictures of clothes, 28 x 28, ten classes.

Its four files are looked for in four places, and believed only if their unpacked bytes are the known ones: mirrors
pack them differently, so the packed bytes say nothing.
"""

import gzip
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from neocog.core.errors import UserError
from neocog.core.image_size import Size
from neocog.data.sources.idx import parse_idx
from neocog.data.sources.source import Source, packed

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SHA256 = {  # of the unpacked files
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
_KEPT = ".fashion-mnist"
_PLACES = (_KEPT, "fashion-mnist", "FashionMNIST/raw")  # in data.root, where the files may lie
_LARGEST = 48_000_000  # bytes of the largest file, unpacked
_REACH = 4.0  # seconds for a server to answer at all, name look-up included


class WayClosedError(Exception):
    """Why one way to the files does not work."""


def fashion_mnist(root: Path, *, size: Size | None = None, channels: int | None = None) -> Source:
    """The 60,000 training and 10,000 test images; validation is carved out of the former. Raises UserError."""
    files = find(root)
    pixels, labels, given, paths = [], [], [], []
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, numbers = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        part = parse_idx(files[images], dimensions=3, name=images)
        pixels.append(part)
        labels.append(parse_idx(files[numbers], dimensions=1, name=numbers))
        given += [split] * len(part)
        paths += [f"{split}/{i}" for i in range(len(part))]
    return packed(
        "fashion_mnist",
        np.concatenate(pixels),
        np.concatenate(labels),
        classes=CLASSES,
        given=given,
        carved=("val",),
        paths=paths,
        digest=hashlib.sha256("".join(SHA256.values()).encode()).hexdigest(),
        size=size,
        channels=channels,
    )


def find(root: Path) -> dict[str, bytes]:
    """The four files, unpacked and checked, by the first way that works. Raises UserError naming every way tried.

    What is downloaded is kept in `root`/.fashion-mnist for the next time: hidden, so that `root` may hold your own
    images too.
    """
    ways: dict[str, Callable[[], dict[str, bytes]]] = {
        f"data.root (={str(root)!r})": lambda: _in_folders(root, *(root / place for place in _PLACES)),
        f"{DEBIAN} (Debian's package {PACKAGE})": lambda: _in_folders(DEBIAN),
        "torchvision's mirrors": lambda: _keep(root, _from_mirrors),
        f"apt-get download {PACKAGE}": lambda: _keep(root, _from_apt),
    }
    closed: list[str] = []
    for way, take in ways.items():
        if closed:
            print(f"fashion_mnist: trying {way}", file=sys.stderr, flush=True)
        try:
            return take()
        except WayClosedError as error:
            closed.append(f"  {way}: {error}")
    raise UserError(
        "data.source (='fashion_mnist'): its four files were not found. Tried:\n"
        + "\n".join(closed)
        + f"\nWays out: put {', '.join(f'{name}.gz' for name in SHA256)} into {root}; or install Debian's package "
        f"{PACKAGE}; or run again with a network; or set data.source: digits (needs no download), or "
        "data.source: folder with data.root naming your own images"
    )


def _in_folders(*folders: Path) -> dict[str, bytes]:
    """The four files, packed or not, from wherever in `folders` their right bytes lie."""
    found: dict[str, bytes] = {}
    wrong = []
    for name, sha256 in SHA256.items():
        for path in (folder / file for folder in folders for file in (f"{name}.gz", name)):
            if name in found or not path.is_file():
                continue
            try:
                found[name] = _checked(path, sha256)
            except WayClosedError as error:
                wrong.append(str(error))
                print(f"fashion_mnist: {error}; looking further", file=sys.stderr)
    missing = [name for name in SHA256 if name not in found]
    if missing:
        raise WayClosedError("; ".join(wrong) or ("not there" if not found else f"{', '.join(missing)} not there"))
    return found


def _checked(path: Path, sha256: str) -> bytes:
    try:
        with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else closing(raw) as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise WayClosedError(f"{path} cannot be read ({error})") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WayClosedError(f"{path} holds wrong bytes (sha256 of the unpacked file is not {sha256[:12]}...)")
    return content


def _keep(root: Path, fetch: Callable[[Path], Path]) -> dict[str, bytes]:
    """Fetch the files into a folder of their own inside `root`, check them, then move them to `root`/.fashion-mnist."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        _clear_away(root)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as folder:
            where = fetch(Path(folder))
            found = _in_folders(where)
            kept = root / _KEPT
            kept.mkdir(exist_ok=True)
            for name in SHA256:
                (where / f"{name}.gz").replace(kept / f"{name}.gz")
            return found
    except OSError as error:
        raise WayClosedError(f"{error}") from None


def _clear_away(root: Path) -> None:
    """Remove what killed runs left; what is younger than an hour may belong to a living one."""
    for old in root.glob(".fetch-*"):
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > 3600:
                shutil.rmtree(old, ignore_errors=True)


def _from_mirrors(folder: Path) -> Path:
    failed = []
    for mirror in _mirrors():
        try:
            for name in SHA256:
                url = f"{mirror}{name}.gz"
                _reach(url)
                with urllib.request.urlopen(url, timeout=_REACH) as answer, (folder / f"{name}.gz").open("wb") as out:
                    out.write(answer.read(_LARGEST))
            return folder
        except (OSError, ValueError, http.client.HTTPException) as error:
            failed.append(str(error))
    raise WayClosedError("; ".join(failed) or "torchvision names none")


def _mirrors() -> list[str]:
    from torchvision.datasets import FashionMNIST  # takes seconds: only when nothing lies on the disk

    return FashionMNIST.mirrors


def _reach(url: str) -> None:
    """Raise OSError unless the server answers in time. In a thread, since looking up a name knows no time-out."""
    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_REACH).close()
            outcome.append(None)
        except (OSError, ValueError, http.client.HTTPException) as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_REACH + 1)
    if not outcome:
        raise TimeoutError(f"no answer within {_REACH:g} s")
    if outcome[0] is not None:
        raise outcome[0]


def _from_apt(folder: Path) -> Path:
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise WayClosedError(f"{program} is not on this machine")
    folder = folder.resolve()
    options = ["-o", f"Acquire::http::Timeout={_REACH:g}", "-o", "Acquire::Retries=0"]
    try:
        _call(["apt-get", *options, "download", PACKAGE], folder)
    except (
        WayClosedError
    ):  # a machine whose lists of packages were never fetched: fetch them into a place of our own, without root
        for place in ("lists/partial", "cache/archives/partial"):
            (folder / place).mkdir(parents=True)
        options += ["-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
        options += ["-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"]
        _call(["apt-get", *options, "update"], folder)
        _call(["apt-get", *options, "download", PACKAGE], folder)
    archives = list(folder.glob("*.deb"))
    if not archives:
        raise WayClosedError("apt-get brought no package")
    _call(["dpkg-deb", "-x", str(archives[0]), str(folder / "unpacked")], folder)
    return folder / "unpacked" / DEBIAN.relative_to("/")


def _call(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired:
        raise WayClosedError(f"{command[0]} took more than 5 minutes") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
        raise WayClosedError(lines[0] if lines else f"{command[0]} ended with {done.returncode}")
