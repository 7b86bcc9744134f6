"""Ray Tune callback that records each result of a trial, then passes it to the listeners."""

from collections.abc import Sequence
from typing import Any, Protocol

from ray.tune import Callback

from neocog.tuning.trial import Job
from neocog.tuning.trials import Status, Trial, TrialStore

OWN = ("epoch", "lr", "train/", "val/")  # of what Tune adds to a result, these are ours


class Listener(Protocol):
    """Shows or logs a sweep while it runs."""

    def began(self, trial: Trial) -> None:
        """`trial` is at work: for the first time, or again."""

    def epoch(self, trial: Trial) -> None:
        """`trial` has one more row."""

    def ended(self, trial: Trial) -> None:
        """`trial` finished, was stopped, or failed; also told of trials that had ended before."""


class RecordTrials(Callback):
    """Ray Tune's way to tell. `stops`: whether the scheduler ends trials early."""

    def __init__(self, store: TrialStore, job: Job, *, stops: bool, listeners: Sequence[Listener]) -> None:
        self.store, self.job, self.stops, self.listeners = store, job, stops, listeners
        self.trials: dict[int, Trial] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray keeps a copy of what it is given, for a way of continuing that is not used here."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        known = self._trial(trial)
        if not known.ended:
            self._tell("began", known)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        known = self._trial(trial)
        if known.ended:
            return
        known.driver, known.reported = self.job.driver, int(result["epoch"])
        if result.get("error"):
            known.error = str(result["error"])
            return
        new = result["epoch"] > len(known.rows)
        if new:
            known.rows.append({key: value for key, value in result.items() if key.startswith(OWN)})
            known.seconds = result["seconds"]
            known.effective = result.get("effective", {})
            known.values = {key: value for key, value in trial.config.items() if key != "trial"}
        self.store.write(known)
        if new:
            self._tell("epoch", known)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        known = self._trial(trial)
        whole = trial.last_result.get("last") or not self.stops
        self._end(known, "failed" if known.error else "finished" if whole else "stopped")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        known = self._trial(trial)
        known.error = known.error or "its worker was killed again and again"
        self._end(known, "failed")

    def _end(self, known: Trial, status: Status) -> None:
        if not known.ended:
            known.status = status
            self.store.write(known)
        self._tell("ended", known)

    def _tell(self, what: str, known: Trial) -> None:
        for listener in self.listeners:
            getattr(listener, what)(known)

    def _trial(self, trial: Any) -> Trial:
        number = int(str(trial))  # the name that it was given, not its config: that may be another's by now
        if number not in self.trials:
            known = self.store.read(f"{number:03d}")
            assert known is not None
            self.trials[number] = known
        return self.trials[number]
