"""The item of a DVC stage (`resnet` of `train@resnet`), read from the environment: in a command a shell would read it before any check."""

import os
import sys


def arguments() -> list[str]:
    """Those of the command line; without any, the item of the stage that DVC runs: `tuned/resnet` of `evaluate_tuned@resnet`."""
    stage, at, item = os.environ.get("DVC_STAGE", "").rpartition("dvc.yaml:")[2].partition("@")
    if sys.argv[1:] or not at:
        return sys.argv[1:]
    kind = stage.partition("_")[2]
    return [f"{kind}/{item}" if kind else item]
