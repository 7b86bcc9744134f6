"""The private functions of Lightning, torch, Ray, DVC and Python that neocog needs, each with the version it was tested with.

Nothing else in neocog calls them, but for those of DVC, which only orchestration/parallel/ calls: DVC's own loop in another order.
Where one is gone after an upgrade, tests/test_private_apis.py names it, and `remedy` says what to do.
The libraries are imported by the functions that need them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Private:
    """`path` of a private name, `module:name.name`; `package` and the version that it was `tested` with."""

    path: str
    package: str
    tested: str
    remedy: str


_LAUNCHER = "pytorch_lightning.strategies.launchers.subprocess_script"
NAMES = (
    Private(
        "threading:_shutdown",
        "python",
        "3.11 to 3.14",
        "join threading.enumerate() without the daemons and the main thread",
    ),
    Private("atexit:_run_exitfuncs", "python", "3.11 to 3.14", "end the fork by sys.exit instead of os._exit"),
    Private(
        "pytorch_lightning.trainer.connectors.signal_connector:_SignalConnector.register_signal_handlers",
        "pytorch-lightning",
        "2.6.6",
        "give the Trainer a plugin that handles SIGTERM, or set neocog's handlers again in on_fit_start",
    ),
    Private(
        "pytorch_lightning:LightningModule._current_fx_name",
        "pytorch-lightning",
        "2.6.6",
        "remove Learner.__setattr__: a step costs 0.2 ms more",
    ),
    Private(
        f"{_LAUNCHER}:_SubprocessScriptLauncher",
        "pytorch-lightning",
        "2.6.6",
        "start the ranks with torchrun",
    ),
    Private(
        f"{_LAUNCHER}:_launch_process_observer",
        "pytorch-lightning",
        "2.6.6",
        "keep Lightning's observer: a lost rank then ends the first one before it has named it",
    ),
    Private(
        "pytorch_lightning.strategies:DDPStrategy._configure_launcher",
        "pytorch-lightning",
        "2.6.6",
        "override what sets the launcher now (training/ranks.py does)",
    ),
    Private(
        "pytorch_lightning.strategies:DDPStrategy._get_process_group_backend",
        "pytorch-lightning",
        "2.6.6",
        "nccl on CUDA devices, gloo elsewhere",
    ),
    Private(
        "torch.distributed._tools.mem_tracker:MemTracker",
        "torch",
        "2.15.0",
        "have `neocog plan` count what autograd saves (torch.autograd.graph.saved_tensors_hooks)",
    ),
    Private(
        "torch.distributed._tools.fsdp2_mem_tracker:FSDPMemTracker",
        "torch",
        "2.15.0",
        "have `neocog plan` divide weights, gradients and optimizer states by the ranks",
    ),
    Private(
        "torch._subclasses.fake_tensor:FakeTensorMode",
        "torch",
        "2.15.0",
        "have `neocog plan` run its step on the meta device",
    ),
    Private(
        "torch.testing._internal.distributed.fake_pg:FakeStore",
        "torch",
        "2.15.0",
        "have `neocog plan` run its step in one process without a process group",
    ),
    Private(
        "ray._private.ray_constants:ENABLE_RAY_CLUSTER",
        "ray",
        "2.60.0",
        "set RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before Ray is imported",
    ),
    Private(
        "ray._raylet:Config.initialize",
        "ray",
        "2.60.0",
        "set RAY_AUTH_MODE before Ray is imported",
    ),
    Private(
        "ray._raylet:AuthenticationTokenLoader.instance",
        "ray",
        "2.60.0",
        "set RAY_AUTH_TOKEN_PATH before Ray is imported",
    ),
    Private(
        "ray.train._internal.storage:_get_ray_train_session_dir",
        "ray",
        "2.60.0",
        "submit the sweep as a Ray job, so that its driver runs in the cluster",
    ),
    Private(
        "ray.train.torch.config:_TorchBackend",
        "ray",
        "2.60.0",
        "use TorchConfig: the workers then meet at a port",
    ),
    Private(
        "ray.train.torch.config:_set_torch_distributed_env_vars",
        "ray",
        "2.60.0",
        "set RANK, LOCAL_RANK, WORLD_SIZE from ray.train.get_context() in each worker",
    ),
)
_PLAIN = "have `neocog repro` call plain `dvc repro` until orchestration/parallel/{} follows DVC's new code"
DVC = tuple(
    Private(f"dvc.{module}:{name}", "dvc", "3.67.1", _PLAIN.format(file))
    for file, module, names in (
        ("run.py", "repo.reproduce", ("_reproduce", "_reproduce_stage", "_raise_error")),
        ("steps.py", "stage.run", ("_make_cmd", "_enforce_cmd_list", "_pull_missing_deps")),
        ("path_locks.py", "rwlock", ("RWLOCK_FILE", "RWLOCK_LOCK", "SCHEMA", "_check_blockers", "rwlock")),
        ("path_locks.py", "rwlock", ("_acquire_read", "_acquire_write", "_release_read", "_release_write")),
        ("lock_entries.py", "dvcfile", ("Lockfile.dump_stages",)),
        ("caches.py", "dependency.param", ("load_path",)),
    )
    for name in names
)
HOOK_NAME = "_current_fx_name"  # set by Lightning on a LightningModule some forty times a step


def shut_down() -> None:
    """Wait for threads and run what is registered with atexit, as Python does at its end and os._exit does not."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def leave_signals_alone(trainer: Any) -> None:
    """Keep Lightning's Trainer from handling signals."""
    trainer._signal_connector.register_signal_handlers = lambda: None


