"""A stage in a fork of the first one that needed torch: the 8 s of its imports are spent once a `dvc repro`.

The process that DVC started stays, hands on signals and ends as the fork ends; if it is killed, the fork is too. The fork imports neocog
and the stage's script anew, so that an edit counts. Not beside a GPU: CUDA does not outlive a fork.
"""

import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from neocog.core import errors, private_apis, utf8_mode
from neocog.core.fork_server import RUNNER, Lent, borrow, leave, peer
from neocog.orchestration.parallel.usage import PIDS

TORCH = (  # what a training and the export of its graph import in the end
    "pytorch_lightning",
    "torch._dynamo",
    "torch.export._trace",
    "torch.onnx._internal.exporter._core",
    "torch.onnx._internal.exporter._torchlib.ops",
    "torch._inductor.codecache",
    "networkx",
    "onnxscript",
    "onnxruntime",
)
IMPORTING = 60.0  # s that a stage waits at most while another one imports for both
_OURS = ("neocog", "pipelines", "__main__")
_READ_AT_IMPORT = ("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "TORCH", "PYTORCH_", "CUDA_", "PYTHON", "LD_")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_KILLED = 128  # of an exit code, as a shell writes it


def run(main: Callable[..., object], arguments: Sequence[str], *, imports: Sequence[str] = TORCH) -> None:
    """`errors.run`, for a stage that needs `imports`: in a fork of the copy; without one, leave one and do it here."""
    utf8_mode.ensure()
    _through_a_fork(imports, arguments)
    errors.run(main, arguments)


def _through_a_fork(imports: Sequence[str], arguments: Sequence[str]) -> None:
    """Run this process's script in a fork and exit with its code; without a copy, leave one and return."""
    script = getattr(sys.modules["__main__"], "__spec__", None)
    if script is None or RUNNER in os.environ or "LOCAL_RANK" in os.environ or _has_gpu():
        return
    what, wait_until = _called(imports), time.monotonic() + IMPORTING
    while True:
        lent = borrow(what, script.name, list(arguments), sys.path, root=Path.cwd(), descriptors=(0, 1, 2))
        if lent is not None:
            _follow(lent)
        if leave(what, lambda: _import(imports), _serve) or time.monotonic() > wait_until:
            return
        time.sleep(0.05)  # a stage that began beside this one is importing them: both at once would take as long


def _follow(lent: Lent) -> NoReturn:
    sent: list[int] = []
    if PIDS in os.environ:
        with suppress(OSError):
            Path(os.environ[PIDS]).write_text(str(lent.pid))

    def hand_on(number: int, _: object) -> None:
        sent.append(number)
        with suppress(ProcessLookupError):
            os.kill(lent.pid, number)

    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hand_on)
    ending = lent.wait()
    assert ending is not None
    sys.exit(ending if ending >= 0 else _KILLED + (sent[-1] if sent else -ending))


def _serve(connection: socket.socket, script: str, arguments: list[str], path: list[str]) -> int:
    threading.Thread(target=_end_with, args=[peer(connection)[0]], daemon=True).start()
    with suppress(OSError):  # what `ps` and `top` show
        Path("/proc/self/comm").write_text(f"{script.rpartition('.')[2]} {' '.join(arguments)}")
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    sys.path[:] = path
    sys.argv[1:] = arguments
    ending = 1
    try:
        runpy.run_module(script, run_name="__main__", alter_sys=True)
        ending = 0
    except SystemExit as leaving:
        ending = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        private_apis.shut_down()
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    return ending


def _end_with(caller: int) -> None:
    """End this process at once when `caller`, which waits for it, is gone."""
    with suppress(OSError):
        select.select([os.pidfd_open(caller)], [], [])
    os.kill(os.getpid(), signal.SIGKILL)


def _import(modules: Sequence[str]) -> None:
    for name in modules:
        with suppress(ImportError):  # a private one may move; whoever needs it says so itself
            import_module(name)


def _called(imports: Sequence[str]) -> str:
    heard = sorted(each for each in os.environ.items() if each[0].startswith(_READ_AT_IMPORT))
    return f"stage-{zlib.crc32(repr((imports, heard)).encode()):08x}"


def _has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()
