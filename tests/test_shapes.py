"""What `neocog shapes` says of a layer is what PyTorch does: sizes, receptive fields and unused pixels against outputs and gradients."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from neocog import architectures
from neocog.bundle import export as bundle_onnx
from neocog.core.errors import UserError
from neocog.evaluation import complexity
from neocog.inspect.shapes import fit
from neocog.inspect.shapes.layers import layers, layers_of
from neocog.inspect.shapes.sizes import layers_that_fit, size_without_waste

NAMES = architectures.names()
FORMS = [(name, form) for name in NAMES for form in architectures.card(name).forms if form != architectures.SMALL]

windows = st.fixed_dictionaries(
    {
        "filter": st.integers(1, 6),
        "stride": st.integers(1, 5),
        "padding": st.integers(0, 6),
        "dilation": st.integers(1, 3),
    }
)


def convolution(window):
    """A convolution whose weights are all positive, so that a pixel that counts has a gradient."""
    layer = nn.Conv2d(1, 1, window["filter"], window["stride"], window["padding"], window["dilation"], bias=False)
    nn.init.uniform_(layer.weight, 0.5, 1)
    return layer.double()


def looked_at(model, size, place=...):
    """Rows and columns of a random image that have a gradient, from all outputs or from those at `place`."""
    torch.manual_seed(0)
    image = torch.rand(1, 1, size, size, dtype=torch.double, requires_grad=True)
    model(image)[place].sum().backward()
    touched = image.grad[0, 0] != 0
    return set(touched.any(1).nonzero()[:, 0].tolist()), set(touched.any(0).nonzero()[:, 0].tolist())


@given(st.integers(1, 40), windows)
@settings(max_examples=200, deadline=None)
def test_the_size_of_a_convolution_is_what_pytorch_makes(n, window):
    layer = convolution(window)
    if size := fit.output_size(n, **window):
        assert layer(torch.zeros(1, 1, n, n, dtype=torch.double)).shape[2:] == (size, size)
    else:
        with pytest.raises(RuntimeError):
            layer(torch.zeros(1, 1, n, n, dtype=torch.double))


@given(st.integers(1, 40), windows, st.booleans(), st.sampled_from(["max", "average"]))
@settings(max_examples=200, deadline=None)
def test_the_size_of_a_pooling_is_what_pytorch_makes(n, window, ceil, kind):
    if kind == "average":
        window = window | {"dilation": 1}
    assume(window["padding"] <= window["filter"] // 2)
    sides = (window["filter"], window["stride"], window["padding"])
    layer = nn.MaxPool2d(*sides, window["dilation"], ceil_mode=ceil) if kind == "max" else nn.AvgPool2d(*sides, ceil)
    if size := fit.output_size(n, **window, ceil=ceil):
        assert layer(torch.zeros(1, 1, n, n)).shape[2:] == (size, size)
    else:
        with pytest.raises(RuntimeError):
            layer(torch.zeros(1, 1, n, n))


@given(st.integers(1, 30), windows)
@settings(max_examples=200, deadline=None)
def test_pixels_called_unused_are_those_without_a_gradient(n, window):
    assume(fit.output_size(n, **window))
    rows, columns = looked_at(convolution(window), n)
    assert rows == columns == fit.looked_at(n, **window)
    assert fit.unused(n, **window) == n - len(rows)


@given(st.integers(1, 30), windows, st.booleans())
@settings(max_examples=100, deadline=None)
def test_so_it_is_under_a_pooling_whose_last_window_may_stand_out(n, window, ceil):
    window = window | {"dilation": 1, "ceil": ceil}
    assume(window["padding"] <= window["filter"] // 2 and fit.output_size(n, **window))
    layer = nn.AvgPool2d(window["filter"], window["stride"], window["padding"], ceil_mode=ceil)
    assert looked_at(layer, n)[0] == fit.looked_at(n, **window)


@given(st.integers(1, 30), windows)
@settings(max_examples=200, deadline=None)
def test_the_padding_and_the_size_that_are_proposed_leave_no_pixel_out(n, window):
    assume(fit.output_size(n, **window))
    if (padding := fit.padding_that_fits(n, **window)) is not None:
        assert len(looked_at(convolution(window | {"padding": padding}), n)[0]) == n
        for less in range(window["padding"], padding):
            assert len(looked_at(convolution(window | {"padding": less}), n)[0]) < n
    if (size := fit.size_that_fits(n, **window)) is not None:
        assert len(looked_at(convolution(window), size)[0]) == size


class Branches(nn.Module):
    """What goes two ways and comes together again, as a sum or as more maps."""

    def __init__(self, left, right, *, join):
        super().__init__()
        self.left, self.right, self.join = left, right, join

    def forward(self, images):
        left, right = self.left(images), self.right(images)
        return left + right if self.join == "sum" else torch.cat([left, right], 1).mean(1, keepdim=True)


class ChannelsLast(nn.Module):
    """As in ConvNeXt: a norm and a linear layer over the maps of each place, which see no other place."""

    def __init__(self, maps):
        super().__init__()
        self.up = nn.Conv2d(1, maps, 1).double()
        self.norm, self.mix = nn.LayerNorm(maps).double(), nn.Linear(maps, 1).double()

    def forward(self, images):
        return self.mix(self.norm(self.up(images).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class Patches(nn.Module):
    """As in Swin: attention among the places of a window of 4 x 4."""

    def forward(self, images):
        N, C, H, W = images.shape
        tokens = images.view(N, C, H // 4, 4, W // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, C)
        mixed = (tokens @ tokens.transpose(1, 2)).softmax(-1) @ tokens
        return mixed.view(N, H // 4, W // 4, 4, 4, C).permute(0, 5, 1, 3, 2, 4).reshape(N, C, H, W)


def odd(filter, stride=1, dilation=1):
    """A convolution that divides the size by its stride, as branches that meet again must."""
    return convolution({"filter": filter, "stride": stride, "padding": dilation * (filter // 2), "dilation": dilation})


steps = st.one_of(
    st.builds(odd, st.sampled_from([1, 3, 5]), st.integers(1, 2), st.integers(1, 2)),
    st.builds(lambda f, p: nn.AvgPool2d(f, 1, p), st.just(3), st.integers(0, 1)),
    st.builds(
        lambda s, join: Branches(nn.Sequential(odd(3, s), odd(3)), odd(1, s), join=join),
        st.integers(1, 2),
        st.sampled_from(["sum", "maps"]),
    ),
    st.builds(lambda: nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(3, 2))),
    st.builds(lambda: ChannelsLast(4)),
)


@given(st.lists(steps, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_the_receptive_field_and_the_jump_are_those_of_the_gradient(parts):
    model = nn.Sequential(*parts)
    size = 96
    last = layers(model.float(), channels=1, size=size)[-1]
    model.double()
    middle = max(last.output) // 2
    one = looked_at(model, size, (0, slice(None), middle, middle))[0]
    next_one = looked_at(model, size, (0, slice(None), middle + 1, middle + 1))[0]
    assert last.receptive_field == (max(one) - min(one) + 1,) * 2
    assert last.jump == (min(next_one) - min(one),) * 2


def test_attention_in_windows_sees_no_more_than_its_window():
    model = nn.Sequential(odd(3), Patches(), odd(3))
    found = layers(model.float(), channels=1, size=32)
    assert [layer.receptive_field for layer in found] == [(3, 3), (6, 6), (6, 6)]  # half of the last see two windows
    assert not any(layer.sees_all for layer in found)
    inner, edge = (looked_at(model.double(), 32, (0, 0, place, place))[0] for place in (14, 15))
    assert max(inner) - min(inner) + 1 == 6
    assert max(edge) - min(edge) + 1 == 10


@pytest.mark.parametrize(
    ("name", "known"), [("alexnet", 195), ("vgg16", 212), ("inception_v3", 1311), ("resnet50", 427)]
)
def test_published_networks_have_the_receptive_fields_of_the_literature(name, known):
    """Araujo et al. (2019), table 1; ResNet-50 in torchvision's form, whose stride is in the 3x3 layer (483 with it before)."""
    options = {"init_weights": False} if name == "inception_v3" else {}
    _, found = layers_of(lambda: torchvision.models.get_model(name, weights=None, **options), channels=3, size=299)
    maps = [step for step in found if len(step.output) == 3 and "Adaptive" not in step.kind]
    assert maps[-1].receptive_field == (known, known)


