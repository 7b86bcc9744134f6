"""Whatever is wrong in params.yaml: one sentence that names the key, its value and the nearest valid choice; exit 2; nothing written."""

import resource
import subprocess
import sys

import pytest
import yaml

from neocog import architectures
from neocog.core.errors import UserError
from neocog.params import load
from neocog.training.recipe import KEYS

WRONG = [  # (what stands there, what is put there, what the message must say)
    ("epochs: 6", "epohcs: 6", ["train.epohcs (=6)", "did you mean 'epochs'?"]),
    ("  lr: 0.2 ", "  lr: '1e-5' ", ["train.lr (='1e-5')", "write 1e-05"]),
    ("epochs: 6", "epochs: '7'", ["train.epochs (='7')", "write 7"]),
    ("  lr: 0.2 ", "  lr: 'inf' ", ["train.lr (='inf')", "valid number"]),
    ("  lr: 0.2 ", "  lr: &lr [*lr] ", ["train: an alias", "only numbers"]),
    ("  lr: 0.2 ", "  lr: .inf ", ["train.lr (=inf)", "finite"]),
    ("  lr: 0.2 ", "  lr: -1 ", ["train.lr (=-1)", "greater than 0"]),
    ("optimizer: sgd", "optimizer: agd", ["train.optimizer (='agd')", "did you mean 'sgd'?"]),
    ("epochs: 6", "epochs: 2.5", ["train.epochs (=2.5)", "integer"]),
    ("epochs: 6", "epochs: true", ["train.epochs (=True)"]),
    ("  momentum: 0.9", "  momentum: 0.9\n  momentum: 0.8", ["duplicate key 'momentum'"]),
    ("betas: [0.9, 0.999]", "betas: [0.9]", ["train.betas"]),
    ("devices: 1", "devices: many", ["train.devices (='many')"]),
    ("strategy: auto", "strategy: ddp", ["strategy (=ddp)", "devices (=1)"]),
    ("momentum: 0.9", "momentum: 0", ["nesterov (=true)", "momentum"]),
    ("  mixup: 0.0 ", "  mixup: -0.1 ", ["train.mixup (=-0.1)", "greater than or equal to 0"]),
    ("\n  resnet:", "\n  resnett:", ["architectures.resnett", "did you mean 'resnet'?"]),
    ("    depths: [1, 1, 1, 1]", "    depths: [1, 1]", ["architectures.resnet", "equally long"]),
    ("    width: 1 ", "    widht: 1 ", ["architectures.lenet.widht (=1)", "did you mean 'width'?"]),
    (
        "    form: small ",
        "    form: resnet51 ",
        ["architectures.resnet.form (='resnet51')", "did you mean 'resnet50'?"],
    ),
    (
        "    form: small ",
        "    form: resnet50 ",
        [
            "architectures.resnet: form (=resnet50)",
            "widths (=[24, 48, 96, 192])",
            "remove widths, depths, stem_stride, or set",
        ],
    ),
    ("    stem_stride: 2", "    norm: bach", ["architectures.resnet.norm (='bach')", "did you mean 'batch'?"]),
    ("    stem_stride: 2", "    pooling: max", ["architectures.resnet.pooling (='max')", "unknown key"]),
    ("    landmarks: 1000", "    landmarks: 0", ["architectures.svm.landmarks (=0)", "greater than or equal to 1"]),
    (
        "    margin: 1.0",
        "    margin: 1.0\n    norm: batch",
        ["architectures.perceptron.norm (='batch')", "unknown key"],
    ),
    (
        "    margin: 1.0",
        "    margin: 1.0\n    mixup: 0.2",
        ["architectures.perceptron.mixup (=0.2)", "its own learning rule"],
    ),
    (
        "source: fashion_mnist",
        "source: fashion-mnist",
        ["data.source (='fashion-mnist')", "did you mean 'fashion_mnist'?"],
    ),
    ("val_fraction: 0.08333333", "val_fraction: 0.9", ["val_fraction (=0.9)", "test_fraction (=0.15)"]),
    ("root: data/raw", "root: ''", ["data.root (='')", "at least 1 character"]),
    ("root: data/raw", "root: ~/images", ["root (='~/images')", "DVC knows no ~"]),
    ("root: data/raw", "root: data", ["root (='data')", "data/prepared"]),
    ("root: data/raw", "root: .", ["root (='.')", "data/prepared"]),
    ("root: data/raw", "root: data/raw/../prepared/x", ["data/prepared", "must not lie in each other"]),
    ("groups: null", "groups: groups.csv", ["groups (='groups.csv')", "inside root (='data/raw')", "DVC"]),
    ("groups: null", "groups: data/raw/../groups.csv", ["groups (=", "must lie inside root"]),
    ("\ntrain: ", "\ntrian: ", ["trian: unknown section", "did you mean 'train'?"]),
    ("epochs: 6", "epochs: 2026-01-01", ["train", "numbers, text"]),
    ("size: null", "size: 2", ["data.size (=2)", "greater than or equal to 4"]),
    ("size: null", "size: [28, 2]", ["size (=[28, 2])", "[height, width] of 4 to 1024"]),
    ("size: null", "size: [28]", ["size (=[28])", "[height, width]"]),
    ("size: null", "size: 28 x 40", ["data.size (='28 x 40')"]),
    ("data: ", "data: [", ["not valid YAML"]),
    ("  resnet-int8:", "  resnet/int8:", ["compress.resnet/int8", "letters, digits"]),
    (
        "    model: trained/vgg",
        "    model: trained/vggg",
        ["compress.vgg-int8.model (='trained/vggg')", "did you mean 'trained/vgg'?"],
    ),
    ("    model: trained/vgg", "    model: compressed/resnet-pruned", ["compress.vgg-int8.model", "further down"]),
    (
        "    stem_stride: 2",
        "    weights: ./models/trained/vgg/weights.safetensors\n    stem_stride: 2",
        [
            "architectures.resnet.weights (='./models/trained/vgg/weights.safetensors') is written by another stage",
            "name a copy instead, such as first-weights after `cp -rL models/trained/vgg first-weights`",
        ],
    ),
    (
        "student: lenet,",
        "student: lenet, sizes: {weights: models/tuned/lenet},",
        ["compress.lenet-distilled.steps[0].sizes.weights (='models/tuned/lenet') is written by another stage"],
    ),
    (
        "width: {choice: [1, 2]}",
        "weights: {choice: [models/compressed/vgg-int8, null]}",
        ["tune.space.lenet.weights (='models/compressed/vgg-int8') is written by another stage"],
    ),
    ("    model: trained/vgg", "    modle: trained/vgg", ["compress.vgg-int8.modle", "did you mean 'model'?"]),
    (
        "max_top1_drop: 0.005, min_speedup: 1.2",
        "max_drop: 0.005",
        ["compress.vgg-int8.goals.max_drop", "did you mean 'max_top1_drop'?"],
    ),
    (
        "max_top1_drop: 0.005, min_speedup: 1.2",
        "max_top1_drop: 5",
        ["compress.vgg-int8.goals.max_top1_drop (=5)", "less than"],
    ),
    (
        "{method: prune_structured, ratio: 0.5, ",
        "{method: prune_structured, ratio: 1.5, ",
        ["compress.resnet-pruned.steps[0].ratio (=1.5)"],
    ),
    (
        "train: {epochs: 2, lr: 0.1}",
        "train: {epoch: 2}",
        ["compress.resnet-pruned.steps[0].train.epoch (=2)", "did you mean 'epochs'?"],
    ),
    ("train: {epochs: 2, lr: 0.1}", "train: 2", ["compress.resnet-pruned.steps[0].train (=2)", "block"]),
    ("student: lenet", "student: lennet", ["lennet", "did you mean 'lenet'?"]),
    (
        "student: lenet",
        "teachers: [models/trained/resnett], student: lenet",
        ["steps[0].teachers (='models/trained/resnett')", "did you mean 'models/trained/resnet'?"],
    ),
    (
        "    model: trained/vgg",
        "    model: compressed/resnet-int8",
        [
            "compress.vgg-int8.steps[0]: quantize_static would undo",
            "compressed/resnet-int8",
            "set compress.vgg-int8.model: trained/resnet",
        ],
    ),
    (
        "train: {epochs: 2, lr: 0.1}",
        "train: {epochs: 2, devices: 2}",
        ["compress.resnet-pruned.steps[0].train.devices (=2)", "one process"],
    ),
]


