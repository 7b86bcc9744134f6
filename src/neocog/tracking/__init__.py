"""What a stage execution leaves in MLflow: one run with its parameters, metrics, data set, artifacts and its ending.

    with tracking.start("train@resnet", experiment="neocog", config=settings) as run:
        run.metrics({"train/loss": 0.31, "val/top1": 0.91}, step=3)

The caller only appends to a journal on its own disk; a process beside it sends the journal to MLflow. So a server that
is slow, paused or gone neither slows nor stops a training; what could not be sent is sent by the next start or `sync`.
"""

from neocog.tracking.adopt import adopt
from neocog.tracking.resume import memory
from neocog.tracking.run import Run, is_first_rank, start, sync

__all__ = ["Run", "adopt", "is_first_rank", "memory", "start", "sync"]