def test_attention_over_all_patches_sees_the_whole_image():
    _, found = layers_of(torchvision.models.vit_b_16, channels=3, size=224)
    first = next(layer for layer in found if layer.sees_all)
    assert first.kind == "MultiheadAttention"
    assert found[0].receptive_field == found[0].jump == (16, 16)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_multiplications_of_every_architecture_add_up(name):
    size = (28, 20)
    model = architectures.build(name, channels=1, size=size, classes=10).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, *size))
    _, found = layers_of(lambda: architectures.build(name, channels=1, size=size, classes=10), channels=1, size=size)
    assert 2 * sum(layer.macs for layer in found) == counter.get_total_flops() > 0
    total = sum(parameter.numel() for parameter in model.parameters())
    counted = sum(layer.params for layer in found)
    assert counted == total or (hasattr(model, "auxiliary") and 0 < counted < total)
    assert found[-1].output == (10,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "vgg", "resnet"])
def test_the_multiplications_are_those_of_the_graph_that_is_shipped(name, tmp_path):
    model = architectures.build(name, channels=1, size=28, classes=10).eval()
    images = np.zeros((2, 28, 28, 1), np.uint8)
    bundle_onnx.export(
        bundle_onnx.Deployed(model, mean=(0.5,), std=(0.5,), task="classification").eval(),
        tmp_path / "model.onnx",
        images=images,
    )
    assert sum(layer.macs for layer in layers(model, channels=1, size=28)) == complexity.macs(tmp_path / "model.onnx")


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_every_published_form_is_looked_through_without_its_memory(name, form):
    model, found = layers_of(
        lambda: architectures.build(name, channels=3, size=224, classes=1000, sizes={"form": form}),
        channels=3,
        size=224,
    )
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    params, macs = architectures.card(name).forms[form]
    assert sum(layer.params for layer in found) == params
    assert sum(layer.macs for layer in found) == macs


