"""The node process of a cluster: it holds the keys, makes every actor, and starts again what dies.

    Gateway    its death ends the attempts on it; Ray starts it again, it gets the keys once more
    Session    one for each attempt; while one runs, the next warm one is made
    Dataset    Ray starts it again; whoever asks next has it read its rows anew

It serves the keys over one Unix socket in a 0700 folder to processes of this user.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from nodes.engine.cluster.channel import Channel, listen
from nodes.engine.cluster.dataset import Dataset
from nodes.engine.cluster.gateway import HOUSE_SOCKET, SESSIONS_SOCKET, Berth, Gateway
from nodes.engine.cluster.letters import (
    HOUSE_FRAMES,
    Drop,
    Keys,
    Listening,
    Made,
    Make,
    Ready,
    Told,
    WantKeys,
)
from nodes.engine.cluster.runtime import Runtime
from nodes.engine.cluster.session import Host
from p2pmpc.errors import LocalError, error_from_json
from p2pmpc.identity import SecretKeys
from p2pmpc.settings import Settings

__all__ = ["House"]

SPARE_DATASETS = 1  # the first data set of a node waits for no process
DEATHS = 5  # of the Gateway one after another, each before it was ready: then it is no accident
SILENT_S = 60.0  # without a Gateway that even asks for the keys
AGAIN_S = 0.05
SPARE_AFTER_S = 2.0  # a short study is not slowed by the making of the next Session
PAUSE_S = 1.0  # before another Session is made where one did not come up
STOP_S = 8.0  # a Gateway that was asked to stop and does not

Say = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True, repr=False)
class House:
    """One node. `run` returns when it was asked to stop, and raises what ended it."""

    runtime: Runtime
    settings: Settings
    keys: SecretKeys
    berth: Berth
    ready: Callable[[int], None]
    tell: Callable[[str], None]
    log: Any
    port: int = 0
    opened: int = 0  # Gateways so far, and those since one was ready
    unready: int = 0
    serving: bool = False  # a Gateway was ready, and is not known to have died
    well: float = 0.0  # when one last began or, having served, died; by the loop's clock
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: count[int] = field(default_factory=count)
    datasets: dict[str, Any] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Make the actors and stand by them. Raises P2pmpcError: what ended the node."""
        import ray

        loop = asyncio.get_running_loop()
        self.well = loop.time()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        server = await listen(self.runtime.folder / HOUSE_SOCKET, HOUSE_FRAMES, self._serve)
        gateway: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0)(Gateway).remote(
            self.berth
        )
        for _ in range(self.settings.spare_sessions):
            self._chore(self._keep_session())
        self.idle = [self._make_dataset() for _ in range(SPARE_DATASETS)]
        standing = loop.create_task(self._stand_by(gateway))
        try:
            await self._until_stopped(standing)
            if not standing.done() and self.opened and not self.unready:
                gateway.stop.remote()
                await asyncio.wait({standing}, timeout=STOP_S)
        finally:
            server.close()
            for task in (standing, *self.tasks):
                task.cancel()
        if standing.done():
            standing.result()

    async def _until_stopped(self, standing: asyncio.Task[None]) -> None:
        stopped = asyncio.get_running_loop().create_task(self.stopping.wait())
        await asyncio.wait({standing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    def _chore(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    # ---- the Gateway ----

    async def _stand_by(self, gateway: Any) -> None:
        from ray.exceptions import RayActorError

        while True:
            try:
                error = await gateway.run.remote()
            except RayActorError:
                if self.stopping.is_set():
                    return
                self._lost_gateway()
                await asyncio.sleep(AGAIN_S)
                continue
            if error:
                raise error_from_json(error)
            return

    def _lost_gateway(self) -> None:
        """Its data sets go with it: the next one reads them again."""
        now = asyncio.get_running_loop().time()
        if self.serving:
            self.serving, self.well = False, now
        silent_s = now - self.well
        if self.unready >= DEATHS or silent_s > SILENT_S:
            raise LocalError(
                "the Gateway's process ends again and again before it is ready",
                file=str(Path(self.berth.home) / "node.log"),
                next="See its last lines; `--engine process` runs the node in one process.",
            )
        for name in set(self.datasets) - set(self.idle):
            self._drop_dataset(name)

    # ---- what the Gateway asks ----

    async def _serve(self, channel: Channel) -> None:
        with contextlib.suppress(LocalError):
            while (frame := await channel.receive()) is not None:
                self._answer(channel, frame)
        channel.close()

    def _answer(self, channel: Channel, frame: object) -> None:
        match frame:
            case WantKeys():
                self.opened += 1
                self.unready += 1
                self.well = asyncio.get_running_loop().time()
                if self.opened > 1:
                    self.log.warning("gateway started again", attempt=self.opened)
                channel.send(Keys.of(self.keys, self.port))
            case Listening(port):
                self.port = port
            case Ready(port):
                self.unready, self.serving = 0, True
                self.ready(port)
            case Make(wanted):
                missing = max(0, wanted - len(self.idle))
                self.idle += [self._make_dataset() for _ in range(missing)]
                actors, self.idle = self.idle[:wanted], self.idle[wanted:]
                channel.send(Made(tuple(actors)))
            case Drop(actors):
                for name in actors:
                    self._drop_dataset(name)
            case Told(text):
                self.tell(text)

    # ---- actors ----

    def _make_dataset(self) -> str:
        import ray

        name = f"dataset-{next(self.numbers)}"
        make = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)(Dataset)
        self.datasets[name] = make.options(name=name).remote()
        return name

    def _drop_dataset(self, name: str) -> None:
        import ray

        actor = self.datasets.pop(name, None)
        if actor is not None:
            ray.kill(actor)

    async def _keep_session(self) -> None:
        """One warm Session waits, or is made once the one before has run for a moment."""
        import ray
        from ray.exceptions import RayActorError

        make: Any = ray.remote(num_cpus=0, max_restarts=0)(Host)
        socket = str(self.runtime.folder / SESSIONS_SOCKET)
        while not self.stopping.is_set():
            host = make.remote(socket, self.settings.kernels)
            served = host.serve.remote()
            try:
                await host.taken.remote()
            except RayActorError:
                self.log.warning("session lost")
                await asyncio.sleep(PAUSE_S)
                continue
            seen_out = self._chore(self._see_out(host, served))
            await asyncio.wait({seen_out}, timeout=SPARE_AFTER_S)

    async def _see_out(self, host: Any, served: Any) -> None:
        """End a Session's process when its attempt is over."""
        import ray
        from ray.exceptions import RayActorError

        try:
            await served
        except RayActorError:
            self.log.warning("session lost")
        ray.kill(host)
