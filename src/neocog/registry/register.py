"""A bundle becomes a version of the registered model, and its champion. Once: the same bundle again changes nothing."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from neocog.bundle import read
from neocog.bundle.read import Bundle
from neocog.core.errors import UserError
from neocog.registry import choose, pack


@dataclass(frozen=True)
class Promoted:
    """What came of it: the `version` that is champion, the one that was `before`, and the run that made the bundle, if known."""

    version: str
    before: str | None
    run_id: str | None


def register(bundle: Bundle, *, name: str, experiment: str) -> Promoted:
    """Make `bundle` models:/`name`@champion, and what that was @previous. Raises UserError for a bundle that must not be.

    Two at once take turns; one that was killed is finished by the next.
    """
    if why := choose.unfit(bundle):
        raise UserError(f"{bundle.folder} is not registered: {why}")
    if not name or set(name) & set("/:@'`"):
        raise UserError(f"register.name (={name!r}) must be a word without / : @ and quotes; write another")
    from neocog.tracking import registry

    digest = read.digest(bundle.folder)
    tags = {
        "model": bundle.model,
        "architecture": bundle.architecture,
        "data.digest": str(bundle.card["provenance"]["data_digest"]),
    }
    with registry.opened(alone=True) as mlflow:
        run_id = mlflow.run_of(digest)
        version = mlflow.version(name, digest)
        if version is None:
            write = partial(pack.write, bundle=bundle, digest=digest, run_id=run_id)
            model_id = mlflow.log_model(experiment, digest, run_id=run_id, tags=tags, write=write)
            version = mlflow.publish(name, digest, model_id=model_id, run_id=run_id, tags=tags)
        return Promoted(version, mlflow.set_champion_alias(name, version), run_id)


def score(leaderboard: Path = choose.LEADERBOARD, *, models: Path = Path("models")) -> int:
    """Show score, latency and size, as the leaderboard has them, beside the run that made each model. Returns how many runs have them.

    So MLflow's table of runs can be sorted as the leaderboard is, and a registered model shows what it was chosen for.
    """
    from neocog.tracking import registry

    metric, rows = choose.board(leaderboard, models=models)
    with registry.opened(alone=True) as mlflow:
        return sum(
            mlflow.score(
                read.digest(models / row.model),
                {
                    f"test/{metric.name}": row.score,
                    "benchmark/latency_ms_p50": row.latency_ms,
                    "benchmark/size_bytes": float(row.size_bytes),
                },
            )
            for row in rows
        )


def sentence(bundle: Bundle, promoted: Promoted, *, name: str) -> str:
    """What has become of it, for whoever waits."""
    said = f"{bundle.model} {'stays' if promoted.before == promoted.version else 'is now'} models:/{name}@champion"
    said += f", version {promoted.version}"
    if promoted.before not in (None, promoted.version):
        said += f"; version {promoted.before} is @previous"
    return said if promoted.run_id else f"{said} (no run in MLflow says who made it)"
