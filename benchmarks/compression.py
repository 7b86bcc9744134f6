"""Integers: what neocog's `quantize_static` gives, against what one call of ONNX Runtime or NNCF gives, and against floats.

    make edge && python -m benchmarks.compression        # four networks of the default params and two wide ones: ten minutes
    python -m benchmarks.compression models/trained/vgg  # one network: a minute

Of each bundle (a compressed one is held against what it was made from), from the same float graph with the same calibration images:
(a) neocog's step as a recipe runs it; (b) ONNX Runtime's `quant_pre_process` and `quantize_static` with their defaults; (c)
`nncf.quantize` of the ONNX graph with its defaults, run in ONNX Runtime, and of OpenVINO's form of it, run in OpenVINO. Top-1 of the
test images, bytes of the graph, images/s at batch 64 and milliseconds of a single image, all on one thread, taking turns in one process.
Wide networks follow, with the weights they begin with, since only their speed is asked for. Without the extra `openvino` the rows of (c)
are left out.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from benchmarks import _tiny, parser
from neocog import architectures, compression
from neocog.bundle import write
from neocog.bundle.export import Deployed
from neocog.bundle.read import GRAPH, Bundle, read
from neocog.bundle.rebuild import rebuild
from neocog.compression.chain import onnx_quantization
from neocog.compression.chain.candidate import begin
from neocog.data import prepared
from neocog.data.prepared import Prepared
from neocog.edge.captured_output import quiet
from neocog.evaluation import latency
from neocog.evaluation.latency import Images, Predict

BUNDLES = (
    "models/trained/resnet",
    "models/trained/vgg",
    "models/trained/mobilenet",
    "models/compressed/resnet-pruned-int8",
)
WIDE: dict[str, dict[str, Any]] = {
    "resnet": {"widths": [64, 128, 256, 512], "depths": [1, 1, 1, 1]},
    "vgg": {"widths": [64, 128, 256, 512], "depths": [1, 1, 2, 2], "units": 512},
}
CALIBRATION = 512  # training images
BATCH_SIZE = 64
FLOAT, EAGER = "fp32, ONNX Runtime", "fp32, PyTorch eager"


@dataclass(frozen=True)
class Way:
    """One way to run a network: uint8 [N, H, W, C] -> logits [N, K], and the bytes of its file."""

    predict: Predict
    size_bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table for the bundles asked for, or for those of the default params and wide networks."""
    options = parser("compression", __doc__)
    options.add_argument(
        "bundles", nargs="*", metavar="BUNDLE", help=f"default: {', '.join(BUNDLES)}, and wide networks"
    )
    asked = options.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        if asked.tiny:
            data = _tiny.digits(Path(temporary))
            head()
            table(_tiny.lenet(Path(temporary), data), data, rounds=1, limit=64)
        else:
            tables(*asked.bundles)


def head() -> None:
    """Print the names of the columns."""
    print("| network | | test top-1 | kB | images/s, batch 64 | x fp32 | ms an image | x fp32 | x PyTorch |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")


def tables(*folders: str) -> None:
    """Print the rows of the bundles in `folders`, or of the default ones."""
    data = prepared.read("data/prepared")
    head()
    for folder in folders or BUNDLES:
        if folders or Path(folder).is_dir():
            table(read(folder), data)
    if not folders:
        for name, sizes in WIDE.items():
            with tempfile.TemporaryDirectory() as temporary:
                table(untrained(Path(temporary), name, sizes, data), data, rounds=10, judged=False)


def table(bundle: Bundle, data: Prepared, *, rounds: int = 30, judged: bool = True, limit: int | None = None) -> None:
    """Print a row for each way to run `bundle`; the first `limit` test images are judged, if any are."""
    test = data.split("test", limit=limit)
    with tempfile.TemporaryDirectory() as temporary:
        ways = dict(all_ways(bundle, data, Path(temporary)))
        models = {name: way.predict for name, way in ways.items()}
        speeds = latency.measure(models, test.images, rounds=rounds, batch_size=BATCH_SIZE, seed=0)
        for name, way in ways.items():
            own, whole, eager = speeds[name], speeds[FLOAT], speeds[EAGER]
            top1 = f"{accuracy(way.predict, test.images, test.targets):.2%}" if judged else "-"
            print(
                f"| {bundle.model} | {name} | {top1} | {way.size_bytes / 1000:,.0f} "
                f"| {own.throughput_ips:,.0f} | {own.throughput_ips / whole.throughput_ips:.2f} "
                f"| {own.latency_ms_p50:.3f} | {whole.latency_ms_p50 / own.latency_ms_p50:.2f} "
                f"| {eager.latency_ms_p50 / own.latency_ms_p50:.2f} |",
                flush=True,
            )


