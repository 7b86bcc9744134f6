"""Address of this project's runs in MLflow's UI: `python -m neocog.tracking.ui 5000`, for `make ui`.

The UI (of MLflow 3.17) has a mode for prompts and traces and one for training. It begins in the first, whatever an experiment's tag
`mlflow.experimentKind` says, unless the address names the other or a reader has chosen it.
"""

import sys

from neocog.tracking import address

MODE = "workflowType=machine_learning"


def page() -> str:
    """The part of the address after the host: the experiment of this project's last run, or the list of all."""
    if not (address.home() / address.DEFAULT.rpartition("/")[2]).is_file():
        return f"#/experiments?{MODE}"
    from neocog.tracking.store import Store

    with Store(address.DEFAULT, address.home()).open(timeout=10.0) as store:
        experiment = store.latest()
    return f"#/experiments/{experiment}/runs?{MODE}" if experiment else f"#/experiments?{MODE}"


def main(port: str = "5000") -> None:
    print(f"MLflow, training mode: http://127.0.0.1:{port}/{page()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
