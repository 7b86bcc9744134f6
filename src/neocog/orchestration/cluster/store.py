"""The store that the project and the nodes of a cluster both reach: a DVC remote or a shared DVC cache, addressed by MD5.

What a stage reads and writes travels through it, files that DVC does not cache included; those are named by nothing afterwards, and
`dvc gc --cloud` removes them. No credentials travel: what stands in .dvc/config.local stays there, and each node has its own.
"""

import os
import shutil
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.core.errors import NeocogError, UserError

NODE_FOLDER = "NEOCOG_NODE_FOLDER"  # environment variable of a node: where its cache and the folders of stages are
_MD5 = "md5"
_LOST = "{} cannot be copied from {} to {}; is the store complete, and can it be written?"


@dataclass(frozen=True)
class Content:
    """What is at `path`, relative to the project: `md5` is that of DVC, `executable` are the files in it that can be run."""

    path: str
    md5: str
    executable: tuple[str, ...] = ()


def settings(config: Mapping[str, Any], local: Mapping[str, Any]) -> dict[str, Any]:
    """Of DVC's `config`, what a node needs to reach the store, without what the file config.local says (`local`).

    Raises UserError where there is neither a default remote nor a shared cache.
    """
    name = config["core"].get("remote")
    if name:
        private = set(local.get("remote", {}).get(name, {})) - {"url"}
        return {key: value for key, value in config["remote"][name].items() if key not in private}
    if config["cache"].get("dir"):
        return {"url": config["cache"]["dir"]}
    raise UserError(
        "--ray needs a place that this project and the nodes both reach; name a DVC remote (`dvc remote add -d storage s3://bucket/name`, "
        "or a folder that all see), or a shared cache (`dvc cache dir /shared/cache`)"
    )


def opened(settings: Mapping[str, Any]) -> Any:
    """The object database of the store. Raises UserError when it is a folder that is not there."""
    from dvc.fs import get_cloud_fs
    from dvc_data.hashfile.db import get_odb

    kind, config, path = get_cloud_fs({}, **settings)
    files = kind(**config)
    if files.protocol == "local" and not Path(path).is_dir():
        raise UserError(
            f"{path}: this folder, the DVC remote or cache of the project, is not there on {os.uname().nodename}; "
            "mount it on every node, or use a remote that all reach"
        )
    config.pop("read_only", None)
    return get_odb(files, files.join(path, "files", _MD5), **(config | {"hash_name": _MD5}))


def local(folder: Path) -> Any:
    """The object database of a cache in `folder`, whose files are linked where they are used."""
    from dvc.fs import LocalFileSystem
    from dvc_data.hashfile.db import get_odb

    folder.mkdir(parents=True, exist_ok=True)
    return get_odb(
        LocalFileSystem(), str(folder / "files" / _MD5), hash_name=_MD5, type=["reflink", "hardlink", "copy"]
    )


def put(
    base: Path,
    path: str,
    store: Any,
    *,
    cache: Any = None,
    hashes: Any = None,
    ignore: Any = None,
    known: Container[str] = (),
) -> Content:
    """Copy the file or folder `path`, relative to `base`, into `store`; by way of a `cache`, into which its files are linked.

    hashes: an object database that knows MD5s of files (DVC's cache of a project); ignore: DVC's ignored files; known: MD5s that the store
    has, so that it need not be asked.
    """
    from dvc.fs import LocalFileSystem
    from dvc_data.hashfile.build import build

    source, _, found = build(cache or hashes or store, str(base / path), LocalFileSystem(), _MD5, ignore=ignore)
    if cache is not None:
        _transfer(source, cache, found.hash_info, link=True)
    if found.hash_info.value not in known:
        _transfer(source if cache is None else cache, store, found.hash_info)
    return Content(path, str(found.hash_info.value), executables(base / path))


def get(content: Content, store: Any, cache: Any, base: Path) -> None:
    """Fetch `content` from `store` into `cache` unless it is there, and place it below `base`."""
    from dvc.fs import LocalFileSystem
    from dvc_data.hashfile import load
    from dvc_data.hashfile.checkout import CheckoutError, checkout
    from dvc_data.hashfile.hash_info import HashInfo

    value, target = HashInfo(_MD5, content.md5), base / content.path
    target.parent.mkdir(parents=True, exist_ok=True)
    asked = not cache.exists(content.md5)
    if asked:
        _transfer(store, cache, value)
    try:
        checkout(str(target), LocalFileSystem(), load(cache, value), cache, force=True, quiet=True)
    except (CheckoutError, FileNotFoundError):  # the cache has the list of what is in a folder, and not all of that
        if asked:
            raise NeocogError(_LOST.format(content.md5, store.path, cache.path)) from None
        _transfer(store, cache, value)
        checkout(str(target), LocalFileSystem(), load(cache, value), cache, force=True, quiet=True)
    if value.isdir:
        target.mkdir(exist_ok=True)  # an empty one
    for each in content.executable:
        file = target / each
        part = file.with_name(f".{file.name}.part")
        shutil.copyfile(file, part)  # the cache's own file stays as it is
        part.chmod(0o755)
        part.replace(file)


def forget(content: Content, cache: Any, paths: Iterable[str]) -> None:
    """Remove from `cache` what was linked to those of `paths` that belong to `content`: it is no longer what its name says."""
    from dvc_data.hashfile import load
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    found = load(cache, HashInfo(_MD5, content.md5))
    values = {content.path: content.md5}
    if isinstance(found, Tree):
        values = {"/".join((content.path, *key)): value.value for key, (_, value) in found.iteritems()}
    if gone := {values[path] for path in paths if path in values}:
        for value in {content.md5, *gone}:
            with suppress(FileNotFoundError):
                cache.fs.remove(cache.oid_to_path(value))


def executables(path: Path) -> tuple[str, ...]:
    """The files at `path` that can be run, relative to it."""
    files = path.rglob("*") if path.is_dir() else [path]
    return tuple(sorted(str(file.relative_to(path)) for file in files if file.is_file() and os.access(file, os.X_OK)))


def _transfer(source: Any, target: Any, value: Any, *, link: bool = False) -> None:
    from dvc_data.hashfile.transfer import transfer

    if source == target:
        return
    try:
        failed = transfer(source, target, {value}, shallow=False, hardlink=link).failed
    except FileNotFoundError:
        failed = {value}
    if failed or not target.exists(value.value):
        raise NeocogError(_LOST.format(value.value, source.path, target.path))


def node_folder() -> Path:
    """Where this node keeps its cache and the folders of stages."""
    named, caches = os.environ.get(NODE_FOLDER), os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named) if named else Path(caches).expanduser() / "neocog" / "node"
