"""Stage `code` of a project beside an installed neocog: digests of the code that its other stages depend on. No torch, milliseconds."""

import sys
from pathlib import Path

from neocog.core import params_yaml
from neocog.core.errors import run
from neocog.project import code as installed
from neocog.project import template


def code() -> None:
    """Write the digests that dvc.yaml names below data/code, and make the folder for what sources fetch, which git does not track."""
    root = (params_yaml.read(Path("params.yaml")).get("data") or {}).get("root")
    if root == template.RAW:
        Path(root).mkdir(parents=True, exist_ok=True)  # or DVC would miss it
    pipeline = Path("dvc.yaml")
    installed.write(pipeline)
    if missing := set(installed.named(template.pipeline())) - set(
        installed.named(pipeline.read_text(encoding="utf-8"))
    ):
        print(
            f"dvc.yaml is of another version than the installed neocog and watches no {', '.join(sorted(missing)[:3])}; "
            "`neocog init --update` writes it anew"
        )


if __name__ == "__main__":
    run(code, sys.argv[1:])
