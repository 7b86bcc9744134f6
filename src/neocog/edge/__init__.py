"""Bundles for other runtimes: one file a runtime, each with `write` and `predictor`. What it needs is an extra of the package.

Their file takes the same raw images as the bundle, uint8 [N, H, W, C], and is only written if it agrees with the bundle on real images.
"""

import sys
from importlib.util import find_spec

from neocog.core.errors import UserError

EXTRAS = {"executorch": ("executorch", "torchao"), "openvino": ("openvino", "nncf")}  # runtime -> packages of its extra

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # or imports and conversions are reported to its maker


def require(to: str) -> None:
    """Raise UserError unless the extra of the runtime `to` is installed."""
    if missing := [package for package in EXTRAS[to] if find_spec(package) is None]:
        raise UserError(
            f"--to {to}: {' and '.join(missing)} not installed; run `make edge` in the clone, or pip install 'neocog[{to}]'"
        )
