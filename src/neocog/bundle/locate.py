"""Locate a bundle by its name: a folder, or `models:/name@alias` in MLflow's registry."""

import re

from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core.errors import UserError

REGISTERED = "models:/"
NAMED = "a model's folder, such as models/trained/resnet, or models:/name@alias of MLflow's registry"  # for help texts
BUNDLE = "bundle"  # folder of it in a registered model
_NAMED = re.compile(
    r"models:/(?P<name>[^/@:]+)(?P<which>@[^/@:]+|/[0-9]{1,9})"
)  # what every database takes as a version


def find(where: str) -> Bundle:
    """The bundle in the folder `where`, or registered under it. Raises UserError."""
    if not where.startswith(REGISTERED):
        return read.read(where)
    found = _NAMED.fullmatch(where)
    if not found:
        raise UserError(
            f"{where}: name an alias, or a version of at most 9 digits, such as {REGISTERED}neocog@champion or {REGISTERED}neocog/3"
        )
    from neocog.tracking import registry

    model, digest = registry.fetch(found["name"], found["which"])
    folder = model / BUNDLE
    if not folder.is_dir():
        raise UserError(f"{where} holds no bundle; it was registered by other means than `neocog register`")
    bundle = read.read(folder)
    if read.digest(folder) != digest:
        raise UserError(
            f"{where}: {folder} was changed after it was registered; register the bundle again under another name"
        )
    return bundle