def test_the_maps_of_lenet_are_those_of_the_paper():
    model = architectures.build("lenet", channels=1, size=28, classes=10)
    found = layers(model, channels=1, size=28)
    assert [layer.output for layer in found if layer.kind in ("Conv2d", "AvgPool2d", "Linear")] == [
        (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120,), (84,), (10,)
    ]  # fmt: skip
    assert sum(layer.params for layer in found) == 61_706
    assert found[0].activation_bytes == 4 * 6 * 28 * 28


def test_what_happens_in_place_takes_no_memory():
    first, second = (
        sum(layer.activation_bytes for layer in layers(nn.Sequential(odd(3), act).float(), channels=1, size=8))
        for act in (nn.ReLU(inplace=True), nn.ReLU())
    )
    assert (first, second) == (4 * 64, 2 * 4 * 64)


@pytest.mark.parametrize("size", [28, 29, 30, 31, 32])
def test_a_warning_counts_what_a_layer_leaves_and_names_the_image_that_cures_it(size):
    model = nn.Sequential(odd(5), nn.AvgPool2d(2), odd(3), nn.AvgPool2d(3), nn.AvgPool2d(2)).float()
    found = layers(model, channels=1, size=size)
    for number, layer in enumerate(found):
        n = layer.input[-1]
        left = n - len(looked_at(model[number].double(), n)[0])
        assert bool(layer.warning) == (left > 0)
        if layer.warning:
            assert f"{left} of {n} rows and columns" in layer.warning
            better = int(re.search(r"--image (\d+)", layer.warning)[1])
            assert better > size
            assert layers(model.float(), channels=1, size=better)[number].warning is None
    assert any(layer.warning for layer in found) or size % 12 == 0


