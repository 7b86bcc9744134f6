"""The headline and the sentences under it follow from the numbers, whatever the outcome."""

from dataclasses import replace
from types import SimpleNamespace

from neocog import architectures
from neocog.report import ideas, narrative
from neocog.report.leaderboard import LeaderboardRow
from neocog.tasks.task import task

TOP1 = task("classification").primary


def row(
    name: str, top1: float, *, kind: str = "trained", year: int = 2000, ms: float = 1.0, size: int = 1000
) -> LeaderboardRow:
    return LeaderboardRow(
        f"{kind}/{name}", kind, name, year, TOP1, {"top1": top1, "top1_low": top1 - 0.01, "top1_high": top1 + 0.01},
        params=10, macs=10, size_bytes=size, latency_ms_p50=ms, latency_ms_p95=ms, throughput_ips=1.0, train_seconds=None, epochs=None,
    )  # fmt: skip


def told(*rows: LeaderboardRow) -> str:
    words = " ".join(narrative.standfirst(rows, images=10_000, classes=10, called=narrative.names(rows)))
    return words.replace("\u202f", " ")


def test_the_headline_names_the_best_model():
    rows = [row("resnet", 0.931), row("mlp", 0.88)]
    words = narrative.headline(rows, data="Fashion-MNIST", called=narrative.names(rows))
    assert words.replace("\u202f", " ") == "On Fashion-MNIST, resnet is right 93.1 % of the time"


def test_the_sentences_name_who_is_close_and_cheap():
    best = row("resnet", 0.93, ms=2.0, size=400_000, year=2015)
    cheap = row("lenet", 0.92, ms=0.2, size=40_000, year=1998)
    words = told(best, cheap, row("perceptron", 0.8, ms=0.01, size=100, year=1958))
    assert "The best of 3 models, on 10,000 test images of 10 classes" in words
    assert "At 1.0 points less, lenet answers 10 times as fast (0.200 ms an image) and takes 10 % of the space" in words
    assert "From perceptron (1958) to resnet (2015) is a climb of 13.0 points." in words


def test_the_sentences_of_other_outcomes():
    best = row("resnet", 0.93, ms=2.0, size=400_000)
    assert "Nothing comes within 2.0 points: mlp, the next, is 5.0 points behind." in told(best, row("mlp", 0.88))
    apart = told(best, row("fast", 0.93, ms=1.0, size=900_000), row("small", 0.92, ms=3.0, size=4_000))
    assert "Just as accurate, fast answers 2.0 times as fast" in apart and "small takes 1.0 % of the space" in apart
    assert "No model within 2.0 points of it is clearly faster" in told(best, row("slow", 0.92, ms=5.0, size=900_000))
    assert "The only model judged so far" in told(best) and "climb" not in told(best)


def test_models_of_one_name_are_told_apart_by_kind():
    rows = [row("resnet", 0.9), row("resnet", 0.91, kind="tuned"), row("lenet", 0.8)]
    assert list(narrative.names(rows).values()) == ["resnet (trained)", "resnet (tuned)", "lenet"]


def test_a_gain_is_over_the_best_of_all_earlier_years():
    rows = [row("resnet", 0.93, year=2015), row("vgg", 0.92, year=2014), row("twin", 0.919, year=2014),
            row("mlp", 0.88, year=1986), row("late", 0.90, year=2020), row("same", 0.93, year=2021)]  # fmt: skip
    assert narrative.gains(rows, called=narrative.names(rows), differ=lambda a, b: True) == {
        "trained/mlp": "",
        "trained/vgg": "+4.0 points over all before it",
        "trained/twin": "+3.9 points over all before it",
        "trained/resnet": "+1.0 points over all before it",
        "trained/late": "3.0 points below resnet",
        "trained/same": "level with resnet, the best before it",
    }


def test_a_gain_within_chance_is_none():
    rows = [row("mlp", 0.889, year=1986), row("lenet", 0.893, year=1998), row("late", 0.889, year=2020)]
    told = {
        of: narrative.gains(rows, called=narrative.names(rows), differ=lambda a, b, of=of: of) for of in (True, False)
    }
    assert told[True]["trained/lenet"] == "+0.4 points over all before it"
    assert told[False]["trained/lenet"] == "level with mlp, the best before it"
    assert told[False]["trained/late"] == "level with lenet, the best before it"


def test_a_docstring_is_taken_apart_however_short_it_is():
    whole = "Net: a net.\n\nDoe, J. (1999). A net. arXiv:1.\nIt goes on.\n\nIt does\nthis.\n\nAnd that."
    found = ideas.parsed(whole, brief="a net")
    assert found.paper == "Doe, J. (1999). A net. arXiv:1. It goes on."
    assert found.paragraphs == ("It does this.", "And that.")
    assert ideas.parsed("Net.\n\nIt does this, in 1999.", brief="").paragraphs == ("It does this, in 1999.",)
    for short in ("Net: a net.", ""):
        assert ideas.parsed(short, brief="b") == ideas.Idea("b", "", ())


def test_every_architecture_tells_its_paper():
    names = architectures.names()
    assert len(names) >= 5
    assert all(ideas.of(name).paper for name in names)


def test_a_network_of_the_past_is_not_measured_against_one_distilled_from_the_future():
    distilled = row("lenet-distilled", 0.91, kind="compressed", year=1998)
    rows = [row("resnet", 0.93, year=2015), distilled, row("dbn", 0.87, year=2006)]
    made = [replace(each, architecture="lenet") if each.kind == "compressed" else each for each in rows]
    history = [model.row for model in narrative.first_of_each([SimpleNamespace(row=each) for each in made])]
    assert [each.name for each in history] == ["resnet", "dbn"]
    gains = narrative.gains(history, called=narrative.names(made), differ=lambda a, b: True)
    assert gains["trained/dbn"] == "", "the first of its history"
    assert (
        "below lenet-distilled"
        in narrative.gains(made, called=narrative.names(made), differ=lambda a, b: True)["trained/dbn"]
    ), "control"


def test_a_published_network_has_its_own_name_and_no_text_about_the_small_form():
    rows = [replace(row("resnet", 0.9), network="resnet18"), replace(row("timm", 0.8), network="convnextv2_atto")]
    assert list(narrative.names(rows).values()) == ["resnet18", "convnextv2_atto"]
    forms = {name: list(architectures.card(name).forms)[1:] for name in architectures.names()}
    published = {name: form[0] for name, form in forms.items() if form} | {"timm": "resnet50"}
    assert len(published) >= 9
    for name, form in published.items():
        small, large = ideas.of(name), ideas.of(name, published=form)
        text = " ".join(large.paragraphs)
        assert "small-image" not in text and text.endswith(".")
        assert name == "timm" or "small-image" in " ".join(small.paragraphs), "control"
        assert large.paper == small.paper
    assert ideas.of("resnet", published="resnet18").paragraphs[0].endswith("ImageNet forms are torchvision's.")
    assert "year of the library" in ideas.of("timm", published="resnet50").brief
