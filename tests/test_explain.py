"""Where a network looked: each method on each architecture, what its definition promises, and that it asks these weights and no others."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from neocog import architectures
from neocog.bundle import write
from neocog.cli import main
from neocog.data.augment import normalize
from neocog.evaluation import predictions
from neocog.inspect import explain
from neocog.inspect.explain import batch_size, gallery
from neocog.tasks import task as tasks
from neocog.tasks.classification import examples
from neocog.tasks.classification import predictions as class_predictions
from neocog.training.fit import fit
from neocog.training.recipe import Recipe

LADDER = [name for name in architectures.names() if name != "timm"]
WITH_ATTENTION = {"vit", "hybrid"}
CLASS_GIVEN = [name for name in explain.names() if name != "rollout"]


def network(name: str, *, size: int | tuple[int, int] = 28, classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    built = architectures.build(name, channels=1, size=size, classes=classes)
    if hasattr(built, "drop_auxiliary"):
        built.drop_auxiliary()
    return built.eval()


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A vision transformer trained on digits, as a bundle, with its test images as it takes them."""
    folder = tmp_path_factory.mktemp("explained")
    build = partial(architectures.build, "vit", channels=1, size=8, classes=10, sizes={})
    recipe = Recipe(epochs=3, optimizer="adamw", lr=0.003, batch_size=64, channels_last=False, threads=1)
    model = fit(build, digits, recipe, name="vit", work=folder / "work").model
    card = {"kind": "trained", "name": "vit", "architecture": "vit", "sizes": {}}
    return write.write(folder / "vit", model, digits, **card, provenance={"data_digest": digits.digest, "seed": 0})


@pytest.fixture(scope="module")
def asked(trained, digits):
    """(network, images, targets) of 24 test images and what it says of them."""
    model = explain.network(trained)
    images = explain.inputs(trained, digits.split("test").images[:24])
    with torch.no_grad():
        return model, images, model(images).argmax(dim=1)


@pytest.mark.parametrize("method", explain.names())
@pytest.mark.parametrize("name", LADDER)
def test_each_method_says_something_of_each_architecture_or_why_not(name, method):
    model = network(name, size=(28, 21))  # square ones: the tests below
    images = torch.randn(2, 1, 28, 21, generator=torch.Generator().manual_seed(0))
    chosen = explain.method(method)
    if why := chosen.missing(model, images):
        steps = name == "madaline" and "steps" in why
        assert (
            steps
            or (method == "rollout") == (name not in WITH_ATTENTION)
            or (method == "grad_cam" and "features" in why)
        )
        return
    found = chosen.maps(model, images, torch.tensor([0, 2]))
    assert found.shape == (2, 28, 21) and found.isfinite().all()
    assert chosen.SIGNED or found.min() >= 0
    assert not found.requires_grad and all(p.grad is None for p in model.parameters()), "the network is left as it was"


def test_it_takes_images_as_training_did(trained, digits):
    image = digits.split("test").images[:3]
    mean, std = (torch.tensor(values) * 255 for values in (digits.mean, digits.std))
    given = normalize(torch.from_numpy(image.copy()), mean=mean, std=std)
    torch.testing.assert_close(explain.inputs(trained, image), given, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        ours = explain.network(trained)(explain.inputs(trained, image)).numpy()
    np.testing.assert_allclose(ours, predictions.outputs(trained, image, batch_size=3), atol=1e-3)


@pytest.mark.parametrize(("size", "most"), [(8, 6272), (28, 512), (64, 98), (224, 8), (2000, 1)])
def test_what_goes_through_a_network_together_is_bounded_by_pixels(size, most):
    assert batch_size(torch.empty(12, 1, size, size)) == most


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_memory_does_not_grow_with_the_size_of_images_and_answers_stay(method, monkeypatch):
    torch.manual_seed(0)
    batches: list[int] = []

    class Watched(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(4)
            )

        def forward(self, images):
            batches.append(len(images))
            return self.layers(images)

    model, images, targets = Watched().eval(), torch.randn(6, 1, 12, 12), torch.tensor([0, 1, 2, 3, 0, 1])
    model(images)
    together_ = explain.method(method).maps(model, images, targets)
    batches.clear()
    monkeypatch.setattr("neocog.inspect.explain.PIXELS", 4 * 12 * 12)
    few = explain.method(method).maps(model, images, targets)
    assert max(batches) <= (4 if method == "integrated_gradients" else len(images))
    torch.testing.assert_close(few, together_, rtol=1e-3, atol=1e-5)


def test_the_parts_of_integrated_gradients_add_up_to_what_the_logit_rose_by(asked):
    model, images, targets = asked
    found = explain.method("integrated_gradients").maps(model, images, targets, steps=256)
    with torch.no_grad():
        rise = (model(images) - model(torch.zeros_like(images))).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(found.sum(dim=(1, 2)), rise, rtol=0.02, atol=0.05)


class Corner(nn.Module):
    """Sees only the upper left quarter; its features are the image itself."""

    def forward_features(self, images):
        return images

    def head(self, features):
        bright = features[:, :, :14, :14].mean(dim=(1, 2, 3))
        return torch.stack([bright, -bright], dim=1)

    def forward(self, images):
        return self.head(self.forward_features(images))


@pytest.mark.parametrize("method", CLASS_GIVEN)
def test_what_is_pointed_at_is_what_the_network_sees(method):
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)) + 0.1
    found = explain.method(method).maps(Corner(), images, torch.tensor([0, 0]))
    seen = found[:, :14, :14].abs().sum(dim=(1, 2))
    assert (seen > 0).all()
    if method != "grad_cam":  # its gradient is a mean over the places of a map: it points at maps, then at places
        assert (seen / found.abs().sum(dim=(1, 2)) > 0.75).all(), "a patch reaches half its width beyond"


