"""One stage on some node of a Ray cluster, as the coordinator sees it: an actor, what it says, and a new start where its node is lost."""

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog.orchestration.cluster import node
from neocog.orchestration.parallel.process import Running
from neocog.orchestration.parallel.resources import Resources

if TYPE_CHECKING:
    from neocog.orchestration.cluster.executor import ClusterStages

RETRIES = 3  # nodes or workers that a stage may lose


class OnNode(Running):
    """A stage on some node. Its outs are in the project once `poll` says 0."""

    def __init__(
        self, stage: Any, request: node.StageRequest, asked: Resources, log: Path, stages: "ClusterStages"
    ) -> None:
        self.name, self.log, self.request, self.asked = stage.addressing, log, request, asked
        self.seconds, self.cpu_seconds, self.cut = 0.0, 0.0, False
        self.code: int | None = None
        self.command = [request.commands[0]]
        self.memory = 0
        self.stage, self.stages = stage, stages
        self.answer: Any = None  # what is awaited of the actor
        self.waits_since: float | None = None  # for a node
        self.lost = 0
        self._placed = False
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        self.submit()

    @property
    def pid(self) -> int:
        """None of this machine."""
        return 0

    @property
    def descriptor(self) -> int | None:
        return None

    def submit(self) -> None:
        """Ask Ray for a place."""
        import ray

        needs = dict(self.stages.nodes.needs(self.asked))
        options: dict[str, Any] = {
            "num_cpus": needs.pop("CPU", 0),
            "num_gpus": needs.pop("GPU", 0),
            "memory": needs.pop("memory", None),
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        kind: Any = ray.remote(node.StageOnNode)
        self.actor = kind.options(**options).remote(self.request)
        self.waits_since = time.monotonic()
        self.answer = self.actor.advance.remote()

    def hear(self) -> None:
        """Take the answer of the actor, which is there."""
        import ray
        from ray import exceptions

        try:
            progress: node.Progress = ray.get(self.answer)
        except exceptions.RayTaskError as error:
            self.say(f"neocog: {self.name}: {error.cause}\n")
            self._end(1)
        except (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.NodeDiedError) as error:
            self._again(" ".join(str(error).split())[:200])
        except exceptions.OutOfMemoryError:
            self._again("out of memory")
        except exceptions.RayError as error:
            self.say(f"neocog: {self.name}: {' '.join(str(error).split())[:400]}\n")
            self._end(1)
        else:
            self.waits_since = None
            self.say(progress.said)
            self.memory = progress.memory
            if progress.code is None:
                self.answer = self.actor.advance.remote()
                return
            self.command, self.seconds, self.cpu_seconds = (
                list(progress.command),
                progress.seconds,
                progress.cpu_seconds,
            )
            self.outs = progress.outs
            if progress.records:
                self.stages.adopt(self.stage, progress.records)
            self._end(progress.code)

    def say(self, text: str | bytes) -> None:
        """Add to the log."""
        with self.log.open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)

    def give_up(self, sentence: str) -> None:
        """End it, as there is no node for it."""
        self.say(sentence + "\n")
        self._end(1)

    def poll(self) -> int | None:
        if self.code == 0 and not self._placed:
            self._placed = True
            self.stages.place(self.stage, self.outs)
        return self.code

    def send(self, number: int) -> None:
        """End it: the node's watchdog sends SIGTERM to the commands, and kills what is left after some seconds."""
        if self.code is None:
            self._end(-number)

    def stop(self) -> None:
        """Nothing: what is sent ends all commands."""

    def _again(self, why: str) -> None:
        self.lost += 1
        if self.lost > RETRIES:
            self.say(f"neocog: {self.name} has lost its node or worker {self.lost} times (the last time: {why})\n")
            self._end(1)
            return
        self.say(
            f"neocog: {self.name} has lost its node or worker ({why}); it starts again, {self.lost} of {RETRIES}\n"
        )
        self._kill()
        self.submit()

    def _end(self, code: int) -> None:
        self.code, self.answer = code, None
        self._kill()

    def _kill(self) -> None:
        import ray

        with suppress(Exception):  # gone already
            ray.kill(self.actor)
