"""The store of a sweep's trials: records and checkpoints that neither a killed worker nor a killed driver can lose.

    <storage>/007.json   all that the driver knows of trial 7; only the driver writes it, each time whole
    <storage>/007/       the working checkpoints of trial 7; only the worker that runs it writes there

The storage is a folder, or an address such as s3://bucket/sweeps that pyarrow can open.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pyarrow import fs

from neocog.training import checkpoint

Status = Literal["running", "finished", "stopped", "failed"]


@dataclass
class Trial:
    """One trial. `rows` is its history, one an epoch, of which the process named `driver` has reported the first `reported`.

    `values` were asked for, `effective` is what the optimizer really held.
    """

    number: int
    values: dict[str, Any]
    seed: int
    driver: str = ""
    reported: int = 0
    status: Status = "running"
    effective: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to run."""
        return self.status != "running"

    @property
    def name(self) -> str:
        """Its number in three digits: what files, runs and the table call it."""
        return f"{self.number:03d}"

    def score(self, metric: str) -> float:
        """`metric` after its last epoch, minus infinity before its first and for a failed trial."""
        return self.rows[-1][metric] if self.rows and self.status != "failed" else float("-inf")


class TrialStore:
    """A folder on this machine, on a shared disk, or in a store such as S3. `work` folders are always on this machine."""

    def __init__(self, address: str) -> None:
        self.files: fs.FileSystem = fs.LocalFileSystem()
        self.root = address
        if "://" in address:
            self.files, self.root = fs.FileSystem.from_uri(address)
        self.local = isinstance(self.files, fs.LocalFileSystem)

    def read(self, name: str) -> Trial | None:
        """Trial `name`, None where none was written."""
        content = self._get(f"{name}.json")
        return Trial(**json.loads(content)) if content else None

    def write(self, trial: Trial) -> None:
        """Keep `trial` as it is now."""
        self._put(f"{trial.name}.json", json.dumps(asdict(trial)).encode())

    def trials(self) -> Iterator[Trial]:
        """All trials that were written, by number."""
        for path in sorted(self._names("")):
            if path.endswith(".json") and (trial := self.read(path.removesuffix(".json"))):
                yield trial

    def work(self, name: str, *, here: Path) -> Path:
        """The folder of trial `name`'s working checkpoints: where they are kept, or a copy in `here` of what is kept far away."""
        if self.local:
            return Path(self.root) / name
        folder = here / name
        folder.mkdir(parents=True, exist_ok=True)
        for kept in self._names(name):
            if checkpoint.NAME.search(kept) and (content := self._get(f"{name}/{kept}")):
                checkpoint.write(folder / kept, content)
        return folder

    def keep(self, name: str, work: Path) -> None:
        """Keep the newest checkpoint in `work`, when it is not where it is kept already."""
        newest = None if self.local else checkpoint.latest(work)
        if newest is None:
            return
        self._put(f"{name}/{newest.name}", newest.read_bytes())
        for kept in self._names(name):
            if kept != newest.name:
                self.files.delete_file(f"{self.root}/{name}/{kept}")

    def remove(self, folder: str = "") -> None:
        """Remove `folder` of it, or everything."""
        path = f"{self.root}/{folder}".rstrip("/")
        if self.files.get_file_info(path).type == fs.FileType.Directory:
            self.files.delete_dir(path)

    def _names(self, folder: str) -> list[str]:
        selector = fs.FileSelector(f"{self.root}/{folder}".rstrip("/"), allow_not_found=True)
        return [info.base_name for info in self.files.get_file_info(selector) if info.is_file]

    def _get(self, name: str) -> bytes:
        try:
            with self.files.open_input_stream(f"{self.root}/{name}") as stream:
                return stream.read()
        except FileNotFoundError:
            return b""

    def _put(self, name: str, content: bytes) -> None:
        if self.local:
            checkpoint.write(Path(self.root) / name, content)
            return
        with self.files.open_output_stream(f"{self.root}/{name}") as stream:
            stream.write(content)
