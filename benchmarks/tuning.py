"""What a trial of a sweep costs beside its training: Ray Tune's trials against the same trainings in a bare loop.

    python -m benchmarks.tuning             # half a minute

Tiny trials (lenet on scikit-learn's digits, one epoch, well under a second) in one run: (a) the bare loop: `fit()` in this process, one
trial after the other on one thread; (b) a sweep on this machine, one trial at a time in one worker with one thread. Start-up
(Ray, the worker's imports) is what the first trial takes longer. The rest of the difference is what each trial costs.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import _tiny, parser
from neocog.training.recipe import Recipe
from neocog.tuning import cluster, trial
from neocog.tuning.search import search
from neocog.tuning.space import space
from neocog.tuning.trials import Trial


class Clock:
    """A listener that notes when each trial ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def began(self, one: Trial) -> None:
        """Nothing to note."""

    def epoch(self, one: Trial) -> None:
        """Nothing to note."""

    def ended(self, one: Trial) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both ways' seconds a trial."""
    options = parser("tuning", __doc__)
    options.add_argument("--trials", type=int, default=20, help="at least 2 (default: %(default)s)")
    asked = options.parse_args(arguments)
    trials = 2 if asked.tiny else max(2, asked.trials)
    searched = space({"lr": {"log_uniform": [0.001, 0.05]}}, where="tune.space.lenet")
    recipe = Recipe(epochs=1, optimizer="adamw", lr=0.005, label_smoothing=0.0, threads=1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = _tiny.digits(folder)
        job = trial.job("lenet", recipe, {}, data, name="benchmark", trials_at_once=1)
        job = replace(job, storage=str(folder / "sweep"))
        trial.train({}, job, work=folder / "warm")
        start = time.perf_counter()
        for number in range(trials):
            trial.train({"lr": 0.001 * (number + 1)}, job, work=folder / f"bare-{number}")
        bare = (time.perf_counter() - start) / trials
        start, clock = time.perf_counter(), Clock()
        with cluster.connected("local"):
            up = time.perf_counter() - start
            points = [{"lr": 0.001 * (number + 1)} for number in range(trials)]
            search(job, searched, points=points, trials=trials, seed=0, listeners=[clock])
        each = (clock.ends[-1] - clock.ends[0]) / (trials - 1)
    print("| | seconds |\n|---|--:|")
    print(f"| start of Ray | {up:.1f} |\n| first trial, with the worker's imports | {clock.ends[0] - start - up:.1f} |")
    print(f"| each further trial | {each:.2f} |\n| the same training in a bare loop | {bare:.2f} |")
    print(f"| overhead of a trial | {each - bare:.2f} |")


if __name__ == "__main__":
    main()
