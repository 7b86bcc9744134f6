"""Where runs are sent, and what of that may be written down: a place is a tracking URI without its credentials."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

DEFAULT = "sqlite:///mlflow.db"
_CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_IN_URL = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
_IN_QUERY = re.compile(r"(?<=[?&])((?:ssl)?password|passwd|pwd|token|secret)=[^&\s\"'<>]*", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"(^|_)(PASS|PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|CREDENTIALS?|PAT|DSN|API_?KEY|ACCESS_KEY|PRIVATE_KEY)(_|$)|_KEY$",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6  # characters: a shorter value cannot be told from ordinary text


def home() -> Path:
    """Where journals and the default store are: this folder, or the project of which DVC runs a temporary copy here."""
    here, project = Path.cwd(), Path(os.environ.get("DVC_ROOT", "/")).resolve()
    return project if here.is_relative_to(project / ".dvc" / "tmp") else here


def configured() -> str:
    """The tracking URI of this process, credentials included: keep it in memory, show and store `place` of it."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip() or DEFAULT


def place(uri: str) -> str:
    """`uri` without user, password, query and fragment."""
    _, bare = _split(uri)
    return re.split(r"[?#]", bare, maxsplit=1)[0]


def sqlite(path: Path) -> str:
    """The URI of a database: relative to this folder where the whole path holds a ?, which would begin a query."""
    return f"sqlite:///{os.path.relpath(path) if '?' in str(path) else path}"


def resolve(stored: str) -> tuple[str, dict[str, str]]:
    """The URI to hand to MLflow for a `stored` place, and the environment variables that carry its credentials.

    The credentials in the environment belong to the URI in the environment: any other place is addressed without them.
    """
    uri = configured()
    if place(uri) != stored:
        return stored, dict.fromkeys(_CREDENTIALS, "")
    user, bare = _split(uri)
    if not user or not uri.startswith("http"):
        return uri, {}
    name, _, password = user.partition(":")
    return bare, {"MLFLOW_TRACKING_USERNAME": unquote(name), "MLFLOW_TRACKING_PASSWORD": unquote(password)}


def scrub(value: object) -> object:
    """`value` (text, or mappings and lists of it) with known secrets and the credentials in URLs replaced by ***."""
    return _scrub(value, _secrets())


def _scrub(value: object, secrets: list[str]) -> object:
    if isinstance(value, dict):
        return {str(_scrub(str(key), secrets)): _scrub(inner, secrets) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrub(inner, secrets) for inner in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    for secret in secrets:
        text = text.replace(secret, "***")
    return _IN_QUERY.sub(r"\1=***", _IN_URL.sub("***@", text))


def _secrets() -> list[str]:
    found = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    user, _ = _split(configured())
    password = user.partition(":")[2]
    found |= {user, password, unquote(password)}
    return sorted((secret for secret in found if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)


def _split(uri: str) -> tuple[str, str]:
    """(user:password, the URI without them). A file's path may hold an @, so sqlite and file URIs have no user."""
    scheme, mark, rest = uri.partition("://")
    if not mark or rest.startswith("/"):
        return "", uri
    user, at, host = rest.rpartition("@")
    return user, scheme + mark + host if at else uri


def knock(where: str, *, seconds: float) -> None:
    """Raise OSError when nobody listens at an http(s) place: known long before mlflow is imported."""
    parts = urlsplit(where)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return
    import socket
    from urllib.request import getproxies, proxy_bypass

    if parts.scheme not in getproxies() or proxy_bypass(parts.hostname):
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), timeout=seconds).close()


def one_line(error: BaseException) -> str:
    """A failure in one short line, without secrets."""
    return str(scrub(" ".join(f"{type(error).__name__}: {error}".split())))[:400]
