"""Sparse weights: what is packed comes back bit for bit, and takes less room."""

import json
import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file

from neocog import architectures, compression
from neocog.bundle import rebuild, sparse, write
from neocog.bundle.parity import Proof
from neocog.bundle.read import WEIGHTS, read
from neocog.compression.chain import export
from neocog.compression.chain.candidate import begin

NUMBERS = st.sampled_from(["<f4", "<f2", "<f8", "<i8", "|u1", "|b1"])


@st.composite
def tensors(draw):
    """Tensors of any shape and share of zeros, NaN, infinity and -0.0 among them."""
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=12))
    values = draw(
        arrays.arrays(draw(NUMBERS), shape, elements=draw(st.sampled_from([None, {"min_value": 0, "max_value": 1}])))
    )
    kept = draw(arrays.arrays(bool, shape, fill=st.just(draw(st.booleans()))))
    return np.where(kept, values, np.zeros_like(values))


@given(st.dictionaries(st.sampled_from(["a", "a.b", "weight", "c.mask"]), tensors(), min_size=1))
def test_packed_tensors_come_back_bit_for_bit(given_tensors):
    packed, shapes = sparse.pack(given_tensors)
    back = sparse.unpack(packed, json.loads(json.dumps(shapes)))
    assert set(back) == set(given_tensors)
    for name, tensor in given_tensors.items():
        assert (back[name].dtype, back[name].shape) == (tensor.dtype, tensor.shape)
        assert back[name].tobytes() == tensor.tobytes()
    assert sum(part.nbytes for part in packed.values()) <= sum(tensor.nbytes for tensor in given_tensors.values())


@pytest.mark.parametrize("shape", [(), (0,), (1,), (64, 33), (40, 7, 3, 3)])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9, 1.0])
def test_files_come_back_bit_for_bit(shape, zeros, tmp_path):
    draw = np.random.default_rng(0)
    tensor = np.where(draw.random(shape) < zeros, 0, draw.normal(size=shape)).astype(np.float32)
    if tensor.size > 1:
        tensor.flat[:2] = -0.0, math.nan
    sparse.save({"x": tensor, "steps": np.array(3)}, tmp_path / "x.safetensors")
    back = sparse.load(tmp_path / "x.safetensors")
    assert back["x"].tobytes() == tensor.tobytes() and back["x"].shape == shape and back["steps"] == 3
    assert sparse.shapes(tmp_path / "x.safetensors") == {"x": shape, "steps": ()}
    assert ("x.mask" in load_file(tmp_path / "x.safetensors")) == (tensor.size > 100 and zeros > 0)


def silent() -> onnx.ModelProto:
    """A graph that takes digits and has the same to say of all."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "zeros"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 8, 8, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.zeros((64, 10), np.float32), "zeros")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_a_sparse_bundle_is_smaller_and_rebuilds_to_the_same_network(digits, tmp_path):
    torch.manual_seed(0)
    network = architectures.build("mlp", channels=1, size=8, classes=10).eval()
    about = {"kind": "trained", "name": "mlp", "architecture": "mlp", "sizes": {}, "provenance": {}}
    proof = Proof(silent(), {})  # an export takes seconds, and the graph is not what is asked about
    (tmp_path / "dense").mkdir()
    write.fill(tmp_path / "dense", network, digits, proof=proof, **about)
    parent = begin(read(tmp_path / "dense"))
    pruned = compression.apply({"method": "prune_unstructured", "sparsity": 0.8}, parent, digits)
    shipped = replace(pruned, proofs=[proof])
    bundle = export.ship(tmp_path / "pruned", shipped, digits, name="x", steps=[], provenance={}, verdict={})
    sizes = [(folder / WEIGHTS).stat().st_size for folder in (bundle.folder, tmp_path / "dense")]
    assert sizes[0] < 0.27 * sizes[1], "one bit and a fifth of the values"
    again = rebuild.rebuild(bundle).state_dict()
    assert set(again) == set(pruned.network.state_dict())
    assert all(torch.equal(value, again[name]) for name, value in pruned.network.state_dict().items())
