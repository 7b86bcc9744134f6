"""The support matrix: every architecture x every method works, or says why not. Nothing is claimed that this walk has not seen."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from neocog import architectures, compression
from neocog.bundle import read, widths, write
from neocog.compression.chain import channels, export, feature_distillation, finetune
from neocog.compression.chain.candidate import Candidate, begin, normalized
from neocog.compression.chain.fake_quantization import Rounded
from neocog.compression.distill import SoftTargets
from neocog.core.errors import NeocogError, UserError
from neocog.training.recipe import Recipe

NAMES = architectures.names()
GRAPHS = [
    name
    for name in compression.names()
    if (compression.card(name).on, compression.card(name).trains) == ("graph", "never")
]
EXPORTED = (
    "resnet",
    "googlenet",
    "mobilenet",
    "shufflenet",
    "vit",
)  # pruned graphs held against their networks: five seconds each


def network(name, data):
    torch.manual_seed(0)
    model = architectures.build(name, channels=data.channels, size=data.size, classes=10)
    if hasattr(model, "drop_auxiliary"):
        model.drop_auxiliary()
    for parameter in model.parameters():
        if not parameter.any():  # a perceptron begins at 0, where every answer agrees
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def candidates(digits, tmp_path_factory):
    """A candidate of each architecture, of random weights, as if its bundle had been read."""
    folder = tmp_path_factory.mktemp("bundles")
    made = {}
    for name in NAMES:
        bundle = write.write(
            folder / name,
            network(name, digits),
            digits,
            kind="trained",
            name=name,
            architecture=name,
            sizes={},
            provenance={"data_digest": digits.digest, "seed": 0},
        )
        made[name] = begin(bundle)
    return made


def params(model):
    return sum(parameter.numel() for parameter in model.parameters())


def logits(graph, images):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]


def walk(method, step, candidates, data, check, **more):
    """Apply `step` to every architecture: how many worked; every other one raised an error that names it or the setting."""
    worked, refused = [], {}
    for name, candidate in candidates.items():
        try:
            changed = compression.apply({"method": method, **step}, candidate, data, **more)
        except NeocogError as error:
            refused[name] = str(error)
            continue
        check(candidate, changed)
        worked.append(name)
    assert set(worked) | set(refused) == set(NAMES)
    assert set(compression.card(method).refuses) <= set(refused)
    return worked, refused


@pytest.mark.slow
def test_channels_are_gone_everywhere_and_graphs_agree(candidates, digits):
    image = channels.example(digits)

    def check(before, after):
        name = before.architecture
        assert params(after.network) < 0.7 * params(before.network), name
        assert channels.macs(after.network, image) < 0.7 * channels.macs(before.network, image), name
        record = json.loads(json.dumps(widths.widths(after.network, built=network(name, digits))))
        again = widths.narrow(network(name, digits), record, after.network.state_dict())
        again.load_state_dict(after.network.state_dict())
        real = torch.from_numpy(digits.split("val").images[:32].copy()).permute(0, 3, 1, 2).float()
        assert torch.equal(again.eval()(real), after.network(real)), name
        if name in EXPORTED:
            after.exported(digits)  # raises ParityError

    worked, refused = walk("prune_structured", {"importance": "magnitude"}, candidates, digits, check)
    assert sorted(refused) == ["adaline", "perceptron", "svm"]
    assert len(worked) == len(NAMES) - 3


@pytest.mark.slow
def test_weights_are_zero_everywhere(candidates, digits):
    def check(before, after):
        weights = [module.weight for module in after.network.modules() if isinstance(module, channels.WEIGHTED)]
        zeros = sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
        assert 0.79 < zeros < 0.82, before.architecture
        with torch.no_grad():
            assert torch.isfinite(after.network(channels.example(digits))).all()

    _, refused = walk("prune_unstructured", {"sparsity": 0.8}, candidates, digits, check)
    assert list(refused) == ["svm"]


class Exported(Candidate):
    """A candidate whose graph need not be exported again: it is its parent's."""

    def exported(self, data):
        return onnx.load(self.parent.folder / read.GRAPH)


