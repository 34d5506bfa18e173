"""What people ask about series, and what they are told. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from services.collector.model import MS_IN_DAY, MetricType, Temporality


class SeriesPlace(NamedTuple):
    """Where a series stands in the order of metric name (by its UTF-8 bytes) and id."""

    metric: str = ""
    series_id: int = 0


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which series of a tenant. Times are Unix milliseconds, the end exclusive."""

    tenant: str
    start_ms: int
    end_ms: int
    metric: str = ""
    """Empty: every metric."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Values, as text, that resource or point must have."""

    @property
    def first_day(self) -> int:
        """The first day that the range touches, in days since 1970-01-01 (UTC)."""
        return self.start_ms // MS_IN_DAY

    @property
    def last_day(self) -> int:
        """The last day that the range touches."""
        return max(self.start_ms, self.end_ms - 1) // MS_IN_DAY


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What the points of a series share. Attributes are texts."""

    place: SeriesPlace
    metric_id: int
    type: MetricType
    temporality: Temporality
    monotonic: bool
    unit: str
    resource_attributes: Mapping[str, str]
    scope_name: str
    scope_version: str
    attributes: Mapping[str, str]


class Extent(NamedTuple):
    """First and last point of a series in a range, Unix milliseconds."""

    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """A request for series or for values of an attribute, as it came in.

    Times are Unix nanoseconds, None where they were left out.
    """

    tenant: str
    metric: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    start_ns: int | None = None
    end_ns: int | None = None
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Series with their extent in the asked range; `next_page` is empty on the last page."""

    series: tuple[tuple[SeriesInfo, Extent], ...]
    next_page: str


@dataclass(frozen=True, slots=True)
class ValuesPage:
    """Distinct values of an attribute, sorted; `next_page` is empty on the last page."""

    values: tuple[str, ...]
    next_page: str