def launcher() -> type:
    """Lightning's launcher of ranks on this machine, without its observer, which ends the first rank before that has said why."""
    from pytorch_lightning.strategies.launchers import subprocess_script

    class Launcher(subprocess_script._SubprocessScriptLauncher):
        def launch(self, function: Any, *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
            observe = subprocess_script._launch_process_observer
            subprocess_script._launch_process_observer = lambda child_processes: None
            try:
                return super().launch(function, *args, trainer=trainer, **kwargs)
            finally:
                subprocess_script._launch_process_observer = observe

    return Launcher


def process_group_backend(strategy: Any) -> str:
    """The backend of torch.distributed that Lightning's DDP strategy uses: gloo, nccl."""
    return str(strategy._get_process_group_backend())


@contextmanager
def fake_ranks(ranks: int) -> Iterator[None]:
    """Be the first of so many ranks of a process group whose other ranks do not exist: what is sent goes nowhere."""
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        yield
    finally:
        dist.destroy_process_group()


def fake_tensors() -> Any:
    """Tensors made within have a shape and no content."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode()


def peak_memory(model: Any, optimizer: Any, inputs: Any, step: Callable[[], None], *, sharded: bool) -> dict[str, int]:
    """Bytes while `step` needs most: `weights`, `gradients`, `optimizer`, `activations`; and `parameters`, all of them whole."""
    from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
    from torch.distributed._tools.mem_tracker import MemTracker

    tracker: Any = FSDPMemTracker(model, optimizer) if sharded else MemTracker()
    if sharded:
        tracker.track_inputs((inputs,))
    else:
        tracker.track_external(model, optimizer, inputs)
    with tracker:
        step()
    found = dict.fromkeys(("weights", "gradients", "optimizer", "activations"), 0)
    kinds = {
        "PARAM": "weights",
        "BUFFER": "weights",
        "ALL_GATHER": "weights",
        "GRAD": "gradients",
        "REDUCE_SCATTER": "gradients",
    }
    for snapshot in tracker.get_tracker_snapshot("peak").values():
        for kind, size in snapshot.items():
            name = getattr(kind, "name", "")  # the total has none
            if name and name != "OPT":
                found[kinds.get(name.removeprefix("SHARDED_").removeprefix("UNSHARDED_"), "activations")] += size
    for snapshot in tracker.get_tracker_snapshot("current").values():  # there from the second step on
        found["optimizer"] += sum(size for kind, size in snapshot.items() if getattr(kind, "name", "") == "OPT")
    found["parameters"] = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return found


@contextmanager
def ray_on_loopback() -> Iterator[None]:
    """Let Ray keep 127.0.0.1, which it else replaces by an outer address; it read its setting when it was imported."""
    from ray._private import ray_constants

    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def reread_ray_environment() -> None:
    """Have Ray read its variables of the environment again, and forget the token that it knew."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def set_ray_session_folder(folder: str) -> None:
    """Tell Ray Tune where its driver may keep its own files on a machine that is none of the cluster's."""
    from ray.train._internal import storage

    storage._get_ray_train_session_dir = lambda: folder


def torch_config_without_port() -> Any:
    """Ray Train's TorchConfig with which it opens no port: the workers form their process group themselves."""
    from ray.train.torch import TorchConfig
    from ray.train.torch.config import _set_torch_distributed_env_vars, _TorchBackend

    class Backend(_TorchBackend):
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            worker_group.execute(_set_torch_distributed_env_vars)

    class Config(TorchConfig):
        @property
        def backend_cls(self) -> type:
            return Backend

    return Config()