@pytest.mark.slow
@pytest.mark.parametrize("method", GRAPHS)
def test_graphs_are_really_integer_or_half_and_agree_with_what_they_simulate(method, candidates, digits):
    images = np.ascontiguousarray(digits.split("val").images[:256])
    kinds = {
        "half": {onnx.TensorProto.FLOAT16},
        "weight_only": {onnx.TensorProto.INT8},
        "quantize_static": {onnx.TensorProto.INT8},
        "quantize_dynamic": {onnx.TensorProto.INT8, onnx.TensorProto.UINT8},
    }
    unchanged = {name: Exported(**vars(candidate)) for name, candidate in candidates.items()}

    def check(before, after):
        name, graph = before.architecture, before.exported(digits)
        onnx.checker.check_model(after.graph)
        assert kinds[method] & {tensor.data_type for tensor in after.graph.graph.initializer}, name
        answers, originals = logits(after.graph, images), logits(graph, images)
        simulated = export.logits(after.graph, images, plainly=True)
        assert np.corrcoef(answers.ravel(), simulated.ravel())[0, 1] > 0.995, name
        assert answers.dtype == np.float32 and np.isfinite(answers).all()
        sizes = [sum(len(tensor.SerializeToString()) for tensor in g.graph.initializer) for g in (after.graph, graph)]
        assert sizes[0] < 0.6 * sizes[1], (name, sizes)
        correlation = np.corrcoef(answers.ravel(), originals.ravel())[0, 1]
        assert correlation > 0.9, (name, correlation)

    worked, refused = walk(method, {}, unchanged, digits, check)
    assert set(refused) == set(compression.card(method).refuses), refused
    assert len(worked) >= len(NAMES) - 2


@pytest.mark.slow
def test_rounding_in_training_is_the_rounding_of_the_integer_graph_everywhere(candidates, digits):
    unchanged = {name: Exported(**vars(candidate)) for name, candidate in candidates.items()}
    images = np.ascontiguousarray(digits.split("train").images[:128])
    seen = normalized(images, digits)
    closer = []

    def check(before, after):
        rounded = Rounded(before.copied(), bits=7, images=[seen])
        with torch.no_grad():
            simulated, floats = (net(seen).numpy() for net in (rounded, before.network))
        integers = export.logits(after.graph, images, plainly=True)
        assert np.corrcoef(simulated.ravel(), integers.ravel())[0, 1] > 0.995, before.architecture
        closer.append(np.abs(simulated - integers).mean() < np.abs(floats - integers).mean())

    def untrained(candidate, auxiliary_loss=None):
        return candidate

    worked, refused = walk("quantize_aware", {"images": 128}, unchanged, digits, check, train=untrained)
    assert set(refused) == set(compression.card("quantize_aware").refuses), refused
    assert len(worked) == len(NAMES) - 5
    assert sum(closer) >= len(worked) - 1, "than the network that nothing rounds"


@pytest.mark.slow
def test_every_network_of_maps_can_take_hints_and_teach(candidates, digits):
    answers = SoftTargets(torch.zeros(digits.num_images("train"), 10), temperature=1.0, share=0.5)
    images = channels.example(digits)
    refused = []
    for name, candidate in candidates.items():
        pair = (candidate.copied(), candidates["resnet"].network)
        try:
            for student, teacher in (pair, pair[::-1]):
                watched, guide = feature_distillation.give(student, teacher, digits, answers, hints=1.0, attention=0.0)
                assert torch.allclose(watched.eval()(images), student(images), rtol=1e-3, atol=1e-4), name
                guide.attach(watched.train())
                loss = guide.loss(watched(images), guide.rows[:2])
                loss.backward()
                assert loss > 0 and watched.translation.weight.grad.any(), name
        except UserError as error:
            assert "no maps" in str(error), name
            refused.append(name)
    assert sorted(refused) == ["adaline", "dbn", "madaline", "mlp", "perceptron", "svm", "timm"]


@pytest.mark.slow
def test_every_student_learns_from_a_teacher(candidates, digits, tmp_path):
    brief = Recipe(epochs=1, images=256, batch_size=64, optimizer="adamw", lr=0.002, label_smoothing=0.0, threads=1)
    teacher = str(candidates["resnet"].parent.folder)

    def check(before, after):
        pairs = zip(before.network.parameters(), after.network.parameters(), strict=True)
        assert any(not torch.equal(*pair) for pair in pairs), before.architecture
        assert all(parameter.isfinite().all() for parameter in after.network.parameters()), before.architecture

    train = finetune.trainer(digits, brief, name="walk", work=tmp_path)
    _, refused = walk("distill", {"teachers": [teacher]}, candidates, digits, check, train=train)
    assert set(refused) == set(compression.card("distill").refuses)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["temperature", "thresholds"])
def test_what_works_on_logits_works_on_every_graph(method, candidates, digits):
    def check(before, after):
        assert np.isfinite(logits(after.graph, digits.split("val").images[:64])).all()

    assert walk(method, {}, candidates, digits, check)[0] == NAMES
