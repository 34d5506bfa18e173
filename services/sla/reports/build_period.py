"""A report's period with its local times: the one place that asks the machine's time zone data."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.sla.reports.model import Offset, Period

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_AROUND_MS = 200 * _DAY_MS
"""Announcements before a period and claims after it are shown in local time too."""
_FARTHEST_MS = 3660 * _DAY_MS
"""Instants farther away are shown in UTC, or with the offset of the last year that is known."""


def period_of(
    label: str,
    start_ms: int,
    end_ms: int,
    *,
    data_end_ms: int,
    zone: str,
    provisional: bool,
    told: Iterable[int] = (),
) -> Period:
    """[start, end) as it will stand in the report; `told`: other instants that it names."""
    near = [one for one in told if start_ms - _FARTHEST_MS < one < end_ms + _FARTHEST_MS]
    low = min(start_ms - _AROUND_MS, *near) if near else start_ms - _AROUND_MS
    high = max(end_ms + _AROUND_MS, *(one + 1 for one in near)) if near else end_ms + _AROUND_MS
    return Period(
        label=label,
        start_ms=start_ms,
        end_ms=end_ms,
        data_end_ms=data_end_ms,
        zone=zone,
        local_start=_iso(start_ms, zone),
        local_end=_iso(end_ms, zone),
        offsets=offsets_of(zone, low, high),
        running=data_end_ms < end_ms,
        provisional=provisional,
    )


def offsets_of(zone: str, start_ms: int, end_ms: int) -> tuple[Offset, ...]:
    """How far local time is ahead of UTC from the start on, and from each change before the end on."""
    tz = ZoneInfo(zone)
    found = [Offset(start_ms, _ahead(start_ms, tz))]
    at = start_ms
    while at < end_ms:
        then = min(end_ms, at + _DAY_MS)
        if _ahead(then, tz) != found[-1].seconds:
            found.append(_change(at, then, tz))
        at = then
    return tuple(one for one in found if one.from_ms < end_ms)


def _change(low_ms: int, high_ms: int, tz: ZoneInfo) -> Offset:
    """Where the offset becomes that of `high`, to the millisecond."""
    seconds = _ahead(high_ms, tz)
    while high_ms - low_ms > 1:
        middle = (low_ms + high_ms) // 2
        if _ahead(middle, tz) == seconds:
            high_ms = middle
        else:
            low_ms = middle
    return Offset(high_ms, seconds)


def _ahead(instant_ms: int, tz: ZoneInfo) -> int:
    offset = (_EPOCH + timedelta(milliseconds=instant_ms)).astimezone(tz).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def _iso(instant_ms: int, zone: str) -> str:
    local = (_EPOCH + timedelta(milliseconds=instant_ms)).astimezone(ZoneInfo(zone))
    return local.isoformat(timespec="milliseconds" if instant_ms % 1000 else "seconds")