@pytest.mark.parametrize(("before", "after", "said"), WRONG, ids=[after.strip()[:30] for _, after, _ in WRONG])
def test_a_mistake_is_named_with_its_value_and_the_remedy(project, before, after, said):
    text = (project / "params.yaml").read_text().replace("source: digits", "source: fashion_mnist")
    assert before in text
    (project / "params.yaml").write_text(text.replace(before, after))
    with pytest.raises(UserError) as error:
        load.for_stage("train@resnet")
    assert all(part in str(error.value) for part in said), str(error.value)


def test_a_recipe_may_go_on_from_integers_with_what_only_changes_answers(project):
    text = (project / "params.yaml").read_text()
    further = """compress:
  calm: {model: trained/resnet, steps: [{method: half}]}
  calmer: {model: compressed/calm, steps: [{method: temperature}]}
  cut: {model: compressed/calmer, steps: [{method: prune_structured}]}
"""
    (project / "params.yaml").write_text(text.replace("compress:", further, 1))
    with pytest.raises(
        UserError, match=r"compress\.cut\.steps\[0\].*of compressed/calmer; set compress\.cut\.model: trained/resnet"
    ):
        load.for_stage("train@resnet")
    (project / "params.yaml").write_text(
        text.replace("compress:", further.replace("prune_structured", "thresholds"), 1)
    )
    load.for_stage("train@resnet")


