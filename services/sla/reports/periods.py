"""Periods of reports under the names that people use, in the contract's zone.

`2026-10-05`, `2026-W41` (ISO 8601), `2026-10`, `2026-Q4`, `2026`; a given range has its two instants in UTC.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.sla.reports.ledger import ReportPeriod
from services.sla.windows import Custom, Period, period_around

SCHEDULES = {
    "daily": Period.DAY,
    "weekly": Period.WEEK,
    "monthly": Period.MONTH,
    "quarterly": Period.QUARTER,
    "yearly": Period.YEAR,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def calendar_period(period: Period, inside_ms: int, zone: str) -> ReportPeriod:
    """The calendar period of a zone that holds an instant."""
    start_ms, end_ms = period_around(period, inside_ms, zone)
    return ReportPeriod(period.value, _label(period, local(start_ms, zone)), start_ms, end_ms)


def range_period(asked: Custom) -> ReportPeriod:
    """A given range, to the millisecond."""
    label = "-".join(_instant(one) for one in (asked.start_ms, asked.end_ms))
    return ReportPeriod("range", label, asked.start_ms, asked.end_ms)


def periods_between(period: Period, low_ms: int, high_ms: int, zone: str) -> Iterator[ReportPeriod]:
    """Calendar periods that end after `low` and not after `high`, oldest first."""
    if low_ms >= high_ms:
        return
    found = calendar_period(period, low_ms, zone)
    while found.end_ms <= high_ms:
        yield found
        found = calendar_period(period, found.end_ms, zone)


def local(instant_ms: int, zone: str) -> datetime:
    """An instant as the clocks of a zone show it."""
    return (_EPOCH + timedelta(milliseconds=instant_ms)).astimezone(ZoneInfo(zone))


def _label(period: Period, first: datetime) -> str:
    match period:
        case Period.DAY:
            return f"{first:%Y-%m-%d}"
        case Period.WEEK:
            year, week, _ = first.isocalendar()
            return f"{year}-W{week:02d}"
        case Period.MONTH:
            return f"{first:%Y-%m}"
        case Period.QUARTER:
            return f"{first:%Y}-Q{(first.month - 1) // 3 + 1}"
        case Period.YEAR:
            return f"{first:%Y}"


def _instant(instant_ms: int) -> str:
    at = _EPOCH + timedelta(milliseconds=instant_ms)
    return f"{at:%Y%m%dt%H%M%S}" + (f"{at.microsecond // 1000:03d}" if at.microsecond else "")
