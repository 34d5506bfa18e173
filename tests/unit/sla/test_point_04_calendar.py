"""Calendar months and quarters in any IANA zone: exact over every change of the clock, no gap, no overlap.

All zones of the system's data, at random instants and around their changes of the clock; windows of slices
over such months, with maintenance by rule, divide to the nanosecond.
"""

import random
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.sla.figures import uptime_of
from services.sla.maintenance.exclude import excluded_within, exclusions
from services.sla.maintenance.model import MaintenanceWindow
from services.sla.memory import MemoryPointReader
from services.sla.methods.model import Uptime
from services.sla.model import Effect
from services.sla.rows_build import Point
from services.sla.slice_compute import Grid
from services.sla.slice_sources import Sources
from services.sla.windows import Calendar, Period, Window, period_around, resolve
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY
from tests.unit.sla.test_slice_engine import FAILED, OK
from tests.unit.sla.windows_of import columns

H, MINUTE = 3_600_000, 60_000
ZONES = sorted(available_timezones() - {"localtime"})
LAST_MS = 4_102_444_800_000
"""2100."""


def ms(*parts: int, zone: str = "UTC") -> int:
    return round(datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def local(at_ms: int, zone: str) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "year", "month", "hours"),
    [
        ("Europe/Berlin", 2026, 3, Fraction(743)),
        ("Europe/Berlin", 2026, 10, Fraction(745)),
        ("America/New_York", 2026, 11, Fraction(721)),
        ("Australia/Lord_Howe", 2026, 4, Fraction(1441, 2)),
        ("UTC", 2028, 2, Fraction(29 * 24)),
        ("UTC", 2026, 2, Fraction(28 * 24)),
        ("Europe/Berlin", 2000, 2, Fraction(29 * 24)),
        ("UTC", 2100, 2, Fraction(28 * 24)),
    ],
)
def test_months_are_as_long_as_the_clocks_say(zone: str, year: int, month: int, hours: Fraction) -> None:
    start, end = period_around(Period.MONTH, ms(year, month, 15, zone=zone), zone)

    assert Fraction(end - start, H) == hours
    assert (start, end) == (
        ms(year, month, 1, zone=zone),
        ms(year + month // 12, month % 12 + 1, 1, zone=zone),
    )


@pytest.mark.parametrize(
    ("zone", "quarter", "hours"),
    [("Europe/Berlin", 1, 90 * 24 - 1), ("Europe/Berlin", 2, 91 * 24), ("Europe/Berlin", 4, 92 * 24 + 1)],
)
def test_quarters_hold_their_changes_of_the_clock(zone: str, quarter: int, hours: int) -> None:
    start, end = period_around(Period.QUARTER, ms(2026, 3 * quarter - 1, 15, zone=zone), zone)

    assert (end - start) // H == hours


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(list(Period)), st.integers(0, LAST_MS))
# A minute after midnight the clocks went back over it: that evening had a second 23:01.
@example("America/St_Johns", Period.DAY, ms(2010, 11, 7, 3))
@example("America/St_Johns", Period.DAY, ms(2010, 11, 7, 3, 29))
@example("Antarctica/Casey", Period.DAY, ms(2010, 3, 4, 15, 30))
# A day that never was.
@example("Pacific/Apia", Period.DAY, ms(2011, 12, 30, 9, 59))
@example("Pacific/Apia", Period.DAY, ms(2011, 12, 30, 10))
# Midnight was skipped.
@example("America/Sao_Paulo", Period.DAY, ms(2018, 11, 4, 3))
@example("Asia/Beirut", Period.MONTH, ms(2021, 3, 28))
def test_periods_of_any_zone_tile_the_time_line(zone: str, period: Period, instant: int) -> None:
    start, end = period_around(period, instant, zone)

    assert start <= instant < end
    assert period_around(period, end, zone)[0] == end
    assert period_around(period, start - 1, zone)[1] == start
    assert period_around(period, start, zone) == period_around(period, end - 1, zone) == (start, end)