@pytest.mark.parametrize(("size", "whole"), [((29, 29), (32, 32)), ((29, 45), (32, 48)), ((32, 45), (32, 48))])
def test_the_image_proposed_in_the_end_leaves_no_pixel_out_in_any_layer(size, whole):
    def build(size):
        return architectures.build("vgg", channels=1, size=size, classes=10)

    _, found = layers_of(lambda: build(size), channels=1, size=size)
    assert sum(layer.warning is not None for layer in found) > 1
    better = size_without_waste(build, found, channels=1, size=size)
    assert better == whole
    assert not any(layer.warning for layer in layers_of(lambda: build(better), channels=1, size=better)[1])


def test_what_another_branch_looks_at_is_not_unused():
    halving = odd(1, 2).float()
    alone = layers(nn.Sequential(halving), channels=1, size=28)
    assert "14 of 28 rows and columns" in alone[0].warning and "filter of 2" in alone[0].warning
    beside = layers(Branches(odd(3, 2).float(), halving, join="sum"), channels=1, size=28)
    assert [layer.warning for layer in beside] == [None] * 3


def test_an_image_that_is_too_small_is_answered_with_the_smallest_that_works():
    def build(size):
        return torchvision.models.alexnet()

    with pytest.raises(UserError, match=r"features\.5 \(MaxPool2d\) gets 1 x 1 pixels.* --image 63$"):
        layers_that_fit(build, channels=3, size=(16, 16))
    assert layers_that_fit(build, channels=3, size=(63, 63))[1][-1].output == (1000,)


def test_the_next_size_is_found_where_only_multiples_work():
    def build(size):
        form = {"form": "vit_base_patch16_224"}
        return architectures.build("vit", channels=3, size=size, classes=10, sizes=form)

    with pytest.raises(UserError) as refused:
        layers_that_fit(build, channels=3, size=(100, 100))
    assert str(refused.value).endswith("a multiple of 16, not 100; the next that works is --image 112")
    assert "data.size" not in str(refused.value)
    with pytest.raises(UserError, match=r"multiple of 16, not 100 x 200; the next that works is --image 112x208$"):
        layers_that_fit(build, channels=3, size=(100, 200))


def test_what_no_size_cures_is_said_as_it_is():
    def build(size):
        return architectures.build("hybrid", channels=1, size=size, classes=10, sizes={"heads": 5})

    with pytest.raises(UserError, match=r"^hybrid\.widths: the last \(=96\) must be a multiple of heads \(=5\)$"):
        layers_that_fit(build, channels=1, size=(28, 28))


def shapes(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "neocog.cli.main", "shapes", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_the_command_prints_one_table_that_fits_into_100_columns(tmp_path):
    ended = shapes("resnet", "--image", "30", "--classes", "7", cwd=tmp_path, env=os.environ | {"COLUMNS": "100"})
    assert ended.returncode == 0, ended.stderr
    assert max(map(len, ended.stdout.splitlines())) <= 100
    assert "resnet: an image of 1 x 30 x 30, 7 classes" in ended.stdout
    assert "…" not in ended.stdout
    total = sum(p.numel() for p in architectures.build("resnet", channels=1, size=30, classes=7).parameters())
    assert f"{total:,} parameters" in ended.stdout


def test_an_unknown_form_ends_with_2_and_the_nearest(tmp_path):
    ended = shapes("resnet", "--form", "resnet5", cwd=tmp_path)
    assert ended.returncode == 2
    assert "did you mean 'resnet50'" in ended.stderr


def test_its_help_teaches_the_formula():
    said = shapes("--help").stdout
    assert "(N - F + 2P) / S + 1" in said and "example" in said
