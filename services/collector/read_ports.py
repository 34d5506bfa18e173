"""What reading back needs from a store of points."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.collector.series_model import Extent, SeriesFilter, SeriesInfo, SeriesPlace
from services.common.native_read import ReadColumn


class SeriesReader(Protocol):
    """Series and what they mean. Every method raises Unavailable when the store does not answer.

    MUST return nothing of another tenant than the filter's.
    """

    async def candidates(
        self, wanted: SeriesFilter, *, after: SeriesPlace, limit: int
    ) -> Sequence[SeriesInfo]:
        """Series that match and were described on a day of the range, each once.

        In the order of `SeriesPlace`, those after `after` only, at most `limit`. Whether they have
        points within the range is for `extents` to say.
        """
        ...

    async def extents(
        self, wanted: SeriesFilter, series: Sequence[SeriesInfo]
    ) -> Mapping[tuple[int, int], Extent]:
        """First and last point in the range, by metric and series id; a series without one is missing."""
        ...

    async def values(
        self, wanted: SeriesFilter, attribute: str, *, after: str | None, limit: int
    ) -> Sequence[str]:
        """Distinct values of a resource or point attribute over the series of the days of the range.

        Sorted by their UTF-8 bytes, those greater than `after` only (None: all), at most `limit`.
        """
        ...


class PointReader(Protocol):
    """Stored points, with nothing lost. Every method raises Unavailable when the store is away.

    MUST return nothing of another tenant than the filter's; attributes of the filter are ignored.
    """

    async def identities(self, wanted: SeriesFilter) -> Mapping[tuple[int, int, int], bytes]:
        """The lossless identity of each series, by metric id, series id and day."""
        ...

    async def rows(self, wanted: SeriesFilter, table: str) -> Mapping[str, ReadColumn]:
        """The columns of `COLUMN_TYPES` and `FINER_COLUMNS` (`write_columns.py`) for every row in the range.

        Ordered by metric id, series and time; empty when there is no row. Exemplars are those of
        points in the range. With a metric, rows of another one MAY be among them (their ids are 32
        bits): `identities` tells them apart.
        """
        ...
