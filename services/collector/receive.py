"""Bytes in, durable record, acknowledgement out.

A point is acknowledged when the log has it and not before. What can never be stored is refused
here with a reason and marked in the record; nothing after this decides acceptance again. Knows no
transport: the tenant is given, errors leave as ours.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from services.collector.coalesce import CoalesceConfig, Coalescer
from services.collector.decode import decode
from services.collector.errors import RequestTooLarge
from services.collector.model import LoggedRequest
from services.collector.record import compress, request_id
from services.collector.split import split_request
from services.collector.tallies import Tallies
from services.collector.validate import AcceptLimits, Verdict, validate
from services.common.clock import Clock
from services.common.log_port import Log
from services.common.telemetry import Counters

_NO_REASONS: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class ReceiveConfig:
    """Limits of what is accepted."""

    limits: AcceptLimits = field(default_factory=AcceptLimits)
    max_request_bytes: int = 64 << 20
    """After decompression; OTLP recommends 64 MiB."""
    max_record_bytes: int = 4 << 20
    """Compressed size over which a request is split. The log takes 8 MB at most."""
    coalesce: CoalesceConfig = field(default_factory=CoalesceConfig)
    thread_from_bytes: int = 64 << 10
    """Larger requests are decoded beside the event loop, which has leases to renew."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request that was not an error as a whole."""

    points: int
    rejected: int
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A request ready for the log, in the parts that fit a record, and the verdict on its points."""

    points: int
    verdict: Verdict
    parts: tuple[LoggedRequest, ...]


class Receiver:
    """Takes OTLP requests of authenticated tenants."""

    def __init__(
        self,
        *,
        log: Log,
        tallies: Tallies,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        config: ReceiveConfig,
        counters: Counters | None = None,
    ) -> None:
        self._tallies = tallies
        self._clock = clock
        self._config = config
        self._coalescer = Coalescer(log, counters or Counters(), random_bytes, config.coalesce)

    async def export(self, tenant: str, raw: bytes) -> Outcome:
        """Judge a request and make its accepted points durable; returning is the promise.

        Raises:
            Undecodable, PointTooLarge: it can never be accepted; nothing was stored.
            RequestTooLarge: over `max_request_bytes`; nothing was stored.
            Unavailable: the log did not confirm in time or is full; send the same bytes again.
        """
        if len(raw) > self._config.max_request_bytes:
            raise RequestTooLarge(
                f"the request has {len(raw)} bytes, at most {self._config.max_request_bytes} are accepted",
                next_step="send fewer points per request",
            )
        judged = await self._judged(tenant, raw)
        self._tallies.received(tenant, judged.points)
        self._tallies.rejected(tenant, judged.verdict.reasons)
        for part in judged.parts:
            await self._coalescer.append(tenant, part)
        rejected = judged.verdict.rejected_count
        if judged.parts:
            self._tallies.acknowledged(tenant, judged.points - rejected, self._clock.now_ns())
        return Outcome(judged.points, rejected, judged.verdict.reasons)

    async def _judged(self, tenant: str, raw: bytes) -> _Judged:
        now_ns = self._clock.now_ns()
        if len(raw) < self._config.thread_from_bytes:
            return judge(tenant, raw, now_ns=now_ns, config=self._config)
        return await asyncio.to_thread(judge, tenant, raw, now_ns=now_ns, config=self._config)


def judge(tenant: str, raw: bytes, *, now_ns: int, config: ReceiveConfig) -> _Judged:
    """The pure part: decode, validate, and what to append (nothing when no point is accepted).

    Raises:
        Undecodable, PointTooLarge.
    """
    decoded = decode(raw)
    verdict = validate(decoded, now_ns=now_ns, limits=config.limits)
    if verdict.rejected_count == decoded.point_count:
        return _Judged(decoded.point_count, verdict, ())
    parts = split_request(raw, lambda part: _fits(part, config.max_record_bytes))
    if len(parts) == 1:
        request = LoggedRequest(request_id(tenant, raw), raw, decoded.point_count, verdict.bitmap())
        return _Judged(decoded.point_count, verdict, (request,))
    return _Judged(decoded.point_count, verdict, tuple(_split(tenant, parts, verdict)))


def _fits(part: bytes, max_bytes: int) -> bool:
    """Whether a record can hold it: what is small enough as it is, is not compressed to find out."""
    return len(part) <= max_bytes or len(compress(part)[1]) <= max_bytes


def _split(tenant: str, parts: list[bytes], verdict: Verdict) -> list[LoggedRequest]:
    requests: list[LoggedRequest] = []
    place = 0
    for part in parts:
        points = decode(part).point_count
        bits = Verdict(verdict.rejected[place : place + points], _NO_REASONS)
        place += points
        if bits.rejected_count < points:
            requests.append(LoggedRequest(request_id(tenant, part), part, points, bits.bitmap()))
    assert place == len(verdict.rejected), "splitting keeps every point"
    return requests
