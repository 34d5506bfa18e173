"""The embedded Redis: configuration and command line of the wheel's `redis-server`.

Redis holds only what may be lost at any moment, so nothing of it goes to disk. This module
starts no process; the supervisor and the tests do.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio
import redis.exceptions

from services.common.clock import Clock
from services.common.errors import FailedPrecondition, Unavailable

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class RedisServer:
    """One embedded server. `max_memory_bytes` bounds it; the least recently used keys go first.

    With a `password` (URL-safe characters) clients must present it; call `write_config` then.
    """

    data_dir: Path
    port: int
    host: str = "127.0.0.1"
    max_memory_bytes: int = 256 << 20
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """What clients connect to; holds the password when there is one."""
        credential = f":{self.password}@" if self.password else ""
        return f"redis://{credential}{self.host}:{self.port}/0"

    @property
    def config_path(self) -> Path:
        """Where `write_config` puts the password: arguments are seen by every user of the machine."""
        return self.data_dir / "redis.conf"


def write_config(server: RedisServer) -> None:
    """Make the directory, and the file with the password, readable by its owner only."""
    server.data_dir.mkdir(parents=True, exist_ok=True)
    server.config_path.touch(mode=0o600)
    server.config_path.write_text(f"requirepass {server.password}\n" if server.password else "")


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
    """The command line: all but the password, for which `write_config` comes first. `data_dir` must exist."""
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
    file = [str(server.config_path)] if server.password else []
    return [str(binary_path()), *file, *(word for pair in settings.items() for word in pair)]


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
                    f"redis-server at {server.host}:{server.port} does not answer after {timeout_s:g} s",
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
