"""Open a bundle without torch: its card, its ONNX graph, its digest. Everything downstream of training starts here."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog.bundle.session import session
from neocog.core import image_size, integrity
from neocog.core.errors import UserError
from neocog.core.image_size import Size

if TYPE_CHECKING:
    import onnxruntime

FORMAT = 1
GRAPH, WEIGHTS, CARD = "model.onnx", "weights.safetensors", "bundle.json"
KINDS = ("trained", "tuned", "compressed")
NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
)  # of a model: it names folders, stages and runs, and must mean nothing to a shell
STAGES = {"trained": "train", "tuned": "tune", "compressed": "compress"}  # which stage makes a bundle of a kind
SEEDS = "seeds"  # the folder in a bundle of what was trained with further seeds: for each a bundle of its own, named by the seed


@dataclass(frozen=True)
class Bundle:
    """A model as it is shipped. `card` is the whole bundle.json; the other fields are its most used entries."""

    folder: Path
    kind: str
    name: str
    architecture: str
    task: str
    classes: tuple[str, ...]
    channels: int
    size: Size
    card: dict[str, Any]

    @property
    def model(self) -> str:
        """`<kind>/<name>`, as in the leaderboard: trained/resnet."""
        return f"{self.kind}/{self.name}"

    def session(self, *, threads: int = 0) -> "onnxruntime.InferenceSession":
        """The graph in ONNX Runtime on the CPU: `images` uint8 [N, H, W, C] -> the outputs [N, ...] that `tasks/<task>/decode.py` names.

        `threads` 0 lets the runtime choose. Raises UserError when the file is damaged.
        """
        path = self.folder / GRAPH
        try:
            running = session(path, threads=threads)
        except Exception as error:  # the runtime's own have no ancestor in common
            raise damaged(path, type(error).__name__) from error
        self.check(GRAPH)
        return running

    @property
    def normalization(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation by channel in the pixel scale 0..1: of its data, or of its first weights."""
        preprocessing = self.card.get("preprocessing", {})
        return (preprocessing["mean"], preprocessing["std"]) if "mean" in preprocessing else None

    def check(self, name: str) -> None:
        """Raise UserError when the file `name` is not the one whose SHA-256 is in bundle.json."""
        if integrity.changed(self.folder, self.card.get("sha256", {}), name):
            remedy = integrity.REPAIR.format(stage=f"{STAGES[self.kind]}@{self.name}")
            raise UserError(f"{self.folder / name} is damaged: its SHA-256 is not the one in {CARD}; {remedy}")


def read(folder: Path | str) -> Bundle:
    """The bundle in `folder`. Raises UserError when files are missing, the card is damaged or was written by a newer neocog."""
    folder = Path(folder)
    missing = [name for name in (GRAPH, WEIGHTS, CARD) if not _is_file(folder / name)]
    if missing:
        raise UserError(f"{folder} is not a bundle: {', '.join(missing)} missing; `dvc repro` makes it")
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if card["format"] <= FORMAT:
            _check_names(folder / CARD, card)
            return _bundle(folder, card)
    except UserError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise damaged(folder / CARD, repr(error)[:120]) from error
    raise UserError(f"{folder / CARD}: format {card['format']} is newer than {FORMAT}, update neocog to read it")


def damaged(path: Path, why: str) -> UserError:
    """What to raise for a file of a bundle that is not what was written."""
    return UserError(f"{path} is damaged ({why}); train the model again or restore it with `dvc pull`")


def _check_names(path: Path, card: dict[str, Any]) -> None:
    """Refuse what `write` never wrote, before it names a folder, a stage or a run."""
    if card["kind"] not in KINDS:
        raise UserError(
            f"{path}: kind (={card['kind']!r}) is none of {', '.join(KINDS)}; use a bundle that neocog wrote"
        )
    for field in ("name", "architecture"):
        if not isinstance(card[field], str) or not NAME.fullmatch(card[field]):
            raise UserError(
                f"{path}: {field} (={card[field]!r}) may hold letters, digits, - and _, at most 100; use a bundle that neocog wrote"
            )


def _bundle(folder: Path, card: dict[str, Any]) -> Bundle:
    if not 0 < (temperature := card.get("temperature", 1.0)) < float("inf"):
        raise ValueError(f"temperature {temperature}")
    return Bundle(
        folder=folder,
        kind=card["kind"],
        name=card["name"],
        architecture=card["architecture"],
        task=card["task"],
        classes=tuple(card["classes"]),
        channels=card["input"]["channels"],
        size=image_size.pair(card["input"]["size"]),
        card=card,
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False


def digest(folder: Path | str) -> str:
    """SHA-256 over the names and bytes of the bundle's three files: what links a bundle to its MLflow run."""
    total = hashlib.sha256()
    for name in (GRAPH, WEIGHTS, CARD):
        total.update(name.encode() + hashlib.sha256((Path(folder) / name).read_bytes()).digest())
    return total.hexdigest()
