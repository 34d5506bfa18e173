"""Which time a request asks about, in milliseconds. Calendar arithmetic happens in the contract's zone.

Rolling windows end where the data is sealed, never at the wall clock: anchored there they would look best
when data is late. Calendar periods run from local midnight to local midnight, so a month with a change of
the clock has 743 or 745 hours.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.sla.errors import BadWindow

MAX_ROLLING_MS = 400 * 86_400_000
_MS = 1000


class Period(StrEnum):
    """Calendar periods."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Rolling:
    """So long, up to the watermark."""

    length_ms: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """The period that holds an instant; None: the watermark's."""

    period: Period
    inside_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Custom:
    """[start, end)."""

    start_ms: int
    end_ms: int


WindowRequest = Rolling | Calendar | Custom


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) with data up to data_end; all aligned to slices."""

    start_ms: int
    end_ms: int
    data_end_ms: int


def resolve(request: WindowRequest, *, anchor_ms: int, slice_ms: int, zone: str) -> Window:
    """The window that a request means.

    Args:
        request: what was asked for.
        anchor_ms: data is complete up to here; a multiple of the slice length.
        slice_ms: length of a slice.
        zone: IANA zone of the calendar.

    Raises:
        BadWindow: it is empty, too long, or not made of whole slices.
    """
    match request:
        case Rolling(length_ms):
            if not 0 < length_ms <= MAX_ROLLING_MS:
                raise BadWindow(
                    "a rolling window is longer than 0 and at most 400 days", field="window.rolling_period"
                )
            if length_ms % slice_ms:
                raise BadWindow(
                    f"a rolling window is a multiple of the slice length, {slice_ms} ms",
                    field="window.rolling_period",
                )
            return Window(anchor_ms - length_ms, anchor_ms, anchor_ms)
        case Calendar(period, inside_ms):
            start, end = period_around(period, anchor_ms if inside_ms is None else inside_ms, zone)
        case Custom(start, end):
            if start >= end:
                raise BadWindow("the window ends before it starts", field="window.custom.end_time")
            if end - start > MAX_ROLLING_MS:
                raise BadWindow("a window is at most 400 days long", field="window.custom")
    start, end = start // slice_ms * slice_ms, end // slice_ms * slice_ms
    if start == end:
        raise BadWindow("the window holds no whole slice", field="window")
    return Window(start, end, max(start, min(end, anchor_ms)))


def period_around(period: Period, inside_ms: int, zone: str) -> tuple[int, int]:
    """[start, end) of the calendar period that holds an instant, Unix milliseconds."""
    tz = ZoneInfo(zone)
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=inside_ms)).astimezone(tz)
    first = _first_day(period, datetime(local.year, local.month, local.day, tzinfo=UTC))
    start, end = _midnight_ms(first, tz), _midnight_ms(_next(period, first), tz)
    while inside_ms >= end:
        # Midnight came twice: clocks went back over it, and the new day had begun.
        first = _next(period, first)
        start, end = end, _midnight_ms(_next(period, first), tz)
    return start, end


def _first_day(period: Period, day: datetime) -> datetime:
    match period:
        case Period.DAY:
            return day
        case Period.WEEK:
            return day - timedelta(days=day.weekday())
        case Period.MONTH:
            return day.replace(day=1)
        case Period.QUARTER:
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case Period.YEAR:
            return day.replace(month=1, day=1)


def _next(period: Period, first: datetime) -> datetime:
    months = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}.get(period)
    if months is None:
        return first + timedelta(days=1 if period is Period.DAY else 7)
    month = first.month - 1 + months
    return first.replace(year=first.year + month // 12, month=month % 12 + 1)


def _midnight_ms(day: datetime, zone: ZoneInfo) -> int:
    """Local midnight, the first of two; where the clock skips it, the first instant of the day."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    delta = local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * _MS
