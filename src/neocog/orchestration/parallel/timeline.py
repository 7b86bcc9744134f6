"""What each stage of a run took, for the page `reports/pipeline.html`, for MLflow, and to tell the time left of the next run."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from neocog.orchestration.parallel import lock_entries

_SECONDS = Path(".neocog/repro/seconds.json")
DONE, FAILED, RESTORED, UNCHANGED, SKIPPED = "done", "failed", "restored", "unchanged", "skipped"


@dataclass(frozen=True)
class Span:
    """One stage in a run. begin, seconds: s, from the start of the run; peak: bytes; energy: estimated Wh."""

    stage: str
    state: str
    begin: float = 0.0
    seconds: float = 0.0
    cpus: float = 0.0
    cpu_seconds: float = 0.0
    peak: int = 0
    energy: float = 0.0


def seconds(root: Path) -> dict[str, float]:
    """Seconds that each stage took the last time it ran here."""
    with suppress(OSError, ValueError):
        return {name: float(value) for name, value in json.loads((root / _SECONDS).read_text(encoding="utf-8")).items()}
    return {}


def keep_seconds(root: Path, spans: list[Span]) -> None:
    """Note what stages took, beside what is known of others."""
    taken = {span.stage: round(span.seconds, 2) for span in spans if span.state == DONE}
    if taken:
        lock_entries.replace(root / _SECONDS, json.dumps(seconds(root) | taken, indent=0))


def write_page(path: Path, spans: list[Span], *, wall: float, jobs: int) -> None:
    """A self-contained page: a Gantt chart and a table of `spans`, which are stages that ran."""
    from importlib.resources import files

    import jinja2

    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (files("neocog.orchestration") / "parallel" / "timeline.html").read_text(encoding="utf-8")
    )
    total = _total(spans)
    lock_entries.replace(path, template.render(spans=spans, wall=wall, jobs=jobs, busy=total.seconds, total=total))


def _total(spans: list[Span]) -> Span:
    return Span(
        "all",
        DONE,
        seconds=sum(span.seconds for span in spans),
        cpu_seconds=sum(span.cpu_seconds for span in spans),
        peak=max((span.peak for span in spans), default=0),
        energy=sum(span.energy for span in spans),
    )


def log(spans: list[Span], page: Path, *, wall: float, experiment: str) -> None:
    """A run `pipeline` in MLflow: seconds, CPU seconds, memory and energy of each of `spans`, stages that ran, and the page."""
    from neocog import tracking

    with tracking.start("pipeline", experiment=experiment, config={"stages": [asdict(span) for span in spans]}) as run:
        total = _total(spans)
        run.metrics(
            {"pipeline/seconds": wall, "pipeline/cpu_seconds": total.cpu_seconds, "pipeline/energy_wh": total.energy}
        )
        for span in spans:
            values = {
                "seconds": span.seconds,
                "cpu_seconds": span.cpu_seconds,
                "peak_bytes": span.peak,
                "energy_wh": span.energy,
            }
            name = span.stage.replace("@", "/").replace(":", "/")
            run.metrics({f"{name}/{what}": float(value) for what, value in values.items()})
        run.artifact(page)
