"""What a tenant stored in a range, and which metrics and attributes give it many series."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from services.collector.model import NANOSECONDS_IN_MS, NANOSECONDS_IN_S, MetricType
from services.collector.quota import QuotaInfo
from services.collector.quota_ports import SeriesCensus
from services.collector.series_model import SeriesFilter
from services.collector.set_quota import QuotaAdministration
from services.common.auth import Role, require_tenant
from services.common.errors import InvalidArgument, Unavailable

_DEFAULT_RANGE_NS = 24 * 3600 * NANOSECONDS_IN_S
_DEFAULT_TOP = 10
_LARGEST_TOP = 1000


@dataclass(frozen=True, slots=True)
class StoredUsage:
    """What the store says of a tenant; lists are largest first, ties by name."""

    points: tuple[tuple[MetricType, int], ...]
    """By type, none for 0; number points are under GAUGE."""
    series: int
    metrics: tuple[tuple[str, int], ...]
    """Metric, series."""
    attributes: tuple[tuple[str, int, int], ...]
    """Attribute of resource or point, distinct values, series."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The answer. Times are Unix nanoseconds."""

    tenant: str
    start_ns: int
    end_ns: int
    stored: StoredUsage
    active_series: int | None
    quota: QuotaInfo


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """The question; None stands for the default."""

    tenant: str
    start_ns: int | None = None
    end_ns: int | None = None
    top: int = 0


class UsageReader(Protocol):
    """What usage needs from a store. MUST look at the filter's tenant only."""

    async def usage(self, wanted: SeriesFilter, *, top: int) -> StoredUsage:
        """Points in the range, series of its days, and the `top` largest of each list.

        Raises:
            Unavailable: the store does not answer.
        """
        ...


class UsageReporter:
    """The use case; it checks who asks."""

    def __init__(
        self,
        *,
        reader: UsageReader,
        census: SeriesCensus,
        quotas: QuotaAdministration,
        watermark_ns: Callable[[], Awaitable[int]],
    ) -> None:
        self._reader = reader
        self._census = census
        self._quotas = quotas
        self._watermark_ns = watermark_ns

    async def usage(self, asked: UsageRequest) -> Usage:
        """Usage of a tenant.

        Raises:
            PermissionDenied: another tenant's, or a role that does not read.
            InvalidArgument: the range or the length of the lists.
            Unavailable: the store or the log does not answer.
        """
        require_tenant(asked.tenant, Role.READER, Role.OPERATOR, Role.AUDITOR, Role.ADMIN)
        if asked.top < 0:
            raise InvalidArgument("a length is not negative", field="top_count")
        end_ns = await self._watermark_ns() if asked.end_ns is None else asked.end_ns
        start_ns = end_ns - _DEFAULT_RANGE_NS if asked.start_ns is None else asked.start_ns
        if not 0 <= start_ns < end_ns:
            raise InvalidArgument("the range must start before it ends", field="start_time")
        # Stored times are whole milliseconds, floored.
        start_ms, end_ms = start_ns // NANOSECONDS_IN_MS, -(-end_ns // NANOSECONDS_IN_MS)
        top = min(asked.top or _DEFAULT_TOP, _LARGEST_TOP)
        stored = await self._reader.usage(SeriesFilter(asked.tenant, start_ms, end_ms), top=top)
        return Usage(
            tenant=asked.tenant,
            start_ns=start_ns,
            end_ns=end_ns,
            stored=stored,
            active_series=await self._active(asked.tenant),
            quota=await self._quotas.read(asked.tenant),
        )

    async def _active(self, tenant: str) -> int | None:
        try:
            return await self._census.active(tenant)
        except Unavailable:
            return None
