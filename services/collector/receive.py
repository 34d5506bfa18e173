"""Bytes in, durable record, acknowledgement out.

A point is acknowledged when the log has it and not before. What can never be stored is refused
here with a reason and marked in the record; nothing after this decides acceptance again. Knows no
transport: the tenant is given, errors leave as ours.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from services.collector.coalesce import CoalesceConfig, Coalescer
from services.collector.errors import PointTooLarge, RequestTooLarge
from services.collector.judge import Examined, examine, pack
from services.collector.kept_records import KeptRecords
from services.collector.model import LoggedRequest
from services.collector.rate import RateGate
from services.collector.series_gate import SeriesGate
from services.collector.tallies import Tallies
from services.collector.validate import AcceptLimits, Verdict
from services.common.clock import Clock
from services.common.errors import ThreeninesError
from services.common.log_port import Log
from services.common.telemetry import Counters


@dataclass(frozen=True, slots=True)
class ReceiveConfig:
    """Limits of what is accepted."""

    limits: AcceptLimits = field(default_factory=AcceptLimits)
    max_request_bytes: int = 64 << 20
    """After decompression; OTLP recommends 64 MiB."""
    max_record_bytes: int = 4 << 20
    """Compressed size over which a request is split. The log takes 8 MB at most."""
    coalesce: CoalesceConfig = field(default_factory=CoalesceConfig)
    thread_from_bytes: int = 512 << 10
    """Larger requests are decoded beside the event loop, which has leases to renew. Below, a millisecond
    of decoding is less than going to a thread and back costs under load."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request that was not an error as a whole."""

    points: int
    rejected: int
    reasons: dict[str, int] = field(default_factory=dict)
    bitmap: bytes = b""
    """Which points were refused, as `Verdict.bitmap`."""


class Receiver:
    """Takes OTLP requests of authenticated tenants; without `rate` and `series` nothing is limited."""

    def __init__(
        self,
        *,
        log: Log,
        tallies: Tallies,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        config: ReceiveConfig,
        counters: Counters | None = None,
        rate: RateGate | None = None,
        series: SeriesGate | None = None,
        kept: KeptRecords | None = None,
        log_took: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._tallies = tallies
        self._clock = clock
        self._config = config
        self._rate = rate
        self._series = series
        self._coalescer = Coalescer(
            log, counters or Counters(), random_bytes, config.coalesce, kept, log_took
        )

    async def export(
        self, tenant: str, raw: bytes, counted: Callable[[int], None] = lambda _points: None
    ) -> Outcome:
        """Judge a request and make its accepted points durable; returning is the promise.

        `counted` is told how many points it has, and may refuse it for that.

        Raises:
            Undecodable, PointTooLarge: it can never be accepted; nothing was stored.
            RequestTooLarge: over `max_request_bytes`, or too many points; nothing was stored.
            RateExceeded: the tenant's rate is used up; nothing was stored, send again after the delay.
            Unavailable: the log did not confirm in time or is full; send the same bytes again.
        """
        if len(raw) > self._config.max_request_bytes:
            raise RequestTooLarge(
                f"the request has {len(raw)} bytes, at most {self._config.max_request_bytes} are accepted",
                next_step="send fewer points per request",
            )
        looked = await self._examined(tenant, raw)
        counted(looked.points)
        self._tallies.received(tenant, looked.points)
        try:
            return await self._store(tenant, raw, looked)
        except PointTooLarge as err:
            self._tallies.rejected(tenant, {err.reason: looked.points})
            raise
        except asyncio.CancelledError:
            self._tallies.failed(tenant, looked.points, "CANCELLED")
            raise
        # Whatever it was, the points that came in must be accounted for.
        except Exception as err:
            reason = err.reason if isinstance(err, ThreeninesError) else "UNEXPECTED"
            self._tallies.failed(tenant, looked.points, reason)
            raise

    async def _store(self, tenant: str, raw: bytes, looked: Examined) -> Outcome:
        points, verdict = looked.points, looked.verdict
        if self._rate is not None:
            await self._rate.enter(tenant, points=points - verdict.rejected_count, size=len(raw))
        if self._series is not None:
            verdict = await self._series.judge(tenant, looked.decoded, verdict)
        for part in await self._packed(tenant, raw, looked.identifier, verdict):
            await self._coalescer.append(tenant, part, looked.decoded if part.raw is raw else None)
        rejected = verdict.rejected_count
        self._tallies.rejected(tenant, verdict.reasons)
        if rejected < points:
            self._tallies.acknowledged(tenant, points - rejected, self._clock.now_ns())
        return Outcome(points, rejected, verdict.reasons, verdict.bitmap())

    async def _examined(self, tenant: str, raw: bytes) -> Examined:
        look = partial(examine, tenant, raw, now_ns=self._clock.now_ns(), limits=self._config.limits)
        return look() if len(raw) < self._config.thread_from_bytes else await asyncio.to_thread(look)

    async def _packed(
        self, tenant: str, raw: bytes, identifier: bytes, verdict: Verdict
    ) -> list[LoggedRequest]:
        size = self._config.max_record_bytes
        make = partial(pack, tenant, raw, identifier=identifier, verdict=verdict, max_record_bytes=size)
        # Only a request that may have to be cut takes long.
        return make() if len(raw) <= size else await asyncio.to_thread(make)
