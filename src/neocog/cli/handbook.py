"""docs/compression.md, written from the methods' own cards: `python -m neocog.cli.handbook` writes it anew.

Nothing in that file is typed by hand but the introduction, which stands here. `tests/test_handbook.py` holds the file to what this makes.
"""

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from neocog import architectures, compression
from neocog.compression import MethodCard
from neocog.core.constrained_types import MOST
from neocog.report import ideas

PAGE = Path("docs/compression.md")
WIDTH = 140  # characters of a line
TRAINS = {
    "never": "it changes the graph, which does not train: no `train` block",
    "may": "a `train` block lets the network recover; without one nothing is trained",
    "must": "it is a training: the step needs a `train` block",
}
ON = {
    "network": "the network, so any step may follow",
    "graph": "the ONNX graph, so only steps on the logits may follow",
    "logits": "what the graph answers, so it comes last",
}
LIMITS = {Gt: (">", "gt"), Ge: ("≥", "ge"), Lt: ("<", "lt"), Le: ("≤", "le")}
KINDS = {float: "number", int: "whole number", bool: "true or false", str: "word", Any: "value"}
INTRODUCTION = """\
# Compression

Made by `python -m neocog.cli.handbook` from the cards in `src/neocog/compression/`. Edit those, or the introduction in
`src/neocog/cli/handbook.py`, not this file.

## A recipe

A recipe is a block under `compress` in params.yaml: a model, the steps it is taken through, and what must come out.

```yaml
compress:
  resnet-small:                  # models/compressed/resnet-small, stage compress@resnet-small
    model: trained/resnet        # or tuned/resnet, or compressed/<a recipe above>
    steps:                       # in this order
      - {method: prune_structured, ratio: 0.5, train: {epochs: 3, lr: 0.05}}
      - {method: quantize_static}
    goals: {max_top1_drop: 0.01, min_speedup: 2.0, max_bytes: 300000}
```

- **Where to begin.** `neocog sensitivity models/trained/resnet` takes channels from one layer at a time, or rounds it, and shows which
  layers bear it. On a CPU `quantize_static` is what makes convolutions fast, and `prune_structured` before it multiplies with that.
  `half`, `weight_only` and `prune_unstructured` gain no time.
- **Order.** What works on the network comes before what works on the graph, and only one step may do the latter; a `temperature` comes
  last. A mistake is named before anything is computed.
- **Training.** A step's `train` block trains the network again as its parent was trained, but for the keys it names (any of `train`):
  few epochs, and a learning rate below the first one. Without it half of the channels take nearly all that was learned along: the
  default ResNet falls from 93 % to 11 % of 2,000 validation images. A killed recipe goes on where it was. A recipe trains in one
  process, whatever `devices` its model was trained with.
- **Teachers** of `distill` are models such as `models/trained/resnet`. DVC does not know them: after one has changed, run
  `dvc repro -f compress@<recipe>`.
- **Goals** compare with the parent, and are all optional: `max_top1_drop`, a fraction, on the validation images; `min_speedup`, images
  a second of the ONNX graphs; `max_bytes`, of the graph's file. A drop is missed where all of its 95 % interval, image by image
  (Newcombe 1998), lies beyond `max_top1_drop`; beyond it by less it is `not decided` by so few images. The first step that misses it
  ends the recipe, and the model before it is kept, or, before there is one, what the step made. A missed goal stops nothing: it stands
  in `verdict.json`, in the leaderboard's column `verdict` and in the report's chapter on compression.
- **Several recipes for one model** are several blocks; a recipe may go on from another one's model: from one whose graph a step has
  changed (`quantize_static`, `half`, ...) only with a `temperature` or `thresholds`.
- **Other normalizations.** With `norm: group`, `prune_structured` leaves channels that are joined with others before a normalization
  (DenseNet); `norm: batch` lets it prune them too.
"""


def page() -> str:
    """The whole document."""
    names = compression.names()
    cards = [compression.card(name) for name in names]
    return "\n".join([INTRODUCTION, *_matrix(cards), *(line for card in cards for line in _card(card))])


def setting(kind: Any) -> str:
    """What a value may be, in words: `number > 0, < 1`, `` `layer` or `global` ``, `words, a list`, `null, or whole number ≥ 1`."""
    parts = get_args(kind)
    if get_origin(kind) is UnionType:
        told = " or ".join(setting(part) for part in parts if part is not NoneType)
        return f"{told}, or null" if NoneType in parts else told
    if get_origin(kind) is Literal:
        return " or ".join(f"`{_yaml(part)}`" for part in parts)
    if get_origin(kind) is Annotated:
        known = [each for each in parts[1:] if type(each) in LIMITS]
        bounds = [(LIMITS[type(each)][0], getattr(each, LIMITS[type(each)][1])) for each in known]
        said = ", ".join(f"{sign} {limit:g}" for sign, limit in bounds if limit < MOST)
        return f"{setting(parts[0])} {said}".rstrip()
    if get_origin(kind) is Sequence:
        return f"list of {setting(parts[0])}s"
    if get_origin(kind) is Mapping:
        return "block of keys"
    return KINDS[kind]


def _matrix(cards: Sequence[MethodCard]) -> Iterator[str]:
    """Architecture by method, and the reasons for every no."""
    reasons = list(dict.fromkeys(reason for card in cards for reason in card.refuses.values()))
    yield "## What works on what\n"
    yield "Each no has its reason below. `tests/test_compression_matrix.py` walks every method over all architectures.\n"
    yield f"| | {' | '.join(f'[{card.name}](#{card.name})' for card in cards)} |"
    yield f"|---|{':-:|' * len(cards)}"
    for name in architectures.names():
        cells = [f"no ({reasons.index(card.refuses[name]) + 1})" if name in card.refuses else "yes" for card in cards]
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    yield from (f"{number}. {reason[0].upper()}{reason[1:]}." for number, reason in enumerate(reasons, 1))
    yield ""


def _card(card: MethodCard) -> Iterator[str]:
    """One method: what it does, what gets worse, its paper, its settings."""
    parsed = ideas.parsed(card.about, brief=card.idea)
    yield f"## {card.name}\n"
    yield f"**{card.idea}.** What gets worse: {card.cost[0].lower()}{card.cost[1:]}.\n"
    for paragraph in parsed.paragraphs:
        yield textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"
    yield f"- Works on {ON[card.on]}; {TRAINS[card.trains]}."
    yield f"- Paper: {parsed.paper or card.paper}"
    suggested = {"method": card.name, **card.suggested}
    yield f"- To begin with: `- {_yaml(suggested)}`\n"
    if card.settings:
        yield "| setting | default | what it may be |"
        yield "|---|---|---|"
        yield from (f"| `{key}` | `{_yaml(value)}` | {setting(kind)} |" for key, (kind, value) in card.settings.items())
        yield ""


def _yaml(value: Any) -> str:
    """A value as params.yaml would have it, in one line: `{epochs: 2, lr: 0.05}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w/-]*", value)
    return str(value) if plain else json.dumps(value)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8")
    print(target)
