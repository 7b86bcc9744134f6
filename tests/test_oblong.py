"""Oblong images from a folder to an answer: prepared, trained on, explained, predicted, served. Every stage: test_compression_pipeline."""

import base64
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, save
from servers import Server, assert_answers, start

from neocog import architectures
from neocog.bundle import write
from neocog.bundle.read import Bundle, read
from neocog.core.errors import UserError
from neocog.data import prepared
from neocog.data.prepare import prepare
from neocog.evaluation import predictions
from neocog.evaluation.preparation import preparation
from neocog.inspect import activations, explain
from neocog.inspect.activations_poster import draw
from neocog.inspect.explain import poster
from neocog.inspect.explain.rollout import grid
from neocog.serving import files, predict, predictor
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

SIZE = (12, 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of other proportions than those asked for, and a vision transformer trained on them with every augmentation."""
    root = tmp_path_factory.mktemp("oblong")
    for label in range(2):
        for i in range(30):
            image = picture(i + 1000 * label, width=40 + i, height=30, colour=bool(label))
            save(image, root / f"raw/class{label}/{i}.png")
    data = prepare(root / "prepared", source="folder", root=root / "raw", size=SIZE, workers=1)
    build = partial(architectures.build, "vit", channels=3, size=SIZE, classes=2, sizes={"grid": 3})
    augmented = Recipe(epochs=2, batch_size=16, flip=0.5, crop=2, cutout=4, cutmix=1.0, channels_last=False, threads=1)
    model = fit(build, data, augmented, name="vit", work=root / "work").model
    card = {"kind": "trained", "name": "vit", "architecture": "vit", "sizes": {"grid": 3}, "provenance": {}}
    write.write(root / "vit", model, data, **card)
    return root


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return read(folder / "vit")


def test_files_are_predicted_and_served_as_their_prepared_images_are(folder: Path, bundle: Bundle) -> None:
    data = prepared.read(folder / "prepared")
    assert (data.size, bundle.size, bundle.card["input"]["size"]) == (SIZE, SIZE, [12, 20])
    test = data.split("test")
    assert test.images.shape[1:] == (*SIZE, 3)
    paths = [folder / "raw" / source for source in data.samples("test").column("source").to_pylist()]
    expected = predictor.load(bundle).predictions(np.ascontiguousarray(test.images))
    found = list(predict.predict(predictor.load(bundle), files.find(paths), how=preparation(bundle)))
    np.testing.assert_allclose([answer.prediction for answer in found], expected, rtol=1e-5)
    process, port = start(bundle.folder)
    try:
        server = Server(process, port, bundle, test.images)
        status, told = server.ask(
            {"inputs": [base64.b64encode(paths[0].read_bytes()).decode(), test.images[0].tolist()]}
        )
        refused, why = server.ask({"inputs": [test.images[0].transpose(1, 0, 2).tolist()]})
    finally:
        process.terminate()
        process.communicate()
    assert status == 200, told
    assert_answers(server, told, [0, 0])
    assert refused == 400 and "shape [20, 12, 3], not [12, 20, 3]" in str(why)


def test_networks_are_looked_into_without_bending_the_image(folder: Path, bundle: Bundle) -> None:
    image = np.asarray(prepared.read(folder / "prepared").split("test").images[0])
    told = poster.explained(bundle, image, explain.names())
    assert {"grad_cam", "rollout", "occlusion"} <= set(told.maps)
    assert all(found.shape == SIZE for found in told.maps.values())
    assert poster.draw(told, image, about="").height > poster.FACE
    inside = activations.look(bundle, image)
    assert inside.depths and all(depth.maps.shape[1:] == (3, 5) for depth in inside.depths)  # patches of 4 x 4
    drawn = np.asarray(draw(inside, image, likeliest=[("class0", 0.5)], name="vit", about=""))
    assert drawn.std() > 0


@pytest.mark.parametrize("size", [(12, 20), (20, 12), (28, 28), (30, 97), (8, 64)])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("others", [0, 1])
def test_tokens_lie_where_a_network_strides(size: tuple[int, int], stride: int, others: int) -> None:
    places = (-(-size[0] // stride), -(-size[1] // stride))
    assert grid(places[0] * places[1] + others, image_size=size) == places


def test_other_data_of_the_same_number_of_pixels_are_refused(folder: Path, bundle: Bundle) -> None:
    data = prepare(folder / "turned", source="folder", root=folder / "raw", size=SIZE[::-1], workers=1)
    with pytest.raises(UserError, match=r"size: .* trained with 12 x 20; .* has 20 x 12"):
        predictions.match(bundle, data)
