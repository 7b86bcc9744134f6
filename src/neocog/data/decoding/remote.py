"""Files at an address, such as s3://bucket/train-000.tar, read by byte range through fsspec."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

from neocog.core.errors import NeocogError, UserError

EXTRAS = {
    "s3": "neocog[s3]",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
}  # what fsspec needs besides
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_BLOCK = 8 << 20  # bytes of a request
_MISSING = ("NoSuchBucket", "NoSuchKey", "bucket does not exist")
_DENIED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "Forbidden", "locate credentials")


@dataclass(frozen=True)
class RemoteFile:
    """A file as it was found; `version` is what tells that it was replaced (of S3 the ETag), where the service says one."""

    address: str
    size: int
    version: str


def is_address(text: object) -> bool:
    """Whether it is no path on this machine."""
    return isinstance(text, str) and bool(_ADDRESS.match(text))


def expanded(address: str) -> list[str]:
    """The addresses that one with `*` stands for, sorted; itself without. Raises UserError if there is none."""
    if "*" not in address:
        return [address]
    with _explained(address):
        files = _files(address)
        found = sorted(files.unstrip_protocol(path) for path in files.glob(address))
    if not found:
        raise UserError(f"{address}: no file is there; mend the address")
    return found


def stat(address: str) -> RemoteFile:
    """What the service says of a file."""
    with _explained(address):
        found = _files(address).info(address)
        return RemoteFile(address, int(found["size"]), str(found.get("ETag") or found.get("etag") or "").strip('"'))


def opened(address: str) -> BinaryIO:
    """A file to be read from its beginning on, a block of some megabytes at a time."""
    return io.BufferedReader(_Ranges(stat(address)), _BLOCK)


class _Ranges(io.RawIOBase):
    """A file of which each read is a request."""

    def __init__(self, file: RemoteFile) -> None:
        self.file, self.at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.file.size}[whence]
        return self.at

    def readinto(self, buffer: Any) -> int:
        content = read(self.file.address, self.at, min(self.file.size, self.at + len(buffer)))
        buffer[: len(content)] = content
        self.at += len(content)
        return len(content)


def read(address: str, start: int, stop: int) -> bytes:
    """The bytes from `start` to before `stop`; fewer where the file ends."""
    if stop <= start:
        return b""
    with _explained(address):
        return bytes(_files(address).cat_file(address, start=start, end=stop))


@contextmanager
def _explained(address: str) -> Iterator[None]:
    try:
        yield
    except NeocogError:
        raise
    except Exception as error:  # each service has errors of its own
        what = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, FileNotFoundError) or any(word in what for word in _MISSING):
            raise UserError(f"{address}: no such file or bucket ({what}); mend the address, or bring it back") from None
        if isinstance(error, PermissionError) or any(word in what for word in _DENIED):
            raise UserError(
                f"{address}: access is denied ({what}); check the credentials, such as AWS_ACCESS_KEY_ID"
            ) from None
        raise NeocogError(
            f"{address}: cannot be reached ({what}); when it can, run the same again, and it goes on where it stopped"
        ) from None


def _files(address: str) -> Any:
    return _opened(address.partition("://")[0].lower())


@cache
def _opened(scheme: str) -> Any:
    import fsspec

    try:
        return fsspec.filesystem(scheme)
    except ImportError as error:
        needed = EXTRAS.get(scheme, "the package it names")
        raise UserError(f"{scheme}://: {' '.join(str(error).split())}; run `pip install '{needed}'`") from None
    except ValueError as error:
        raise UserError(f"{scheme}://: {error}; write s3://, gs://, https://, ...") from None
