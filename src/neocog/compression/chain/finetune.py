"""Fine-tuning inside a recipe: the same `fit()` as everywhere, from the candidate's weights."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from neocog.compression.chain.candidate import Candidate
from neocog.core.errors import UserError
from neocog.data.prepared import Prepared
from neocog.training.epochs import Log
from neocog.training.fit import Fitted, fit
from neocog.training.module import AuxiliaryLoss
from neocog.training.programs import closed_form
from neocog.training.recipe import Recipe


class Train(Protocol):
    """Trains a candidate again, as the step's `train` block says."""

    def __call__(self, candidate: Candidate, *, auxiliary_loss: AuxiliaryLoss | None = None) -> Candidate: ...


@dataclass(frozen=True)
class PrefixedRun:
    """Log of one training among several in the same `run`: every name is prefixed with `name`/."""

    run: Log
    name: str

    def params(self, values: Mapping[str, object]) -> None:
        self.run.params({f"{self.name}/{key}": value for key, value in values.items()})

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        self.run.metrics({f"{self.name}/{key}": value for key, value in values.items()}, step=step)


def trainer(
    data: Prepared,
    recipe: Recipe,
    *,
    name: str,
    work: Path,
    run: Log | None = None,
    fitted: list[Fitted] | None = None,
) -> Train:
    """The function that a step trains with. Each training has a folder of its own in `work`, so that a killed step goes on where it was.

    `work` must be named by a key of all that determines the step: parent, data, code, the steps up to it. `fitted` gets the results.
    """
    numbers = count(1)

    def train(candidate: Candidate, *, auxiliary_loss: AuxiliaryLoss | None = None) -> Candidate:
        candidate.check_graph()
        network = candidate.copied().train()  # Lightning leaves the mode as it finds it
        if isinstance(network, closed_form.SupportsClosedForm):
            raise UserError(
                f"{candidate.architecture} is solved for all images at once and cannot be trained on; remove the step's train block"
            )
        epochs_before = None if candidate.fresh else getattr(network, "pretrain_epochs", None)
        if epochs_before:
            network.pretrain_epochs = 0  # type: ignore[assignment] # what was learned without labels is there already
        number = next(numbers)
        with zeros_kept() if candidate.sparse else nullcontext():
            done = fit(
                partial(copy.deepcopy, network),
                data,
                recipe,
                name=f"{name}/{number}",
                work=work / str(number),
                run=run,
                auxiliary_loss=auxiliary_loss,
            )
        if epochs_before:
            done.model.pretrain_epochs = epochs_before
        if fitted is not None:
            fitted.append(done)
        return candidate.changed(done.model, fresh=False)

    return train


@contextmanager
def zeros_kept() -> Iterator[None]:
    """Weights that are 0 before an optimizer's first step are 0 after each of its steps. Biases and scales of norms are free."""
    zeros: dict[Optimizer, list[tuple[Tensor, Tensor]]] = {}

    def look(optimizer: Optimizer, *_: Any) -> None:
        if optimizer not in zeros:
            weights = [each for group in optimizer.param_groups for each in group["params"] if each.ndim > 1]
            zeros[optimizer] = [(weight, weight.detach() == 0) for weight in weights]

    @torch.no_grad()
    def clear(optimizer: Optimizer, *_: Any) -> None:
        for weight, were_zero in zeros[optimizer]:
            weight.masked_fill_(were_zero, 0.0)

    hooks = (register_optimizer_step_pre_hook(look), register_optimizer_step_post_hook(clear))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
