"""Inside a network: filters are its first weights, maps are what the graph computes, and the poster shows them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from neocog.bundle.read import Bundle, read
from neocog.cli import main
from neocog.core.errors import UserError
from neocog.drawing import colormaps, images
from neocog.evaluation.preparation import preparation
from neocog.inspect import activation_rows, activations
from neocog.inspect import image as subject
from neocog.serving import pixels

N = helper.make_node
INTO_MAPS = [
    N("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
    N("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
]


def network(folder: Path, nodes: list, weights: dict[str, np.ndarray], *, channels: int = 1, size: int = 8) -> Bundle:
    """A bundle of `nodes` from `images` or `planes` [N, C, H, W] to `logits` of three classes."""
    folder.mkdir(parents=True)
    graph = helper.make_graph(
        [*INTO_MAPS, *nodes],
        "g",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", size, size, channels])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "model.onnx"
    )
    (folder / "weights.safetensors").write_bytes(b"")
    card = {
        "kind": "trained",
        "name": "net",
        "architecture": "net",
        "task": "classification",
        "classes": ["a", "b", "c"],
    }
    (folder / "bundle.json").write_text(
        json.dumps({"format": 1, **card, "input": {"channels": channels, "size": size}})
    )
    return read(folder)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, 1, shape).astype(np.float32)


def residual(folder: Path) -> Bundle:
    """Two convolutions with a shortcut beside them that has one of its own, as in a ResNet."""
    nodes = [
        N("Conv", ["planes", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        N("Relu", ["c1"], ["r1"]),
        N("MaxPool", ["r1"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        N("Conv", ["half", "w2"], ["c2"], pads=[1, 1, 1, 1]),
        N("Relu", ["c2"], ["r2"]),
        N("Conv", ["r2", "w3"], ["c3"], pads=[1, 1, 1, 1]),
        N("Conv", ["half", "short"], ["around"]),
        N("Add", ["c3", "around"], ["sum"]),
        N("Relu", ["sum"], ["r3"]),
        N("ReduceMean", ["r3", "places"], ["mean"], keepdims=0),
        N("Gemm", ["mean", "head"], ["logits"], transB=1),
    ]
    weights = {
        "w1": drawn(5, 1, 3, 3), "w2": drawn(6, 5, 3, 3), "w3": drawn(6, 6, 3, 3), "short": drawn(6, 5, 1, 1),
        "head": drawn(3, 6), "places": np.array([2, 3]),
    }  # fmt: skip
    return network(folder, nodes, weights)


def tensor(bundle: Bundle, name: str, image: np.ndarray) -> np.ndarray:
    """What the graph itself computes at `name`, [F, h, w]."""
    model = onnx.load(bundle.folder / "model.onnx")
    model.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([name], {"images": image[None]})[0][0]


@pytest.fixture
def digit(digits) -> np.ndarray:
    return np.asarray(digits.split("test").images[0])


def test_a_perceptron_shows_one_template_a_class_that_are_its_weights(tmp_path, digits, digit):
    weights = drawn(64, 10)
    bundle = read(tiny.write(tmp_path / "trained" / "p", digits, weights, np.zeros(10, np.float32)))
    found = activations.look(bundle, digit)
    np.testing.assert_array_equal(found.filters.weights[3, 0], weights[:, 3].reshape(8, 8))
    assert (found.filters.classes, found.filters.local, found.depths) == (digits.classes, False, ())
    np.testing.assert_allclose(np.log(found.prediction[1:] / found.prediction[0]), np.diff(
        digit.ravel() / 255 @ weights).cumsum(), rtol=1e-4)  # fmt: skip


def test_hidden_units_are_no_classes_even_if_there_are_as_many(tmp_path, digits, digit):
    bundle = read(
        tiny.write(tmp_path / "trained" / "m", digits, drawn(10, 10), np.zeros(10, np.float32), lift=drawn(64, 10))
    )
    found = activations.look(bundle, digit)
    np.testing.assert_array_equal(found.filters.weights[:, 0], drawn(64, 10).T.reshape(10, 8, 8))
    assert found.filters.classes == ()


@pytest.mark.parametrize("planes", [True, False])
def test_a_template_of_a_colour_image_is_an_image_whatever_comes_first_pixels_or_planes(tmp_path, planes):
    template = drawn(3, 3, 4, 4)  # [class, C, H, W]
    flat = template if planes else template.transpose(0, 2, 3, 1)
    nodes = [
        N("Flatten", ["planes" if planes else "pixels"], ["flat"]),
        N("Gemm", ["flat", "w"], ["logits"], transB=1),
    ]
    bundle = network(tmp_path / "n", nodes, {"w": flat.reshape(3, -1)}, channels=3, size=4)
    found = activations.look(bundle, np.zeros((4, 4, 3), np.uint8))
    np.testing.assert_array_equal(found.filters.weights, template)


def test_maps_are_those_behind_the_activation_and_depth_is_the_longest_way(tmp_path, digit):
    bundle = residual(tmp_path / "net")
    found = activations.look(bundle, digit)
    assert found.filters.local and found.filters.weights.shape == (5, 1, 3, 3)
    assert [(d.layer, d.layers, d.maps.shape) for d in found.depths] == [
        (1, 3, (5, 8, 8)),
        (2, 3, (6, 4, 4)),
        (3, 3, (6, 4, 4)),
    ]
    for depth, name in zip(found.depths, ("r1", "r2", "r3"), strict=True):
        known = tensor(bundle, name, digit)
        np.testing.assert_allclose(np.sort(depth.maps.sum(axis=(1, 2))), np.sort(known.sum(axis=(1, 2))), rtol=1e-4)
        spread = depth.maps.std(axis=(1, 2))
        assert list(spread) == sorted(spread, reverse=True)
    assert [d.layer for d in activations.look(bundle, digit, depths=2).depths] == [1, 3]


def test_the_tokens_of_a_transformer_are_maps_too(tmp_path, digit):
    nodes = [
        N("Conv", ["planes", "patches"], ["grid"], strides=[2, 2]),
        N("Reshape", ["grid", "rows"], ["columns"]),
        N("Transpose", ["columns"], ["tokens"], perm=[0, 2, 1]),
        N("MatMul", ["tokens", "columns"], ["scores"]),
        N("Softmax", ["scores"], ["attention"]),
        N("MatMul", ["attention", "tokens"], ["mixed"]),
        N("Add", ["tokens", "mixed"], ["stream"]),
        N("ReduceMean", ["stream", "one"], ["mean"], keepdims=0),
        N("Gemm", ["mean", "head"], ["logits"], transB=1),
    ]
    weights = {
        "patches": drawn(6, 1, 2, 2) / 255, "rows": np.array([0, 6, -1]), "one": np.array([1]), "head": drawn(3, 6)
    }  # fmt: skip
    bundle = network(tmp_path / "vit", nodes, weights)
    first, last = activations.look(bundle, digit).depths
    assert (first.layers, first.maps.shape, last.layer, last.maps.shape) == (2, (6, 4, 4), 2, (6, 4, 4))
    stream = tensor(bundle, "stream", digit).T.reshape(6, 4, 4)
    np.testing.assert_allclose(last.maps, stream[np.argsort(-stream.std(axis=(1, 2)), kind="stable")], rtol=1e-4)


def test_a_network_with_nothing_to_draw_says_so_in_a_sentence(tmp_path, digit):
    nodes = [
        N("ReduceMean", ["planes", "places"], ["mean"], keepdims=0),
        N("Gemm", ["mean", "w"], ["logits"], transB=1),
    ]
    bundle = network(tmp_path / "blind", nodes, {"places": np.array([2, 3]), "w": drawn(3, 1)})
    found = activations.look(bundle, digit)
    assert (found.filters, found.depths, activation_rows.rows(found)) == (None, (), [])
    assert activation_rows.summary(found) == activation_rows.missing(found) == activation_rows.NOTHING


def test_weights_for_are_orange_against_blue_and_nothing_is_paper():
    weights = np.zeros((1, 1, 3, 3), np.float32)
    weights[0, 0, 0], weights[0, 0, 2] = 2, -2
    [picture] = colormaps.filters(weights)
    assert [tuple(picture[row, 0]) for row in range(3)] == [colormaps.FOR, colormaps.NOTHING, colormaps.AGAINST]
    dead, spot = colormaps.maps(np.stack([np.ones((2, 2)), np.eye(2)]))
    assert (dead == colormaps.SILENT).all()
    assert tuple(spot[0, 0]) == colormaps.LOUD and tuple(spot[0, 1]) == colormaps.SILENT


@pytest.mark.parametrize("size", [1, 2, 5, 28, 32, 300])
def test_every_pixel_becomes_a_square_in_its_cell(size):
    side = colormaps.side(size)
    tiles = colormaps.maps(drawn(14, size, size))
    sheet = colormaps.sheet(tiles, side=side)
    assert sheet.shape == (2 * side + colormaps.GAP, 12 * (side + colormaps.GAP) - colormaps.GAP, 4)
    if size <= side:
        factor = side // size
        np.testing.assert_array_equal(sheet[:side:factor, :side:factor, :3], tiles[0])
    assert not sheet[side : side + colormaps.GAP].any()


def test_a_sheet_loses_no_colour_in_its_palette():
    from base64 import b64decode
    from io import BytesIO

    sheet = colormaps.sheet(colormaps.maps(drawn(5, 7, 7)), side=63)
    written = colormaps.png(sheet)
    back = np.asarray(Image.open(BytesIO(b64decode(written.partition(",")[2]))).convert("RGBA"))
    np.testing.assert_array_equal(back, sheet)
    assert len(written) < len(images.png(sheet))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return tiny.project(tmp_path_factory.mktemp("project"))


def test_inspect_draws_a_poster_of_the_first_test_image_it_gets_right(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    main.main(["inspect", "models/trained/mlp"])
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "mlp-inside.png: trained/mlp says " in said and "of digits test image 0, labelled " in said
    assert said.split(" says ")[1].split(" ")[0] == said.split("labelled ")[1].split(";")[0]
    first = Path("mlp-inside.png").read_bytes()
    with Image.open("mlp-inside.png") as poster:
        assert poster.format == "PNG" and poster.width > 900
    main.main(["inspect", "models/trained/mlp", "--sample", "0", "--out", "again.png"])
    assert Path("again.png").read_bytes() == first
    main.main(["inspect", "models/trained/mlp", "--sample", "1", "--out", "other.png"])
    assert Path("other.png").read_bytes() != first


def test_inspect_reads_any_picture_as_the_gate_does(project, monkeypatch, capsys, digits):
    monkeypatch.chdir(project)
    image = np.asarray(digits.split("test").images[0])[..., 0]
    wide = np.pad(image.repeat(10, 0).repeat(10, 1), ((0, 0), (30, 30)))
    Image.fromarray(wide).convert("RGB").save("photo.png")
    main.main(["inspect", "models/trained/perceptron", "--image", "photo.png", "--out", "photo-inside.png"])
    assert "of photo.png; what it looks for" in capsys.readouterr().out


def test_a_picture_becomes_the_pixels_that_the_server_makes_of_it(project, tmp_path):
    """As the card says how the training images were made; each way gives others of an oblong picture."""
    path, seen = tmp_path / "oblong.png", set()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 80), dtype=np.uint8)).save(path)
    plain = read(project / "models/trained/mlp")
    for card in ({}, {"resize": "crop"}, {"resize": "pad"}, {"resize": "stretch"}):
        bundle = replace(plain, card=plain.card | {"preprocessing": card})
        image, _ = subject.of_file(path, bundle)
        np.testing.assert_array_equal(image, pixels.picture(path.read_bytes(), preparation(bundle)))
        seen.add(image.tobytes())
    assert len(seen) == 3, "a card that says nothing means crop"
    small = replace(plain, card=plain.card | {"preprocessing": {"max_pixels": 639}})
    with pytest.raises(UserError, match="too many pixels: 80 x 8"):
        subject.of_file(path, small)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["models/trained/nope"], "models/trained/nope is not a bundle"),
        (["models/trained/mlp", "--sample", "99999"], "--sample 99999: data/prepared has test images 0 to "),
        (["models/trained/mlp", "--sample", "-1"], "--sample -1: data/prepared has test images 0 to "),
        (["models/trained/mlp", "--image", "nope.png"], "--image nope.png: unreadable: No such file or directory"),
        (["models/trained/mlp", "--image", "params.yaml"], "--image params.yaml: not an image"),
        (["models/trained/mlp", "--image", "half.png"], "--image half.png: "),
        (["models/trained/mlp", "--out", "nope/x.png"], "nope/x.png: No such file or directory; name a file"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_written(project, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(project)
    Image.fromarray(np.zeros((99, 99), np.uint8)).save("whole.png")
    Path("half.png").write_bytes(Path("whole.png").read_bytes()[:60])
    before = sorted(Path().iterdir())
    with pytest.raises(SystemExit) as ended:
        main.main(["inspect", *arguments])
    assert ended.value.code == 2
    assert f"neocog: {sentence}" in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before