def test_another_class_has_another_map(asked):
    model, images, targets = asked
    for method in CLASS_GIVEN:
        maps = explain.method(method).maps
        assert not torch.allclose(maps(model, images[:4], targets[:4]), maps(model, images[:4], (targets[:4] + 1) % 10))


@pytest.mark.parametrize("method", explain.names())
def test_with_other_weights_the_map_is_another_one(asked, method):
    """The sanity check of Adebayo et al. (2018), arXiv:1810.03292: an edge detector would pass by without noticing."""
    from scipy.stats import spearmanr

    model, images, targets = asked
    before = explain.method(method).maps(model, images, targets)
    again = explain.method(method).maps(model, images, targets)
    torch.testing.assert_close(before, again)
    other, chance = network("vit", size=8, classes=10), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in other.parameters():
            weights.normal_(0, 0.2, generator=chance)
    after = explain.method(method).maps(other, images, targets)
    alike = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(before.numpy(), after.numpy(), strict=True)]
    assert abs(np.nanmean(alike)) < 0.5


def test_the_verb_draws_all_that_have_something_to_say(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((30, 20, 3), 200, np.uint8)).save("shoe.png")
    main.main(["explain", str(trained.folder), "--image", "shoe.png", "--of", "3"])
    said = capsys.readouterr().out
    assert (
        "vit-explained.png: what speaks for 3 in shoe.png, by grad_cam, integrated_gradients, occlusion, rollout, saliency"
        in said
    )
    assert Image.open("vit-explained.png").width > 6 * 200


@pytest.mark.parametrize(
    "wrong",
    [
        (["--of", "thirteen"], "--of thirteen: trained/vit knows no such class"),
        (["--method", "gradcam"], "did you mean 'grad_cam'?"),
        (["--image", "nothing.png"], "nothing.png"),
    ],
)
def test_wrong_input_gets_a_sentence(trained, tmp_path, monkeypatch, capsys, wrong):
    arguments, said = wrong
    monkeypatch.chdir(tmp_path)
    if "--image" not in arguments:
        Image.fromarray(np.full((8, 8), 200, np.uint8)).save("shoe.png")
        arguments = [*arguments, "--image", "shoe.png"]
    with pytest.raises(SystemExit) as left:
        main.main(["explain", str(trained.folder), *arguments])
    assert left.value.code == 2 and said in capsys.readouterr().err
    assert not list(tmp_path.glob("*-explained.png"))


def test_the_gallery_reaches_the_page(trained, digits, tmp_path):
    from neocog.inspect.explain import gallery
    from neocog.report.explanations import chapter
    from neocog.report.explanations.read import read

    test = digits.split("test")
    judged = class_predictions.of(
        predictions.outputs(trained, test.images, batch_size=64), ids=test.ids, targets=test.targets
    )
    [(bundle, model, methods)] = gallery.choose([trained], test.images)
    assert methods == ("grad_cam", "rollout", "integrated_gradients"), "one model, shown once"
    rows = examples.choose(judged, images=3)
    right, unsure, sure = rows.values()
    hit = judged.predicted == judged.labels
    assert all(hit[right]) and not any(hit[unsure]) and not any(hit[sure]) and not set(unsure) & set(sure)
    assert len({int(judged.labels[row]) for row in right}) == len(right) == 3, "of different classes"
    chosen = [row for of_kind in rows.values() for row in of_kind]
    targets = examples.answered(judged, chosen)
    maps = gallery.maps(bundle, model, methods, images=test.images[chosen], targets=targets)
    shown = gallery.shown(bundle, methods, rows)
    gallery.write(tmp_path / "explained", [shown], {f"{bundle.model}/{name}": found for name, found in maps.items()})
    [found] = read(tmp_path)
    assert found.rows == rows and found.maps["grad_cam"].shape == (len(chosen), 8, 8)
    faces = dict(chapter._faces(found, _Asked(judged), test.images, digits.classes))
    drawn = chapter.ExplanationFigures((("ViT", tuple(found.maps), faces),))
    page = chapter.chapter(drawn).markup
    assert page.count("data:image/png") == len(chosen) and "Grad-CAM" in page and 'id="explained"' in page
    assert chapter.chapter(None).markup == ""


class _Asked:
    def __init__(self, judged) -> None:
        self.predictions, self.scores, self.task = (
            judged,
            judged.predicted == judged.labels,
            tasks.task("classification"),
        )

    def label_and_confidence(self, row: int) -> tuple[str, float]:
        return str(self.predictions.predicted[row]), float(self.predictions.confidence[row])


def test_the_cost_is_told_beforehand_where_it_is_large(asked, monkeypatch):
    """A batch of all takes 2 s forward and backward (the first pass 9 s), or 0.2 s: the control."""
    model, images, _ = asked
    methods = ("grad_cam", "integrated_gradients")
    for took, words in ((2.0, "about 130 s for trained/vit: 24 images of 8 px by grad_cam"), (0.2, "")):
        ticks = iter([0.0, 9.0, 9.0, 9.0 + took, 20.0, 25.0])
        monkeypatch.setattr(gallery, "perf_counter", lambda: next(ticks))  # noqa: B023
        warning = gallery.cost_warning("trained/vit", model, images, methods, each=8)
        assert words in warning and bool(words) == bool(warning)
        assert all(parameter.grad is None for parameter in model.parameters()), "the network is left as it was"
