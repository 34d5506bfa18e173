"""What the collector talks about: metric types, records of the log, batches, counts.

No transport, no engine, no protobuf: only values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

U8: TypeAlias = NDArray[np.uint8]
U32: TypeAlias = NDArray[np.uint32]
U64: TypeAlias = NDArray[np.uint64]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
F64: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

NANOSECONDS_IN_MS = 1_000_000
NANOSECONDS_IN_S = 1_000_000_000
MS_IN_DAY = 86_400_000

NO_RECORDED_VALUE = 1
"""Bit 0 of OTLP's point flags: the series is stale from here, the values mean nothing."""


class MetricType(IntEnum):
    """Metric types, with the codes of the column `series.type`."""

    GAUGE = 1
    SUM = 2
    HISTOGRAM = 3
    EXP_HISTOGRAM = 4
    SUMMARY = 5


class Temporality(IntEnum):
    """Temporality, with OTLP's codes and those of the column `series.temporality`."""

    UNSPECIFIED = 0
    DELTA = 1
    CUMULATIVE = 2


class ValueKind(IntEnum):
    """Which of its two values a number point or an exemplar carries."""

    NONE = 0
    INT = 1
    DOUBLE = 2


class StartBits(IntEnum):
    """Facts about a start time that milliseconds would lose: the column `bits`."""

    ABSENT = 1
    EQUALS_TIME = 2


class Rejection(StrEnum):
    """Why a point is refused for good."""

    POINT_TIME_MISSING = "POINT_TIME_MISSING"
    POINT_TOO_OLD = "POINT_TOO_OLD"
    POINT_TOO_NEW = "POINT_TOO_NEW"
    POINT_WITHOUT_VALUE = "POINT_WITHOUT_VALUE"
    TEMPORALITY_UNKNOWN = "TEMPORALITY_UNKNOWN"
    HISTOGRAM_BUCKETS_MISMATCH = "HISTOGRAM_BUCKETS_MISMATCH"
    HISTOGRAM_BOUNDS_UNSORTED = "HISTOGRAM_BOUNDS_UNSORTED"
    HISTOGRAM_COUNT_MISMATCH = "HISTOGRAM_COUNT_MISMATCH"
    EXP_HISTOGRAM_COUNT_MISMATCH = "EXP_HISTOGRAM_COUNT_MISMATCH"
    EXP_HISTOGRAM_OUT_OF_RANGE = "EXP_HISTOGRAM_OUT_OF_RANGE"
    SUMMARY_QUANTILE_OUT_OF_RANGE = "SUMMARY_QUANTILE_OUT_OF_RANGE"
    UNDECODABLE = "UNDECODABLE"
    SERIES_LIMIT = "SERIES_LIMIT"
    """The tenant has as many active series as it may have, and this is a further one."""
    POINT_TOO_LARGE = "POINT_TOO_LARGE"
    """One point alone does not fit a record of the log; the whole request is refused."""


@dataclass(slots=True)
class PointCounts:
    """Points by what became of them; each count only grows."""

    received: int = 0
    rejected: int = 0
    acknowledged: int = 0
    logged: int = 0
    written: int = 0
    duplicate: int = 0
    dead_lettered: int = 0

    def plus(self, other: "PointCounts") -> "PointCounts":
        """The sum of both."""
        return PointCounts(
            received=self.received + other.received,
            rejected=self.rejected + other.rejected,
            acknowledged=self.acknowledged + other.acknowledged,
            logged=self.logged + other.logged,
            written=self.written + other.written,
            duplicate=self.duplicate + other.duplicate,
            dead_lettered=self.dead_lettered + other.dead_lettered,
        )


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One OTLP request inside a record of the log, bytes as received."""

    request_id: bytes
    raw: bytes
    point_count: int
    rejected: bytes = b""
    """Bitmap of the points that were refused, LSB first, in order as received; empty: none."""

    @property
    def rejected_count(self) -> int:
        """Points refused."""
        return int.from_bytes(self.rejected, "little").bit_count()


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the stream OTLP: requests of one tenant, or a TICK (no requests)."""

    tenant: str
    requests: tuple[LoggedRequest, ...] = ()
    tick: bool = False
    unpacked_bytes: int = field(default=0, compare=False)
    """Of the requests as received, where only the head was read."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A record of the log, or one request of it, that cannot be written."""

    seq: int
    request: int | None
    """The request's place in its record; None when it is the whole record."""
    subject: str
    tenant: str
    append_ns: int
    reason: str
    detail: str
    points: int
    """Accepted points in it, as far as its head tells."""
    data: bytes
    """The record as the log has it, or the request's own bytes."""
    rejected: bytes = b""
    """Of a request: the points that were refused when it was received, as logged."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What a batch changed: a metric of a tenant, and the time that it reaches over (Unix ms)."""

    tenant: str
    metric: str
    earliest_ms: int
    latest_ms: int


@dataclass(frozen=True, slots=True)
class Applied:
    """A completed batch, as told to everyone downstream."""

    database: str
    first_seq: int
    last_seq: int
    watermark_ns: int
    touched: tuple[Touched, ...]


@dataclass(slots=True)
class Tally:
    """Point counts and rejections of one tenant."""

    points: PointCounts = field(default_factory=PointCounts)
    rejections: dict[str, int] = field(default_factory=dict)
    last_append_ns: int | None = None

    def reject(self, reasons: Mapping[str, int]) -> None:
        """Count refused points by reason."""
        for reason, count in reasons.items():
            self.rejections[reason] = self.rejections.get(reason, 0) + count
            self.points.rejected += count


def total(counts: Iterable[PointCounts]) -> PointCounts:
    """The sum of all."""
    result = PointCounts()
    for one in counts:
        result = result.plus(one)
    return result


@dataclass(frozen=True, slots=True)
class TenantInfo:
    """A client company. `created_ns` is Unix nanoseconds, None when the log no longer tells."""

    tenant: str
    display_name: str
    created_ns: int | None = None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token as it may be shown; `secret` only in the answer that created it."""

    token_id: str
    tenant: str
    role: str
    changed_ns: int | None = None
    """When it was created or, if it is revoked, revoked; Unix nanoseconds."""
    revoked: bool = False
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TokenPage:
    """Tokens, newest first; `next_page` is None on the last page."""

    tokens: tuple[TokenInfo, ...]
    next_page: str | None


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How far the stream OTLP is appended and written."""

    stream: str
    incarnation: int
    log_last_seq: int
    written_seq: int
    log_time_ns: int | None
    watermark_ns: int | None
    lag_ns: int
    """Log time not yet written; 0 when all is."""
    stored_bytes: int
    limit_bytes: int
    points: PointCounts | None
    dead_letters: int = 0
    """Records, or requests in them, that could not be written."""
    series_collisions: int = 0
    """Series whose id another one had; both are kept, apart."""


@dataclass(frozen=True, slots=True)
class TenantReport:
    """What became of one tenant's points."""

    tenant: str
    points: PointCounts
    rejections: tuple[tuple[str, int], ...]
    lag_ns: int
    last_append_ns: int | None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of ingestion in a region."""

    region: str
    read_ns: int
    since_ns: int
    stream: StreamReport
    tenants: tuple[TenantReport, ...]
    store_reachable: bool
