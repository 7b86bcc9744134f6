"""MLflow child runs of a sweep, one a trial, written by the driver alone: a worker that dies takes nothing along."""

from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from neocog import tracking
from neocog.core.errors import NeocogError
from neocog.tuning.trials import Trial


@dataclass
class Children:
    """A Listener. `part` of the sweep is trials or full; `folder` remembers which run is whose, so that a continued one
    goes on in the same."""

    part: str
    parent: tracking.Run
    folder: Path
    experiment: str
    block: str
    architecture: str
    open: dict[int, tuple[ExitStack, tracking.Run]] = field(default_factory=dict)

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for stack, _ in self.open.values():  # at work when the sweep was cut off
            stack.__exit__(kind, error, None)
        self.open.clear()

    def began(self, trial: Trial) -> None:
        """Begin or continue the run of `trial`."""
        if trial.number in self.open:
            return
        stack = ExitStack()
        run = stack.enter_context(
            tracking.start(
                f"tune@{self.block}/{self.part}/{trial.name}",
                experiment=self.experiment,
                tags={"architecture": self.architecture, "part": self.part, "trial": str(trial.number)},
                config={"values": trial.values, "seed": trial.seed},
                resume=self._memory(trial),
                parent=self.parent.id,
            )
        )
        run.params(trial.values)
        self.open[trial.number] = stack, run

    def epoch(self, trial: Trial) -> None:
        """Log the newest row."""
        _, run = self.open[trial.number]
        run.params(trial.effective)
        run.metrics(trial.rows[-1], step=len(trial.rows))

    def ended(self, trial: Trial) -> None:
        """End the run as the trial ended: FINISHED, with the tag `trial.status`, or FAILED with the error.

        Of a trial that had ended before, the run is ended again if the sweep was cut off before that was told.
        """
        if trial.number not in self.open:
            if not self._memory(trial).exists():
                return
            self.began(trial)
        stack, run = self.open.pop(trial.number)
        run.tags({"trial.status": trial.status})
        run.params(trial.values)
        failure = NeocogError(trial.error) if trial.status == "failed" else None
        with suppress(NeocogError):
            stack.__exit__(type(failure) if failure else None, failure, None)
        if failure is None:
            self._memory(trial).unlink(missing_ok=True)  # the trial itself is on record

    def _memory(self, trial: Trial) -> Path:
        """Where it is remembered which run is the trial's, until that has finished."""
        return self.folder / self.part / f"{trial.name}.json"
