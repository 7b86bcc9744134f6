"""Parameters and multiply-accumulates are counted right: answers by hand, for each operator and for LeNet-5."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny
from onnx import TensorProto, helper, numpy_helper

from neocog import architectures
from neocog.core.errors import UserError
from neocog.evaluation import complexity


def graph(folder: Path, nodes: list, *, image: list, weights: dict[str, list[int]]) -> Path:
    """An ONNX file of `nodes` from `x` [N, *image] to `y`, with zeros as weights."""
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *image])]
    told = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    zeros = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(helper.make_graph(nodes, "g", given, told, zeros), opset_imports=opset, ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize(
    ("node", "image", "weights", "known"),
    [
        pytest.param(  # 32 x 32 places, 16 filters of 3 x 5 x 5
            helper.make_node("Conv", ["x", "w"], ["y"], pads=[2, 2, 2, 2]), [3, 32, 32], {"w": [16, 3, 5, 5]},
            32 * 32 * 16 * 75, id="convolution",
        ),
        pytest.param(  # a filter sees one of eight channels only
            helper.make_node("Conv", ["x", "w"], ["y"], group=8, strides=[2, 2]), [8, 9, 9], {"w": [8, 1, 3, 3]},
            4 * 4 * 8 * 9, id="depthwise convolution with a stride",
        ),
        pytest.param(  # each of the 4 x 5 x 5 values is spread over 6 filters of 3 x 3
            helper.make_node("ConvTranspose", ["x", "w"], ["y"]), [4, 5, 5], {"w": [4, 6, 3, 3]},
            4 * 5 * 5 * 6 * 9, id="transposed convolution",
        ),
        pytest.param(
            helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), [120], {"w": [84, 120]}, 120 * 84, id="linear"
        ),
        pytest.param(helper.make_node("MatMul", ["x", "w"], ["y"]), [7, 12], {"w": [12, 5]}, 7 * 12 * 5, id="tokens"),
        pytest.param(  # attention scores of 3 heads, 7 tokens of 4 numbers
            helper.make_node("MatMul", ["x", "w"], ["y"]), [3, 7, 4], {"w": [1, 3, 4, 7]}, 3 * 7 * 4 * 7, id="heads"
        ),
        pytest.param(helper.make_node("Relu", ["x"], ["y"]), [8], {}, 0, id="activation"),
    ],
)  # fmt: skip
def test_macs_of_one_operator(tmp_path, node, image, weights, known):
    assert complexity.macs(graph(tmp_path, [node], image=image, weights=weights)) == known


def test_macs_of_a_product_whose_left_side_is_transposed(tmp_path):
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("Gemm", ["t", "w"], ["y"], transA=1),
    ]
    assert complexity.macs(graph(tmp_path, nodes, image=[30], weights={"w": [30, 4]})) == 30 * 4


def test_macs_and_size_of_lenet_5(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "c1"], ["a"], pads=[2, 2, 2, 2]),
        helper.make_node("AveragePool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["b", "c3"], ["c"]),
        helper.make_node("AveragePool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "f5"], ["f"]),
        helper.make_node("Gemm", ["f", "f6"], ["g"]),
        helper.make_node("Gemm", ["g", "out"], ["y"]),
    ]
    weights = {"c1": [6, 1, 5, 5], "c3": [16, 6, 5, 5], "f5": [400, 120], "f6": [120, 84], "out": [84, 10]}
    known = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert known == 416_520
    assert complexity.macs(graph(tmp_path, nodes, image=[1, 28, 28], weights=weights)) == known


def test_an_operator_that_cannot_be_counted_is_named_instead_of_left_out(tmp_path):
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="bi,ij->bj")
    with pytest.raises(UserError, match="Einsum"):
        complexity.macs(graph(tmp_path, [node], image=[4], weights={"w": [4, 4]}))


def test_a_bundle_counts_what_was_trained_and_not_its_buffers(tmp_path):
    data = tiny.digits(tmp_path / "data")
    bundle = tiny.train(tmp_path, data, "mlp", architecture="mlp", hidden=16, epochs=1)
    counted = complexity.count(bundle)
    assert counted["params"] == 16 * 10 + 10  # the random features in front, 64 x 16, are a buffer
    assert counted["macs"] == 64 * 16 + 16 * 10
    assert counted["size_bytes"] == (bundle.folder / "model.onnx").stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures.names())
def test_the_graph_of_every_architecture_has_the_macs_that_torch_counts(name, tmp_path):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from neocog.bundle import export as bundle_onnx

    network = architectures.build(name, channels=1, size=28, classes=10).eval()
    deployed = bundle_onnx.Deployed(network, mean=(0.5,), std=(0.5,), task="classification").eval()
    images = np.zeros((2, 28, 28, 1), np.uint8)
    bundle_onnx.export(deployed, tmp_path / "model.onnx", images=images)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        deployed(torch.from_numpy(images[:1]))
    assert counter.get_total_flops() > 0
    assert complexity.macs(tmp_path / "model.onnx") == counter.get_total_flops() / 2  # one to multiply, one to add
