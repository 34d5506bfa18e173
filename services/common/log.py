"""The log engine's front door: the ports, and how to connect to JetStream.

Everything that a service imports about the log comes from here; which engine stands behind it
is decided in the composition root (`connect_nats`, or `memory_engine` of `log_memory.py`).
"""

import asyncio
import logging
from urllib.parse import urlsplit

from nats.aio.client import Client

from services.common.cancellation import heard_cancellation
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.kv import NatsKeyValue
from services.common.log_nats import NatsLog
from services.common.log_port import (
    MSG_ID_HEADER,
    Ack,
    Engine,
    Entry,
    Job,
    KeyValue,
    KvChange,
    KvEntry,
    Log,
    StreamState,
    WorkQueue,
)
from services.common.nats_api import NatsApi
from services.common.request_reply import NatsRequestReply
from services.common.streams import StreamsConfig, ensure_streams
from services.common.work_queue import NatsWorkQueue

__all__ = [
    "MSG_ID_HEADER",
    "Ack",
    "Engine",
    "Entry",
    "Job",
    "KeyValue",
    "KvChange",
    "KvEntry",
    "Log",
    "NatsEngine",
    "NatsLog",
    "StreamState",
    "StreamsConfig",
    "WorkQueue",
    "connect_nats",
]

_logger = logging.getLogger(__name__)
_SAME_FAULT_NS = 5_000_000_000


class NatsEngine:
    """One connection to JetStream with what stands on it; reconnects for ever by itself."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._api = NatsApi(client, clock)
        self.log = NatsLog(self._api)
        self.kv = NatsKeyValue(self._api)
        self.questions = NatsRequestReply(client)

    async def ensure_streams(self, config: StreamsConfig | None = None) -> None:
        """Declare every stream and bucket; see `streams.ensure_streams`."""
        await ensure_streams(self._api, config)

    async def queue(self, stream: str, consumer: str, *, ack_wait_s: float = 30.0) -> NatsWorkQueue:
        """See `Engine.queue`."""
        return await NatsWorkQueue.open(self._api, stream, consumer, ack_wait_s=ack_wait_s)

    async def probe(self) -> None:
        """See `Engine.probe`: a request to JetStream itself, not only the connection."""
        await self._api.request("INFO", {}, timeout_s=1.0)

    async def close(self) -> None:
        """See `Engine.close`."""
        await self._client.close()


async def connect_nats(url: str, *, clock: Clock, timeout_s: float | None = None) -> NatsEngine:
    """Connect to `nats://[token@]host:port[,...]` and keep trying while nobody answers.

    Args:
        url: one or several server URLs, comma separated.
        clock: the time that pauses and deadlines are taken from.
        timeout_s: give up after so long; None never does.

    Raises:
        Unavailable: LOG_UNAVAILABLE, after `timeout_s`.

    Wrong credentials are retried too, and logged: a server that is being reconfigured refuses
    for a moment.
    """
    servers = [part.strip() for part in url.split(",")]
    faults = _FaultRecorder(clock, _without_secrets(servers))
    client = Client()
    try:
        # The library itself retries the first connection for ever with these options.
        async with asyncio.timeout(timeout_s):
            with heard_cancellation():
                await _connect(client, servers, faults)
    except TimeoutError as err:
        await client.close()
        raise Unavailable(
            f"the log at {_without_secrets(servers)} did not answer within {timeout_s:g} s",
            reason="LOG_UNAVAILABLE",
        ) from err
    return NatsEngine(client, clock)


async def _connect(client: Client, servers: list[str], faults: "_FaultRecorder") -> None:
    await client.connect(
        servers=servers,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,  # type: ignore[arg-type]  # seconds, may be a fraction
        connect_timeout=1,
        ping_interval=2,
        max_outstanding_pings=2,
        pending_size=64 << 20,
        error_cb=faults.record,
    )


class _FaultRecorder:
    """Faults that no caller waits for: lost connections, denied publishes, slow consumers.

    A server that is away fails five times a second; the same fault is logged every 5 seconds.
    """

    def __init__(self, clock: Clock, where: str) -> None:
        self._clock = clock
        self._where = where
        self._last: dict[str, int] = {}

    async def record(self, err: Exception) -> None:
        """The client's error callback."""
        fault, now_ns = f"{type(err).__name__} {err}".strip(), self._clock.monotonic_ns()
        last_ns = self._last.get(fault)
        if last_ns is None or now_ns - last_ns >= _SAME_FAULT_NS:
            self._last = {fault: now_ns}
            _logger.warning("log at %s: %s", self._where, fault)


def _without_secrets(servers: list[str]) -> str:
    hosts = []
    for server in servers:
        parts = urlsplit(server)
        hosts.append(f"{parts.hostname}:{parts.port or 4222}")
    return ",".join(hosts)
