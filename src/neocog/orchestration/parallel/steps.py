"""One stage of DVC in three steps: `begin` and `finish` call DVC, one stage at a time; in between its commands run, beside others.

What dvc.stage.Stage.reproduce and dvc.stage.run do in one go (DVC 3.67), with one difference: the hashes of the dependencies are those
of before the commands ran, so that an edit in mid-run is seen by the next `repro`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Commands:
    """What a stage is to run: commands, one after the other, with what `subprocess.Popen` takes; and what it read before."""

    stage: Any
    commands: list[list[str]]
    popen: dict[str, Any]
    read: list[tuple[Any, Any, Any]]  # dependency, its hash, its size


def is_split(stage: Any) -> bool:
    """Whether the stage is one whose commands can run apart: no import, not frozen, and with a command."""
    from dvc.stage import PipelineStage

    return isinstance(stage, PipelineStage) and bool(stage.cmd) and not stage.frozen and not stage.is_import


def begin(stage: Any, *, force: bool, upstream: list[Any], options: Mapping[str, Any]) -> Commands | bool:
    """What is to run; without a need to run anything, whether the run-cache gave the outs (True) or nothing had changed (False)."""
    from dvc.exceptions import CheckoutError
    from dvc.repo.reproduce import logger
    from dvc.stage.cache import RunCacheNotFoundError
    from dvc.stage.run import _pull_missing_deps

    allow_missing, pull = options.get("allow_missing", False), options.get("pull", False)
    if not force:
        if not stage.changed(allow_missing, upstream):
            logger.info("Stage '%s' didn't change, skipping", stage.addressing)
            return False
        if pull and not stage.changed(True, upstream):
            try:
                stage.repo.pull(stage.addressing, jobs=options.get("jobs"))
                stage.checkout()
                return False
            except CheckoutError:
                logger.info("Unable to pull data for %s", stage)
    stage.remove_outs(ignore_remove=False, force=False)
    if not force:
        if pull:
            _pull_missing_deps(stage)
        restore = {name: options[name] for name in ("run_cache", "pull") if name in options}
        try:
            stage.repo.stage_cache.restore(stage, **restore)
            return True
        except RunCacheNotFoundError:
            pass
    stage.save_deps(allow_missing=force and allow_missing)
    return _commands(stage, options.get("run_env"))


def _commands(stage: Any, run_env: Any) -> Commands:
    from dvc.stage import run

    executable = run.get_executable()
    lines = [run._make_cmd(executable, command) for command in run._enforce_cmd_list(stage.cmd)]
    popen = run.prepare_kwargs(stage, run_env=run_env)
    return Commands(stage, lines, popen, [(dep, dep.hash_info, dep.meta) for dep in stage.deps])


def finish(stage: Any, read: list[tuple[Any, Any, Any]], options: Mapping[str, Any]) -> list[str]:
    """Save and commit the outs. Returns the dependencies that were changed while the commands ran: their old hashes are kept."""
    from dvc.dependency.base import DependencyDoesNotExistError

    no_commit, no_download = options.get("no_commit", False), options.get("no_download", False)
    allow_missing = options.get("allow_missing", False) or no_download
    edited = []
    for dep, before, meta in read:
        try:
            dep.save()
        except DependencyDoesNotExistError:
            if not before and not allow_missing:
                raise
        if before and dep.hash_info != before:
            edited.append(str(dep))
            dep.hash_info, dep.meta = before, meta
    if not read:
        stage.save_deps(allow_missing=allow_missing)
    stage.save_outs(allow_missing=allow_missing)
    stage.md5 = stage.compute_md5()
    no_cache_outs = any(not out.use_cache for out in stage.outs if not (out.is_metric or out.is_plot))
    if not (no_commit or no_cache_outs or edited):
        stage.repo.stage_cache.save(stage)
    if no_download:
        stage.ignore_outs()
    if not no_commit:
        stage.commit(allow_missing=allow_missing)
    return edited


def record(stage: Any, ended: Callable[[], Any], repro_fn: Callable[..., Any], **kwargs: Any) -> Any:
    """Call `repro_fn` (DVC's own, or that of `dvc exp run`, which also tracks files) so that it writes dvc.lock for what `ended` did."""
    from dvc.repo import reproduce

    def reproduce_stage(stage: Any, **_: Any) -> Any:
        result = ended()
        if result:
            stage.dump(update_pipeline=False)
        return result

    before, reproduce._reproduce_stage = reproduce._reproduce_stage, reproduce_stage
    try:
        function = reproduce_stage if repro_fn is before else repro_fn
        return function(stage, **kwargs)
    finally:
        reproduce._reproduce_stage = before
