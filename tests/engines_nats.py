"""Real engines for tests: nats-server and redis-server from the wheels, on free ports."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from services.common.clock import SystemClock
from services.common.log import NatsEngine, StreamsConfig, connect_nats
from services.embedded import nats, redis
from services.embedded.nats import NatsServer
from services.embedded.redis import RedisServer

_PORTS = range(10_000, 24_000)
"""Below those that the system gives to outgoing connections (from 32 768 on): a server that is stopped and
started again would find its port taken by somebody's connection. `up` has those in between."""


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody has right now, that no outgoing connection will get, and that is given only once:
    servers take theirs seconds later."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = _PORTS[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    # In random order: two runs at the same moment must not choose the same one.
    for port in random.SystemRandom().sample(own, len(own)):
        if port in _given:
            continue
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise RuntimeError("no free port")


class ScaledClock:
    """The machine's clock, `factor` times as fast: waiting on memory adapters costs less."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._real = SystemClock()
        self._start_ns = self._real.now_ns()
        self._start_monotonic_ns = self._real.monotonic_ns()

    def now_ns(self) -> int:
        """Wall time of the faster clock, Unix nanoseconds."""
        return self._start_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since it was made, times the factor."""
        return round((self._real.monotonic_ns() - self._start_monotonic_ns) * self._factor)

    async def sleep(self, seconds: float) -> None:
        """Wait until the faster clock has moved by `seconds`."""
        await asyncio.sleep(seconds / self._factor)


class _Embedded:
    """One engine process; `start` again after `kill9` or `stop` uses the same port and data."""

    def __init__(self, module: ModuleType, server: Any) -> None:
        self._module = module
        self.server = server
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What clients connect to."""
        url: str = self.server.url
        return url

    async def start(self) -> None:
        """Start and wait until it is ready."""
        self.server.data_dir.mkdir(parents=True, exist_ok=True)
        self._prepare()
        self._process = self._spawn()
        try:
            await self._module.wait_ready(self.server, SystemClock(), timeout_s=30.0)
        except BaseException:
            # Whoever called has nothing to stop. At once, without the loop: it may be ending.
            process, self._process = self._process, None
            process.kill()
            process.wait()
            raise

    def _prepare(self) -> None:
        """Write what the engine reads at its start."""

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with (self.server.data_dir / "server.log").open("ab") as log:
            return subprocess.Popen(
                self._module.build_argv(self.server), stdout=log, stderr=subprocess.STDOUT
            )

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def kill9(self) -> None:
        """Kill it as a crash would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Stop it in order; nothing happens when it does not run."""
        await self._end(signal.SIGTERM)

    async def _end(self, sig: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sig)
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)


class EmbeddedNats(_Embedded):
    """A nats-server with its data in `data_dir`."""

    def __init__(self, data_dir: Path, port: int = 0, **options: Any) -> None:
        server = NatsServer(Path(data_dir), port or free_port(), free_port(), **options)
        super().__init__(nats, server)

    def _prepare(self) -> None:
        nats.write_config(self.server)


async def started_nats(until: AsyncExitStack, data_dir: Path) -> tuple[EmbeddedNats, NatsEngine]:
    """A server with a connection to it; both end with `until`."""
    server = EmbeddedNats(data_dir)
    until.push_async_callback(server.stop)
    await server.start()
    engine = await connect_nats(server.url, clock=SystemClock())
    until.push_async_callback(engine.close)
    return server, engine


class EmbeddedRedis(_Embedded):
    """A redis-server."""

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        super().__init__(redis, RedisServer(Path(data_dir), port or free_port()))


@asynccontextmanager
async def nats_engine(data_dir: Path) -> AsyncIterator[NatsEngine]:
    """A connected engine with every stream declared: on THREENINES_TEST_NATS_URL when that is
    set (with THREENINES_TEST_NATS_REPLICAS copies), else on an embedded server of its own.

    What earlier tests left in a given server's streams is still there: use names of your own.
    """
    url = os.environ.get("THREENINES_TEST_NATS_URL")
    replicas = int(os.environ.get("THREENINES_TEST_NATS_REPLICAS", "1")) if url else 1
    embedded = None if url else EmbeddedNats(data_dir)
    if embedded is not None:
        await embedded.start()
    try:
        engine = await connect_nats(url or embedded.url, clock=SystemClock(), timeout_s=10.0)
        try:
            await engine.ensure_streams(StreamsConfig(replicas=replicas))
            yield engine
        finally:
            await engine.close()
    finally:
        if embedded is not None:
            await embedded.stop()
