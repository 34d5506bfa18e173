"""`threenines up`: engines first, then the services, watched until told to stop.

Holds the lock of the data directory, keeps `state.json` for the other commands, restarts what
dies, drains in reverse order. Knows nothing of what the children are (`plan.py` does) and prints
nothing (the command does).
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.common.child import Child, ChildSpec, ChildState
from services.common.clock import Clock
from services.common.errors import FailedPrecondition, Unavailable
from services.embedded.layout import HOST, DataDir, Ports, write_json_atomically
from services.embedded.ports import holder_of

_POLL_S = 0.1
_WATCH_S = 2.0
_START_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start: the engines, then the services that need them."""

    engines: tuple[ChildSpec, ...]
    services: tuple[ChildSpec, ...]
    # Addresses that the other commands need, by the names of layout.STANDARD_PORTS, and how to sign in.
    connect: dict[str, str]
    own_ports: tuple[str, ...]


class DirectoryLock:
    """The one supervisor of a data directory; released by the kernel when it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or say who has it.

        Raises:
            FailedPrecondition: another `threenines up` runs on this directory.
        """
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise FailedPrecondition(
                f"threenines already runs on {self._path.parent} (pid {holder})",
                reason="DATA_DIR_IN_USE",
                next_step="look at it with `threenines status`, stop it with Ctrl-C or "
                f"`kill {holder}`, or choose another --data-dir and --port-base",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def check_ports(ports: Ports, names: Sequence[str]) -> None:
    """Refuse to start on ports that are taken, naming all holders at once.

    Raises:
        FailedPrecondition: at least one port is taken.
    """
    holders = [holder for name in names if (holder := holder_of(HOST, ports[name])) is not None]
    if holders:
        raise FailedPrecondition(
            "; ".join(str(holder) for holder in holders),
            reason="PORT_TAKEN",
            next_step="stop that process, or start with --port-base N to use N, N+1, ... instead",
        )


class Supervisor:
    """Starts a plan, keeps it running, stops it."""

    def __init__(self, plan: Plan, data_dir: DataDir, *, clock: Clock, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._data_dir = data_dir
        self._clock = clock
        self.engines = [Child(spec, clock, tell) for spec in plan.engines]
        self.services = [Child(spec, clock, tell) for spec in plan.services]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def children(self) -> list[Child]:
        """All children, engines first."""
        return [*self.engines, *self.services]

    async def start(self, *, timeout_s: float) -> None:
        """Start everything and wait until all of it serves.

        Raises:
            Unavailable: a child did not serve in time; the message names its log.
        """
        deadline_ns = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        for group in (self.engines, self.services):
            self._tasks += [asyncio.create_task(child.run(), name=child.spec.name) for child in group]
            await self._wait_serving(group, deadline_ns)
        self._write_state()

    async def watch(self, stop: asyncio.Event) -> None:
        """Keep the states and the state file fresh until `stop` is set."""
        while not stop.is_set():
            await asyncio.gather(*(child.refresh() for child in self.children))
            self._write_state()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_S):
                    await stop.wait()

    async def stop(self) -> None:
        """Drain the services, then the engines; no process is left behind.

        The collector, first in the plan, goes last of the services: the others send it their own metrics.
        """
        await asyncio.gather(*(child.stop() for child in self.services[1:]))
        await asyncio.gather(*(child.stop() for child in self.services[:1]))
        await asyncio.gather(*(child.stop() for child in self.engines))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._data_dir.state_file.unlink()

    async def _wait_serving(self, group: Sequence[Child], deadline_ns: int) -> None:
        while True:
            states = await asyncio.gather(*(child.refresh() for child in group))
            if all(state == ChildState.SERVING for state in states):
                return
            for child in group:
                if child.state == ChildState.FAILED or child.restarts >= _START_ATTEMPTS:
                    raise Unavailable(
                        f"{child.spec.name} cannot start: {child.last_line()}",
                        reason="CHILD_FAILED",
                        next_step=f"read {child.spec.log_file}",
                    )
            if self._clock.monotonic_ns() > deadline_ns:
                late = next(child for child in group if child.state != ChildState.SERVING)
                raise Unavailable(
                    f"{late.spec.name} does not serve: {late.last_line()}",
                    reason="START_TIMEOUT",
                    next_step=f"read {late.spec.log_file}",
                )
            await self._clock.sleep(_POLL_S)

    def _write_state(self) -> None:
        write_json_atomically(
            self._data_dir.state_file,
            {
                "version": 1,
                "pid": os.getpid(),
                "connect": self._plan.connect,
                "children": [
                    {
                        "name": child.spec.name,
                        "title": child.spec.title,
                        "address": child.spec.address,
                        "state": str(child.state),
                        "pid": child.pid,
                        "restarts": child.restarts,
                        "log": str(child.spec.log_file),
                    }
                    for child in self.children
                ],
            },
        )
