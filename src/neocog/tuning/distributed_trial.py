"""Distributed training of one trial, on several devices or machines: Ray Train starts the processes, Lightning joins them."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neocog.core import private_apis
from neocog.training import ranks
from neocog.tuning.trial import Job, Reporter, train
from neocog.tuning.trials import TrialStore


def train_distributed(values: Mapping[str, Any], job: Job, *, name: str, reported: int) -> None:
    """Train trial `name` with `job.processes` workers; each epoch reaches Ray Tune through Ray Train's own callback.

    Lightning's own ddp hangs inside Ray, whose workers exist already: hence Ray's strategy and environment. On this machine alone they
    meet in a folder instead of at a port, which others could reach.
    """
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    resources = {"CPU": job.cpus, **({"GPU": job.gpus} if job.gpus else {}), **(job.custom or {})}
    alone = ray.util.get_node_ip_address() == "127.0.0.1"
    folder = tempfile.mkdtemp(prefix="ranks-", dir=job.storage) if alone else None
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"values": dict(values), "job": job, "name": name, "reported": reported, "folder": folder},
        torch_config=private_apis.torch_config_without_port() if folder else None,
        scaling_config=ScalingConfig(num_workers=job.processes, use_gpu=job.gpus > 0, resources_per_worker=resources),
        run_config=RunConfig(
            name=f"train-{name}",
            storage_path=f"{job.storage}/ray",
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]
            failure_config=FailureConfig(max_failures=0),  # the trial as a whole is begun again
        ),
    )
    trainer.fit()


def _worker(given: Mapping[str, Any]) -> None:
    from ray import train as ray_train
    from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment
    from ray.train.torch import get_device

    job, name = given["job"], given["name"]
    if given["folder"]:
        context = ray_train.get_context()
        os.environ[ranks.FOLDER] = given["folder"]
        backend = "nccl" if job.gpus else "gloo"
        ranks.join(context.get_world_rank(), context.get_world_size(), backend, get_device())
    first = ray_train.get_context().get_world_rank() == 0
    with tempfile.TemporaryDirectory() as here:
        report = DistributedReporter(job, name, reported=given["reported"])
        work = TrialStore(job.storage).work(name, here=Path(here))
        report.work = work if first else None
        joined = {
            "strategy": RayDDPStrategy(),
            "plugins": [RayLightningEnvironment()],
            "devices": "auto",
            "num_nodes": 1,
        }
        train(given["values"], job, work=work, report=report, trainer=joined)


class DistributedReporter(Reporter):
    """All workers report, which waits for the slowest; the first one's result counts."""

    def send(self, result: dict[str, Any]) -> None:
        from ray import train as ray_train

        ray_train.report(result)
