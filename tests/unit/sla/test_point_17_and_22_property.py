"""Points 17 and 22 for random outages, windows, zones and both nights of the year, minute by minute.

What maintenance excludes is told here by dates and clocks alone, without the code under test.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.columns import columns_of
from services.sla.figures import uptime_of
from services.sla.maintenance.model import Effect, MaintenanceWindow
from services.sla.memory import MemoryPointReader
from services.sla.methods.model import ErrorRate
from services.sla.model import Revision, Slice
from services.sla.rows_build import NumberPoint
from services.sla.slice_compute import Grid
from services.sla.slice_sources import Sources
from services.sla.slice_terms import exclusions_from
from services.sla.windows import Window
from tests.unit.sla.clients import TENANT
from tests.unit.sla.signals import gauge
from tests.unit.sla.slicing import AVAILABILITY
from tests.unit.sla.test_slice_signals import PROBE

MINUTE = 60_000
H = 60 * MINUTE
MINUTE_NS = MINUTE * 10**6
NIGHTS = [
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("Asia/Kathmandu", "2026-06-01"),
]
DAYS = 2
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def unix_ms(local: datetime, zone: str) -> int:
    """A local time; a skipped one at the offset before the change, the first of two."""
    instant = local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@st.composite
def plans(draw):
    """Zone, first midnight, and windows: minute of the first start, minutes, days, hours of notice, minute of
    the cancellation, retroactive."""
    zone, day = draw(st.sampled_from(NIGHTS))
    first = datetime.fromisoformat(day)
    windows = draw(
        st.lists(
            st.tuples(
                st.integers(0, DAYS * 24 * 60 - 1),
                st.integers(1, 400),
                st.sampled_from(["once", "daily", "weekly"]),
                st.integers(-2, 5),
                st.none() | st.integers(0, DAYS * 24 * 60),
                st.booleans(),
            ),
            max_size=4,
        )
    )
    return zone, first, windows


def window_of(zone, first, plan, place):
    start, minutes, rule, ahead, cancelled, retroactive = plan
    begin = unix_ms(first + timedelta(minutes=start), zone)
    rules = {"once": "", "daily": "FREQ=DAILY"}
    days = ",".join(days_of(rule, begin, zone))
    return MaintenanceWindow(
        TENANT,
        f"w{place}",
        "Work",
        (),
        begin,
        begin + minutes * MINUTE,
        rules.get(rule, f"FREQ=WEEKLY;BYDAY={days}"),
        zone,
        announced_ms=begin - ahead * H,
        cancelled_ms=None if cancelled is None else unix_ms(first, zone) + cancelled * MINUTE,
        retroactive=retroactive,
    )


def days_of(rule, begin_ms, zone):
    """Every weekday, or that of the first start and the next one."""
    if rule == "daily":
        return WEEKDAYS
    first = datetime.fromtimestamp(begin_ms / 1000, ZoneInfo(zone)).weekday()
    return WEEKDAYS[first], WEEKDAYS[(first + 1) % 7]


def minutes_out(zone, first, plans_, notice_h, low_ms, many):
    """Whether each minute is excluded, told by the calendar."""
    out = [False] * many
    for start, minutes, rule, ahead, cancelled, retroactive in plans_:
        local = first + timedelta(minutes=start)
        begin = unix_ms(local, zone)
        # What was skipped in the night of the first occurrence repeats at the time that it really was.
        shown = datetime.fromtimestamp(begin / 1000, ZoneInfo(zone)).replace(tzinfo=None)
        starts = [begin]
        if rule != "once":
            days = [shown + timedelta(days=d) for d in range(DAYS + 2)]
            allowed = days_of(rule, begin, zone)
            starts = [unix_ms(day, zone) for day in days if WEEKDAYS[day.weekday()] in allowed]
        until = None if cancelled is None else unix_ms(first, zone) + cancelled * MINUTE
        for at_ms in starts:
            notice = at_ms - (begin - ahead * H)
            kept = notice >= notice_h * H if notice_h else notice >= 0 or retroactive
            if not kept or (until is not None and until <= at_ms):
                continue
            end_ms = at_ms + minutes * MINUTE
            end_ms = end_ms if until is None else min(end_ms, until)
            for k in range(max(0, (at_ms - low_ms) // MINUTE), min(many, (end_ms - low_ms) // MINUTE)):
                out[k] = True
    return out


@settings(max_examples=40, deadline=None)
@given(
    plan=plans(),
    notice_h=st.sampled_from([0, 0, 1, 3]),
    outages=st.lists(st.tuples(st.integers(0, DAYS * 24 * 60), st.integers(1, 600)), max_size=4),
)
async def test_outages_and_maintenance_divide_every_minute_as_the_calendar_says(plan, notice_h, outages):
    zone, first, planned = plan
    low, high = unix_ms(first, zone), unix_ms(first + timedelta(days=DAYS), zone)
    many = (high - low) // MINUTE
    down = [any(start <= k < start + length for start, length in outages) for k in range(many)]
    out = minutes_out(zone, first, planned, notice_h, low, many)
    objective = replace(PROBE, slice_ms=MINUTE, notice_ms=notice_h * H, time_zone=zone)
    windows = [window_of(zone, first, one, place) for place, one in enumerate(planned)]

    slices = await sliced(objective, down, windows, low, high)

    assert [one.excluded_ns for one in slices] == [MINUTE_NS * gone for gone in out]
    seen = [one.down_ns for one in slices]
    assert seen == [MINUTE_NS * (bad and not gone) for bad, gone in zip(down, out, strict=True)]
    columns = columns_of([(Revision(one, 1, 0), 1) for one in slices])
    bad, gone = sum(seen) // MINUTE_NS, sum(out)
    for effect, valid in ((Effect.DROP, many - gone), (Effect.COUNT_UP, many)):
        found = uptime_of(replace(objective, effect=effect), columns, Window(low, high, high), first_ms=low)
        expected = Fraction(valid - bad, valid) if valid else None
        assert found.share == expected
        assert found.share is None or 0 <= found.share <= 1
        assert (found.displayed == "100") == (found.share == 1)


async def sliced(objective, down, windows, low, high):
    """Through the slicer: a probe that reports at the end of every minute."""
    reader = MemoryPointReader()
    points = [(low, 1)]
    points += [(low + (k + 1) * MINUTE, 0 if bad else 1) for k, bad in enumerate(down)]
    reader.put_numbers(
        TENANT, "probe.success", gauge(1), *(NumberPoint(1, at_ms, value) for at_ms, value in points)
    )
    excluded = exclusions_from(lambda _: windows)(objective, low, high)
    loaded = await Sources(reader).load([objective], low, high)
    grid = Grid.over(low, high, MINUTE)
    return loaded.slices(objective, grid=grid, first_ms=low, excluded=excluded)


@settings(max_examples=60, deadline=None)
@given(
    night=st.sampled_from(NIGHTS),
    outages=st.lists(st.tuples(st.integers(0, 4 * 3600), st.integers(1, 1200)), max_size=6),
    rests=st.lists(st.tuples(st.integers(0, 4 * 60), st.integers(1, 60)), max_size=3),
    k=st.integers(1, 6),
    effect=st.sampled_from(Effect),
)
def test_downtime_periods_are_runs_of_whole_minutes_of_the_zone(night, outages, rests, k, effect):
    """Slices of ten seconds from 00:00 to 04:00 and more, over the change of the clock.

    A minute of maintenance holds no requests, so it ends a run and is not down.
    """
    zone, day = night
    first = datetime.fromisoformat(day) + timedelta(days=1)
    low = unix_ms(first, zone)
    high = unix_ms(first + timedelta(hours=4), zone)
    tens = (high - low) // 10_000
    resting = [any(start <= n // 6 < start + length for start, length in rests) for n in range(tens)]
    failing = [
        any(start <= 10 * n and 10 * n + 10 <= start + length for start, length in outages)
        for n in range(tens)
    ]
    slices = [
        Slice(low + n * 10_000, 10_000, 0, 0, excluded_ns=10**10, sealed=True)
        if resting[n]
        else Slice(low + n * 10_000, 10_000, 0 if failing[n] else 50, 50, up_ns=10**10, sealed=True)
        for n in range(tens)
    ]
    objective = replace(
        AVAILABILITY, method=ErrorRate(Fraction(1, 10), consecutive=k), time_zone=zone, effect=effect
    )

    columns = columns_of([(Revision(one, 1, 0), 1) for one in slices])
    found = uptime_of(objective, columns, Window(low, high, high), first_ms=low)

    bad = [all(failing[n] and not resting[n] for n in range(6 * m, 6 * m + 6)) for m in range(tens // 6)]
    runs = [len(list(group)) for flag, group in groupby(bad) if flag]
    down = sum(run for run in runs if run >= k)
    left = tens // 6 - (sum(resting) // 6 if effect is Effect.DROP else 0)
    assert found.measured.bad_ns == down * MINUTE_NS
    assert found.share == (Fraction(left - down, left) if left else None)
