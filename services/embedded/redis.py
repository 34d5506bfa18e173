"""The embedded Redis: the command line of the wheel's `redis-server`.

Redis holds only what may be lost at any moment, so nothing of it goes to disk. This module
starts no process; the supervisor and the tests do.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio
import redis.exceptions

from services.common.clock import Clock
from services.common.errors import FailedPrecondition, Unavailable

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class RedisServer:
    """One embedded server. `max_memory_bytes` bounds it; the least recently used keys go first."""

    data_dir: Path
    port: int
    host: str = "127.0.0.1"
    max_memory_bytes: int = 256 << 20

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"redis://{self.host}:{self.port}/0"


def binary_path() -> Path:
    """The `redis-server` that the wheel put beside the interpreter."""
    path = Path(sys.executable).parent / "redis-server"
    if not path.exists():
        raise FailedPrecondition(
            f"no redis-server at {path}",
            reason="REDIS_SERVER_MISSING",
            next_step="install threenines[embedded], or give the URL of a running Redis",
        )
    return path


def build_argv(server: RedisServer) -> list[str]:
    """The command line, complete: there is no configuration file. `data_dir` must exist."""
    settings = {
        "--bind": server.host,
        "--port": str(server.port),
        "--protected-mode": "yes",
        "--daemonize": "no",
        "--save": "",
        "--appendonly": "no",
        "--maxmemory": str(server.max_memory_bytes),
        "--maxmemory-policy": "allkeys-lru",
        "--dir": str(server.data_dir),
    }
    return [str(binary_path()), *(word for pair in settings.items() for word in pair)]


async def wait_ready(server: RedisServer, clock: Clock, *, timeout_s: float = 10.0) -> None:
    """Return once the server answers PING.

    Raises:
        Unavailable: REDIS_NOT_READY, still not after `timeout_s`.
    """
    deadline_ns = clock.monotonic_ns() + round(timeout_s * 1e9)
    client = redis.asyncio.Redis.from_url(server.url, socket_timeout=1.0, socket_connect_timeout=1.0)
    try:
        while not await _answers(client):
            if clock.monotonic_ns() >= deadline_ns:
                raise Unavailable(
                    f"redis-server at {server.url} does not answer after {timeout_s:g} s",
                    reason="REDIS_NOT_READY",
                )
            await clock.sleep(_POLL_S)
    finally:
        await client.aclose()


async def _answers(client: redis.asyncio.Redis) -> bool:
    try:
        return bool(await client.ping())
    except redis.exceptions.RedisError:
        return False
