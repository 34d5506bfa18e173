"""The embedded JetStream server: configuration and command line of the wheel's `nats-server`.

JetStream answers before it fsyncs unless told otherwise, so the configuration is written here,
in full, and `wait_ready` asks the running server whether it took it: a server that does not sync
every message is not a log. This module starts no process; the supervisor and the tests do.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.common.clock import Clock
from services.common.errors import FailedPrecondition, Unavailable

MAX_PAYLOAD_BYTES = 8 << 20  # above it the server starts but refuses messages of that size
DEFAULT_MAX_FILE_BYTES = 10 << 30
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class NatsServer:
    """One embedded server.

    `port` is the client port, `monitor_port` the HTTP monitor (health, `/varz`), both on `host`.
    `max_file_bytes` bounds what all streams may reserve: keep it below 80 % of the volume, for
    a full disk wedges a server. With a `token` clients must present it.
    """

    data_dir: Path
    port: int
    monitor_port: int
    host: str = "127.0.0.1"
    server_name: str = "threenines"
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES
    token: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """What clients connect to; holds the token when there is one."""
        credential = f"{self.token}@" if self.token else ""
        return f"nats://{credential}{self.host}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Root of the HTTP monitor."""
        return f"http://{self.host}:{self.monitor_port}"

    @property
    def config_path(self) -> Path:
        """Where `write_config` puts the configuration."""
        return self.data_dir / "nats.conf"


def render_config(server: NatsServer) -> str:
    """The server's configuration file.

    Strings are written as JSON strings, which this format accepts with the same escapes.
    """
    lines = [
        f"server_name: {json.dumps(server.server_name)}",
        f"listen: {json.dumps(f'{server.host}:{server.port}')}",
        f"http: {json.dumps(f'{server.host}:{server.monitor_port}')}",
        f"max_payload: {MAX_PAYLOAD_BYTES}",
        "jetstream {",
        f"  store_dir: {json.dumps(str(server.data_dir / 'store'))}",
        "  sync_interval: always",
        "  max_mem: 64MB",
        f"  max_file: {server.max_file_bytes}",
        "}",
    ]
    if server.token:
        lines.append(f"authorization {{ token: {json.dumps(server.token)} }}")
    return "\n".join(lines) + "\n"


def write_config(server: NatsServer) -> Path:
    """Write the configuration file, readable by its owner only, and return its path."""
    server.data_dir.mkdir(parents=True, exist_ok=True)
    path = server.config_path
    path.touch(mode=0o600)
    path.write_text(render_config(server), encoding="utf-8")
    return path


def binary_path() -> Path:
    """The `nats-server` that the wheel put beside the interpreter."""
    path = Path(sys.executable).parent / "nats-server"
    if not path.exists():
        raise FailedPrecondition(
            f"no nats-server at {path}",
            reason="NATS_SERVER_MISSING",
            next_step="install threenines[embedded], or give the URL of a running NATS server",
        )
    return path


def build_argv(server: NatsServer) -> list[str]:
    """The command line; call `write_config` first."""
    return [str(binary_path()), "--config", str(server.config_path)]


async def wait_ready(server: NatsServer, clock: Clock, *, timeout_s: float = 30.0) -> None:
    """Return once the server is healthy and is known to sync every message.

    Raises:
        Unavailable: NATS_NOT_READY, still not healthy after `timeout_s`.
        FailedPrecondition: NATS_NOT_SYNCING, it answers but does not fsync each message.
    """
    deadline_ns = clock.monotonic_ns() + round(timeout_s * 1e9)
    async with httpx.AsyncClient(base_url=server.monitor_url, timeout=1.0, trust_env=False) as http:
        while (varz := await _varz(http)) is None:
            if clock.monotonic_ns() >= deadline_ns:
                raise Unavailable(
                    f"nats-server at {server.monitor_url} is not healthy after {timeout_s:g} s",
                    reason="NATS_NOT_READY",
                )
            await clock.sleep(_POLL_S)
    # sync_interval itself still reads two minutes then; sync_always is the field that tells.
    if varz.get("jetstream", {}).get("config", {}).get("sync_always") is not True:
        raise FailedPrecondition(
            "nats-server runs without sync_interval: always, so an acknowledged record could be lost",
            reason="NATS_NOT_SYNCING",
        )


async def _varz(http: httpx.AsyncClient) -> dict[str, Any] | None:
    """What the server says of itself; None while it is not healthy, or does not answer in time."""
    try:
        if (await http.get("/healthz")).status_code != httpx.codes.OK:
            return None
        answer = await http.get("/varz")
    except httpx.TransportError:
        return None
    found: dict[str, Any] | None = answer.json() if answer.status_code == httpx.codes.OK else None
    return found
