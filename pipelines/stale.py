"""Results of models that params.yaml no longer names leave reports/, or they would be read beside the new ones.

The stages that read the folders reports/trained, reports/tuned and reports/compressed as a whole (audit, explain,
report) each begin with it, so that DVC notes the folders as they are afterwards; `neocog repro` does it before them.
DVC's run cache keeps what leaves: name a model again, and its stages are not run again.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from neocog.bundle.read import KINDS
from neocog.tasks.task import COUNTS, CURVES, TABLES

# What the stages train, evaluate, evaluate_tuned and evaluate_compressed write into a model's folder, and DVC beside it
WRITTEN = ("training.json", "history.csv", "predictions.parquet", "metrics.json", ".gitignore")
FOLDERS = (TABLES, CURVES, COUNTS)


def remove_stale(models: Iterable[Path], *, reports: Path = Path("reports")) -> list[Path]:
    """Remove what stages wrote below reports/<kind>/<name> of models not among `models` (models/<kind>/<name>).

    Anything else there stays, and the folder with it. Returns the folders from which something left.
    """
    named = {tuple(model.parts[-2:]) for model in models}
    left = []
    for folder in sorted(folder for kind in KINDS for folder in (reports / kind).glob("*/")):
        if (folder.parent.name, folder.name) in named or folder.is_symlink():
            continue
        tables = [path for each in FOLDERS for path in (folder / each).glob("*") if path.is_file()]
        found = [*tables, *(folder / name for name in WRITTEN if (folder / name).is_file())]
        for path in found:
            path.unlink(missing_ok=True)  # another stage may be at it too
        for emptied in (*(folder / each for each in FOLDERS), folder):
            with suppress(OSError):  # not empty, or gone
                emptied.rmdir()
        if found:
            left.append(folder)
    if left:
        print(f"removed the results of models that params.yaml does not name: {', '.join(map(str, left))}")
    return left


if __name__ == "__main__":
    from neocog.params import load

    remove_stale(load.for_stage("report").models)
