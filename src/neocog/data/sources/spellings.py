"""Class folders whose names differ in case, spaces or accents alone."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping

from neocog.core.errors import UserError


def check_spellings(folders: Mapping[str, str], *, what: str = "class folders") -> list[str]:
    """Compare class names (folder -> class, of all splits) by letter; return notes.

    Raises UserError for one name in two spellings. Classes of a single letter may differ in case, as letters do.
    """
    spelled: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for folder, name in folders.items():
        spelled[_folded(name)][name].append(folder)
    notes = []
    for names in spelled.values():
        same = next((found for found in names.values() if len({_parent(folder) for folder in found}) < len(found)), [])
        if same or (len(names) > 1 and not all(len(name) == 1 for name in names)):
            one, other = same[:2] or [found[0] for found in names.values()][:2]
            raise UserError(
                f"{what} {one!r} and {other!r} are one name in two spellings (case, spaces or accents); "
                "rename one of them, or move its images into the other"
            )
        if len(names) > 1:
            notes.append(f"classes {' and '.join(map(repr, sorted(names)))} differ in case alone")
    return notes


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split())


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0]
