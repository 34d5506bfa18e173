"""Which series did a tenant send, and which values does an attribute have?

Listing goes through the series that were described on the days of the range and asks the points
which of them were really there: the table of series knows days, not hours. Values come from the
table of series alone, which is what makes them quick.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.collector.model import NANOSECONDS_IN_MS, NANOSECONDS_IN_S
from services.collector.read_ports import SeriesReader
from services.collector.series_model import (
    Extent,
    SeriesFilter,
    SeriesInfo,
    SeriesPage,
    SeriesPlace,
    SeriesRequest,
    ValuesPage,
)
from services.common.auth import Role, require_tenant
from services.common.errors import InvalidArgument

_READERS = (Role.READER, Role.OPERATOR, Role.AUDITOR, Role.ADMIN)
_DEFAULT_RANGE_NS = 3600 * NANOSECONDS_IN_S
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_ROUND = 1000
"""Series that are looked at together."""
_ROUNDS = 10
"""Rounds of one call; a page may be shorter than asked, or empty, and still have a next one."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page starts and over which range: that of the first page, which later ones keep."""

    wanted: SeriesFilter
    metric: str
    """Or the last value, when values are listed."""
    series_id: int
    started: bool


class SeriesLister:
    """The use cases; each checks who asks."""

    def __init__(self, reader: SeriesReader, watermark_ns: Callable[[], Awaitable[int]]) -> None:
        self._reader = reader
        self._watermark_ns = watermark_ns

    async def series(self, asked: SeriesRequest) -> SeriesPage:
        """A page of the series that had points in the range, ordered by metric and id.

        Raises:
            PermissionDenied: another tenant's, or a role that does not read.
            InvalidArgument: the range, page size or page token.
            Unavailable: the store does not answer.
        """
        require_tenant(asked.tenant, *_READERS)
        size, cursor = _page_size(asked.page_size), await self._cursor(asked, "")
        place = SeriesPlace(cursor.metric, cursor.series_id)
        found: list[tuple[SeriesInfo, Extent]] = []
        for _ in range(_ROUNDS):
            looked = await self._reader.candidates(cursor.wanted, after=place, limit=_ROUND)
            extents = await self._reader.extents(cursor.wanted, looked) if looked else {}
            for series in looked:
                extent = extents.get((series.metric_id, series.place.series_id))
                if extent is None:
                    continue
                if len(found) == size:
                    return SeriesPage(tuple(found), _token(asked, "", cursor.wanted, found[-1][0].place))
                found.append((series, extent))
            if len(looked) < _ROUND:
                return SeriesPage(tuple(found), "")
            place = looked[-1].place
        return SeriesPage(tuple(found), _token(asked, "", cursor.wanted, place))

    async def values(self, asked: SeriesRequest, attribute: str) -> ValuesPage:
        """A page of the distinct values of an attribute; errors as `series`."""
        require_tenant(asked.tenant, *_READERS)
        if not attribute:
            raise InvalidArgument("say which attribute", field="attribute")
        size, cursor = _page_size(asked.page_size), await self._cursor(asked, attribute)
        after = cursor.metric if cursor.started else None
        found = await self._reader.values(cursor.wanted, attribute, after=after, limit=size + 1)
        page = tuple(found[:size])
        more = len(found) > size
        return ValuesPage(
            page, _token(asked, attribute, cursor.wanted, SeriesPlace(page[-1])) if more else ""
        )

    async def _cursor(self, asked: SeriesRequest, attribute: str) -> _Cursor:
        if asked.page_token:
            return _cursor_of(asked, attribute)
        end_ns = await self._watermark_ns() if asked.end_ns is None else asked.end_ns
        start_ns = end_ns - _DEFAULT_RANGE_NS if asked.start_ns is None else asked.start_ns
        if not 0 <= start_ns < end_ns:
            raise InvalidArgument("the range must start before it ends", field="start_time")
        # Stored times are whole milliseconds, floored.
        start_ms, end_ms = start_ns // NANOSECONDS_IN_MS, -(-end_ns // NANOSECONDS_IN_MS)
        return _Cursor(_filter(asked, start_ms, end_ms), "", 0, started=False)


def _filter(asked: SeriesRequest, start_ms: int, end_ms: int) -> SeriesFilter:
    return SeriesFilter(asked.tenant, start_ms, end_ms, asked.metric, asked.attributes)


def _page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidArgument("a page size is not negative", field="page_size")
    return min(asked or _DEFAULT_PAGE, _LARGEST_PAGE)


def _token(asked: SeriesRequest, attribute: str, wanted: SeriesFilter, place: SeriesPlace) -> str:
    body = [_digest(asked, attribute), wanted.start_ms, wanted.end_ms, *place]
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


def _cursor_of(asked: SeriesRequest, attribute: str) -> _Cursor:
    try:
        digest, start_ms, end_ms, metric, series_id = json.loads(base64.urlsafe_b64decode(asked.page_token))
        start_ms, end_ms, series_id = int(start_ms), int(end_ms), int(series_id)
    except (binascii.Error, ValueError, TypeError) as err:
        raise InvalidArgument("this page token is not one of ours", field="page_token") from err
    if digest != _digest(asked, attribute):
        raise InvalidArgument("this page token belongs to another request", field="page_token")
    return _Cursor(_filter(asked, start_ms, end_ms), str(metric), series_id, started=True)


def _digest(asked: SeriesRequest, attribute: str) -> str:
    """What must not change between pages, in few bytes."""
    same = [asked.tenant, asked.metric, sorted(asked.attributes.items()), asked.start_ns, asked.end_ns]
    return hashlib.blake2b(json.dumps([*same, attribute]).encode(), digest_size=9).hexdigest()