def skipped(day: date, zone: str) -> bool:
    """Whether clocks went from the day before to the day after."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    return noon.astimezone(UTC).astimezone(ZoneInfo(zone)).date() != day


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ZONES), st.integers(1971, 2099), st.integers(1, 12))
@example("Pacific/Kiritimati", 1995, 1)
@example("Pacific/Kiritimati", 1994, 12)
def test_a_month_begins_with_its_first_local_instant(zone: str, year: int, month: int) -> None:
    """Bit by bit against the local date of instants, which knows nothing of midnights."""
    start, end = period_around(Period.MONTH, ms(year, month, 15, 12, zone=zone), zone)

    for edge, (y, m) in ((start, (year, month)), (end, (year + month // 12, month % 12 + 1))):
        after, before = local(edge, zone), local(edge - 1, zone)
        assert (after.year, after.month, after.day) == (y, m, 1)
        assert before.date() < date(y, m, 1)
        last = date(y, m, 1) - timedelta(days=1)
        assert before.date() == last or skipped(last, zone)


@given(st.sampled_from(ZONES), st.integers(0, 90))
def test_consecutive_months_leave_no_gap_and_overlap_nowhere(zone: str, first: int) -> None:
    at, edges = ms(1990 + first, 1, 15, zone=zone), []
    for _ in range(12):
        edges.append(period_around(Period.MONTH, at, zone))
        at = edges[-1][1]

    assert all(left[1] == right[0] for left, right in pairwise(edges))
    year = period_around(Period.YEAR, edges[0][0], zone)
    assert (edges[0][0], edges[-1][1]) == year
    quarters = {period_around(Period.QUARTER, start, zone) for start, _ in edges}
    assert quarters == {(edges[k][0], edges[k + 2][1]) for k in (0, 3, 6, 9)}


MONTHS = [
    ("Europe/Berlin", ms(2026, 3, 20), 743),
    ("Europe/Berlin", ms(2026, 10, 20), 745),
    ("America/New_York", ms(2026, 11, 20), 721),
    ("Australia/Lord_Howe", ms(2026, 4, 20), 720.5),
    ("Asia/Kathmandu", ms(2028, 2, 20), 696),
]


def traffic(rng: random.Random, low_ms: int, high_ms: int) -> MemoryPointReader:
    """Requests of two series with gaps of days, every ten to a thousand minutes."""
    reader = MemoryPointReader()
    for series in (OK, FAILED):
        at, count, start = low_ms - rng.randrange(5 * H), 0, low_ms - 6 * H
        while at < high_ms + H:
            count += rng.choice((0, 5, 400))
            if rng.random() < 0.05:
                count, start = 1, at - MINUTE
            reader.put(TENANT, METRIC, series, Point(series.series_id, at, count, (count,), start, scale=3))
            at += rng.choice((10, 10, 10, 15, 1000)) * MINUTE
    return reader


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(("zone", "inside", "hours"), MONTHS)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
async def test_a_month_with_maintenance_divides_to_the_nanosecond(
    zone: str, inside: int, hours: float, effect: Effect, seed: int
) -> None:
    rng = random.Random(seed)
    where = resolve(Calendar(Period.MONTH, inside), anchor_ms=LAST_MS, slice_ms=1_800_000, zone=zone)
    night = MaintenanceWindow(
        TENANT,
        "night",
        "Night",
        (),
        start := where.start_ms + rng.randrange(48) * 1_800_000 + rng.randrange(2000),
        start + rng.choice((1, 7_200_000, 9_000_001)),
        rng.choice(("FREQ=DAILY", "FREQ=WEEKLY", "")),
        zone,
    )
    objective = AVAILABILITY.__class__(
        **{name: getattr(AVAILABILITY, name) for name in AVAILABILITY.__slots__}
        | {"method": Uptime(), "effect": effect, "slice_ms": 1_800_000, "time_zone": zone}
    )
    found = exclusions([night], objective.key, notice_ms=0, low_ms=where.start_ms, high_ms=where.end_ms)
    excluded = excluded_within(found, where.start_ms, where.end_ms)
    loaded = await Sources(traffic(rng, where.start_ms, where.end_ms)).load(
        [objective], where.start_ms, where.end_ms
    )
    grid = Grid.over(where.start_ms, where.end_ms, 1_800_000)
    first = where.start_ms + rng.choice((0, 0, 5 * H + 1))
    slices = loaded.slices(objective, grid=grid, first_ms=first, excluded=excluded)

    times = uptime_of(objective, columns(slices), where, windows_ms=()).times

    assert (where.end_ms - where.start_ms) / H == hours
    states = (times.up_ns, times.degraded_ns, times.down_ns, times.excluded_ns, times.no_data_ns)
    assert sum(states) + times.not_started_ns == (where.end_ms - where.start_ms) * 10**6
    assert times.not_started_ns == (first - where.start_ms) * 10**6
    left = [(max(a, first), b) for a, b in excluded.tolist() if b > first]
    assert times.excluded_ns == sum(b - a for a, b in left) * 10**6
    counted = (where.end_ms - first) * 10**6 - times.excluded_ns
    assert times.coverage == 1 - Fraction(times.no_data_ns, counted)


def test_windows_of_a_request_are_those_periods() -> None:
    where = resolve(
        Calendar(Period.MONTH, ms(2026, 3, 20)), anchor_ms=LAST_MS, slice_ms=10_000, zone="Europe/Berlin"
    )

    assert where == Window(
        ms(2026, 3, 1, zone="Europe/Berlin"), ms(2026, 4, 1, zone="Europe/Berlin"), where.end_ms
    )
