"""Service hours as sets of time: which instants of a range are service, in a contract's zone.

A day's hours run from the first instant at which the clock shows `from` or later to the first at which it
shows `to` or later. So a boundary that the spring night skips is the change itself, one that the autumn night
has twice is the first of the two, and hours that adjoin on the clock adjoin in time: 00:00 to 24:00 is 23, 24
or 25 hours long.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from services.sla.kernels import intervals
from services.sla.model import Ints, ServiceHours

_DAY_MINUTES = 1440


def service_time(hours: ServiceHours, zone: str, low_ms: int, high_ms: int) -> Ints:
    """(n, 2) milliseconds within [low, high) that are service; sorted, disjoint."""
    spans = []
    if low_ms < high_ms:
        day, last = _day(low_ms, zone) - timedelta(days=1), _day(high_ms, zone)
        while day <= last:
            if day.weekday() in hours.days and day not in hours.holidays:
                spans.append(
                    (boundary_ms(day, hours.from_minute, zone), boundary_ms(day, hours.to_minute, zone))
                )
            day += timedelta(days=1)
    array = np.array(spans, np.int64).reshape(-1, 2)
    found = intervals.normalise(np.ascontiguousarray(array[:, 0]), np.ascontiguousarray(array[:, 1]))
    return intervals.clip(found, low_ms, high_ms)


@lru_cache(maxsize=65_536)
def boundary_ms(day: date, minute: int, zone: str) -> int:
    """The first instant of a local day at which its clock shows that minute or later; 1440 is its end."""
    local = datetime.combine(day, time()) + timedelta(minutes=minute)
    early, late = (_instant(local, zone, fold) for fold in (0, 1))
    if early <= late:
        return early
    # Skipped: with fold 0 the offset before the change, with fold 1 the one after; the change is in between.
    low, high = late, early
    before = _offset(low, zone)
    while high - low > 1000:
        middle = (low + high) // 2000 * 1000
        low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
    return high


def _instant(local: datetime, zone: str, fold: int) -> int:
    return round(local.replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()) * 1000


def _offset(time_ms: int, zone: str) -> timedelta | None:
    return datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(ZoneInfo(zone)).utcoffset()


def _day(time_ms: int, zone: str) -> date:
    return datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(ZoneInfo(zone)).date()