def all_ways(bundle: Bundle, data: Prepared, folder: Path) -> Iterator[tuple[str, Way]]:
    """Everything that is compared for `bundle`; files go to `folder`. Ratios are to the float graph of the bundle or, if compressed, of
    what it was made from."""
    whole = bundle
    while whole.kind == "compressed":
        whole = read(bundle.folder.parents[1] / whole.card["compression"]["parent"])
    deployed = Deployed(rebuild(whole), mean=data.mean, std=data.std, task=data.task).eval()
    yield EAGER, Way(eagerly(deployed), (whole.folder / "weights.safetensors").stat().st_size)
    yield FLOAT, graph_way(whole.folder / GRAPH)
    candidate, source = (
        replace(begin(bundle), graph=None),
        folder / "source.onnx",
    )  # its network in floats, whatever is shipped
    onnx.save(candidate.exported(data), source)
    if bundle is not whole:
        yield "its recipe, as shipped", graph_way(bundle.folder / GRAPH)
        yield "its network, fp32", graph_way(source)
    seen = data.split("train", limit=CALIBRATION).images
    onnx.save(compression.apply({"method": "quantize_static"}, candidate, data).shipped(data), folder / "ours.onnx")
    yield "int8, neocog", graph_way(folder / "ours.onnx")
    for name, quantize in (("int8, ONNX Runtime's defaults", by_onnxruntime), ("int8, NNCF, ONNX Runtime", by_nncf)):
        if quantize is not by_nncf or find_spec("nncf"):
            with quiet():
                quantize(source, folder / f"{quantize.__name__}.onnx", seen)
            yield name, graph_way(folder / f"{quantize.__name__}.onnx")
    if find_spec("nncf") and find_spec("openvino"):
        with quiet():
            ways = in_openvino(source, folder, seen)
        yield from ways.items()


def by_onnxruntime(source: Path, target: Path, images: Images) -> None:
    """What its manual says to do first."""
    quant_pre_process(source, target.with_suffix(".folded"))
    quantize_static(target.with_suffix(".folded"), target, onnx_quantization.Images(images))


def by_nncf(source: Path, target: Path, images: Images) -> None:
    """One call."""
    onnx.save(_nncf(onnx.load(source), images), target)


def in_openvino(source: Path, folder: Path, images: Images) -> dict[str, Way]:
    """OpenVINO's form of the float graph, and of what NNCF makes of it."""
    import openvino

    from neocog.edge.openvino import predictor

    ways, whole = {}, openvino.convert_model(source)
    for name, model in (("fp32, OpenVINO", whole), ("int8, NNCF, OpenVINO", _nncf(whole, images))):
        path = folder / f"{name}.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        ways[name] = Way(predictor(path), path.stat().st_size + path.with_suffix(".bin").stat().st_size)
    return ways


def graph_way(path: Path) -> Way:
    """An ONNX graph on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Way(lambda images: session.run(None, {"images": images})[0], path.stat().st_size)


def eagerly(deployed: nn.Module) -> Predict:
    """PyTorch as it is."""

    def predict(images: Images) -> np.ndarray:
        with torch.inference_mode():
            return deployed(torch.from_numpy(images)).numpy()

    return predict


def accuracy(predict: Predict, images: Images, labels: np.ndarray) -> float:
    """Top-1 on images uint8 [N, H, W, C]."""
    parts = (images[start : start + BATCH_SIZE].copy() for start in range(0, len(images), BATCH_SIZE))
    return float((np.concatenate([np.asarray(predict(part)) for part in parts]).argmax(1) == labels).mean())


def untrained(folder: Path, name: str, sizes: Mapping[str, Any], data: Prepared) -> Bundle:
    """A bundle of an architecture with the weights it begins with."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {"channels": data.channels, "size": data.size, "classes": len(data.classes)}
    model = architectures.build(name, **shape, sizes=sizes).eval()
    called = f"{name} {'-'.join(map(str, sizes['widths']))}, untrained"
    return write.write(
        folder / name, model, data, kind="wide", name=called, architecture=name, sizes=sizes, provenance={}
    )


def _nncf(model: Any, images: Images) -> Any:
    import nncf

    seen = nncf.Dataset([image[None].copy() for image in images], lambda image: {"images": image})
    return nncf.quantize(model, seen, subset_size=len(images))


if __name__ == "__main__":
    main()
