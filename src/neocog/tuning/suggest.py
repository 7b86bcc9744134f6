"""Ray Tune searcher: given points, Optuna's suggestions or random draws; a continued sweep gets what it had."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from neocog.tuning.space import Method, Space, sample
from neocog.tuning.trials import Trial, TrialStore

if TYPE_CHECKING:
    import optuna


class Suggest(Searcher):
    """Ray Tune's way to ask. Trial n of a sweep is the same whenever it is asked for; only Optuna's depend on what was seen before.

    `points` name the values of every trial. Without them trial 0 has the `defaults` and `study` or chance gives the others. What
    `store` already holds of a trial is what it gets again.
    """

    def __init__(
        self,
        space: Space,
        *,
        defaults: Mapping[str, Any],
        trials: int,
        seed: int,
        metric: str,
        store: TrialStore,
        points: Sequence[Mapping[str, Any]] = (),
        study: "optuna.Study | None" = None,
    ) -> None:
        super().__init__(metric=metric, mode="max")
        self.space, self.defaults, self.trials, self.seed, self.store = space, dict(defaults), trials, seed, store
        self.points, self.study = points, study
        self.asked: dict[str, Any] = {}  # Ray's id of a trial -> Optuna's trial, None where Optuna was not asked

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray keeps a copy of what it is given, for a way of continuing that is not used here."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """The values of the next trial and, as `trial`, its number; Ray's mark after the last."""
        number = len(self.asked)
        if number >= self.trials:
            return Searcher.FINISHED
        self.asked[trial_id] = None
        return {"trial": number, **self.number(number, trial_id)}

    def number(self, number: int, trial_id: str = "") -> dict[str, Any]:
        """The values of trial `number`, kept from now on."""
        kept = self.store.read(f"{number:03d}")
        values = kept.values if kept else None
        if self.study is not None:
            values, self.asked[trial_id] = self._ask(number, values)
        elif values is None:
            values = self._draw(number)
        if kept is None:
            self.store.write(Trial(number, values, self.seed))
        return values

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how a trial ended."""
        asked = self.asked.get(trial_id)
        if self.study is None or asked is None:
            return
        from optuna.trial import TrialState

        score = (result or {}).get(self.metric)
        if error or score is None or (result or {}).get("error"):
            self.study.tell(asked, state=TrialState.FAIL)
        else:
            self.study.tell(asked, score)

    def _draw(self, number: int) -> dict[str, Any]:
        if self.points:
            return dict(self.points[number])
        return sample(self.space, seed=self.seed, index=number) if number else self.defaults

    def _ask(self, number: int, kept: Mapping[str, Any] | None) -> tuple[dict[str, Any], Any]:
        """Optuna's values, or the given ones with Optuna knowing of them where they lie in its space."""
        assert self.study is not None
        given = kept if kept is not None else self.defaults if number == 0 else None
        if given is not None:
            if not all(dimension.contains(given[key]) for key, dimension in self.space.items()):
                return dict(given), None
            self.study.enqueue_trial(
                {
                    key: side.values.index(given[key]) if side.kind == "choice" else given[key]
                    for key, side in self.space.items()
                }
            )
        asked = self.study.ask({key: dimension.distribution() for key, dimension in self.space.items()})
        found = {
            key: dimension.values[asked.params[key]] if dimension.kind == "choice" else asked.params[key]
            for key, dimension in self.space.items()
        }
        return found, asked


def study(method: Method, *, seed: int) -> "optuna.Study":
    """An Optuna study in memory: optuna = TPE (Bergstra et al. 2011), optuna-cmaes = CMA-ES (Hansen 2016, arXiv:1604.00772)."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers: dict[str, Any] = {"optuna": optuna.samplers.TPESampler, "optuna-cmaes": optuna.samplers.CmaEsSampler}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.create_study(direction="maximize", sampler=samplers[method](seed=seed))