def test_images_may_be_oblong(project):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("size: null", "size: [180, 320]", 1))
    assert load.for_stage("prepare").data.size == [180, 320]


def test_groups_inside_root_are_accepted_wherever_root_is(project):
    text = (project / "params.yaml").read_text()
    for root, groups in (("data/raw", "data/raw/groups.csv"), ("/srv/images", "/srv/images/about/groups.csv")):
        changed = text.replace("root: data/raw", f"root: {root}").replace("groups: null", f"groups: {groups}")
        (project / "params.yaml").write_text(changed)
        assert load.for_stage("prepare").data.groups == groups


def test_a_column_of_groups_is_one_of_the_file_that_is_named(project):
    (project / "data/raw").mkdir(parents=True)
    (project / "data/raw/groups.csv").write_text("path, camera\na.png, north\n")
    text = (project / "params.yaml").read_text()
    named = text.replace("  groups: null  ", "  groups: data/raw/groups.csv  ", 1)
    assert text.count("  groups: null  ") == 2

    def said(text: str) -> str:
        (project / "params.yaml").write_text(text)
        try:
            load.for_stage("prepare")
        except UserError as error:
            return str(error)
        return ""

    fair = "compress:\n  fair: {model: trained/lenet, steps: [{method: thresholds, column: camera}]}\n"
    before, _, after = text.rpartition("  groups: null  ")
    assert "train.groups (='camera') is a column of the file data.groups, but data.groups (=null)" in said(
        f"{before}  groups: camera  {after}"
    )
    assert "steps[0].column (='camera') is a column" in said(text.replace("compress:", fair, 1))
    assert said(named) == said(named.replace("  groups: null  ", "  groups: camera  ")) == ""
    assert said(named.replace("compress:", fair, 1)) == ""
    wrong = said(named.replace("  groups: null  ", "  groups: camara  "))
    assert (
        "train.groups (='camara') is no column of the file data.groups" in wrong and "did you mean 'camera'?" in wrong
    )
    wrong = said(named.replace("compress:", fair.replace("camera", "path"), 1))
    assert "compress.fair.steps[0].column (='path') is no column" in wrong
    (project / "data/raw/groups.csv").write_bytes(b"\xff\xfe")
    assert said(named.replace("  groups: null  ", "  groups: camera  ")) == "", (
        "prepare says what is wrong with the file"
    )


def busy() -> float:
    """CPU seconds of all processes that this one has waited for: what a quiet machine would take, however busy this one is."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_stage_with_a_mistake_ends_with_2_within_3_seconds_before_torch_and_writes_nothing(project):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("epochs: 6", "epohcs: 6"))
    before = sorted(project.rglob("*"))
    begin = busy()
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-B", "-m", "pipelines.train", "resnet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert busy() - begin < 3
    assert ended.returncode == 2
    modules = [line.split("|")[-1].strip() for line in ended.stderr.splitlines() if line.startswith("import time")]
    assert "ruamel.yaml" in modules
    assert "torch" not in modules
    said = [line for line in ended.stderr.splitlines() if not line.startswith("import time")]
    assert len(said) == 1 and "train.epohcs (=6)" in said[0], said
    assert sorted(project.rglob("*")) == before


def test_every_block_of_params_yaml_builds_its_recipe_and_sizes(project):
    walked = 0
    for name in yaml.safe_load((project / "params.yaml").read_text())["architectures"]:
        settings = load.for_stage(f"train@{name}")
        assert settings.architectures == [name]
        assert set(settings.sizes(name)) <= set(architectures.card(name).sizes)
        assert settings.recipe(name).epochs >= 1
        walked += 1
    assert walked == len(architectures.names()) - 1, "all but timm, which is whatever one asks it for"


def test_every_setting_of_a_recipe_stands_in_params_yaml(project):
    written = yaml.safe_load((project / "params.yaml").read_text())
    assert set(written["train"]) == set(KEYS)
    for section in ("data", "evaluate", "benchmark", "report", "tracking"):
        model = {"data": load.Data, "evaluate": load.Evaluate, "benchmark": load.Benchmark}.get(
            section, load.Report if section == "report" else load.Tracking
        )
        assert set(written[section]) == set(model.model_fields)


def test_a_block_overrides_train_and_nothing_else(project):
    settings = load.for_stage("train@mlp")
    assert settings.train.optimizer == "sgd"
    assert settings.recipe("mlp").optimizer == "adamw"
    assert settings.recipe("mlp").batch_size == settings.train.batch_size


def test_a_stage_is_handed_only_what_dvc_yaml_declares_for_it(project):
    settings = load.for_stage("train@mlp")
    with pytest.raises(LookupError, match="does not declare it"):
        settings.evaluate  # noqa: B018
    assert set(settings.resolved()) == {"train", "architectures", "tracking", "ray"}


def test_params_yaml_is_needed(tmp_path):
    with pytest.raises(UserError, match=r"params\.yaml not found"):
        load.for_stage("prepare", folder=tmp_path)
