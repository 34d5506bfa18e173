"""Maintenance: rules in a zone, notice, overlaps, cancellations, and the exact split of an outage."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.kernels import intervals
from services.sla.maintenance.exclude import CANCELLED, RETROACTIVE, excluded_within, exclusions, merged
from services.sla.maintenance.model import Effect, MaintenanceWindow, WindowState
from services.sla.maintenance.occurrences import occurrences, state_at

BERLIN = "Europe/Berlin"
H, DAY = 3_600_000, 86_400_000


def at(text: str, zone: str = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def window(start: str, end: str, rule: str = "", **more: object) -> MaintenanceWindow:
    known = MaintenanceWindow("acme", "move", "Move", (), at(start), at(end), rule, BERLIN)
    return replace(known, **more)


SUNDAYS = window("2026-03-22T02:30", "2026-03-22T04:30", "FREQ=WEEKLY;BYDAY=SU")


def local(times: list[tuple[int, int]]) -> list[str]:
    zone = ZoneInfo(BERLIN)
    return [
        "-".join(datetime.fromtimestamp(one / 1000, zone).strftime("%H:%M") for one in pair) for pair in times
    ]


def test_over_the_spring_night_the_window_lasts_what_it_lasts_and_ends_later_on_the_clock() -> None:
    found = occurrences(SUNDAYS, at("2026-03-22"), at("2026-04-06"))

    assert local(found) == ["02:30-04:30", "03:30-05:30", "02:30-04:30"]
    assert {end - start for start, end in found} == {2 * H}


def test_over_the_autumn_night_the_window_lasts_what_it_lasts_and_ends_earlier_on_the_clock() -> None:
    found = occurrences(SUNDAYS, at("2026-10-18"), at("2026-11-01T12:00"))

    assert local(found) == ["02:30-04:30", "02:30-03:30", "02:30-04:30"]
    assert {end - start for start, end in found} == {2 * H}


def test_an_occurrence_that_began_before_the_range_is_part_of_it() -> None:
    start = at("2026-05-03T02:30")
    assert occurrences(SUNDAYS, start + H, start + 2 * H) == [(start, start + 2 * H)]
    assert occurrences(SUNDAYS, start + 2 * H, start + 3 * H) == []
    assert occurrences(SUNDAYS, start - H, start) == []


def test_overlapping_windows_exclude_each_instant_once() -> None:
    other = window("2026-05-03T03:00", "2026-05-03T05:00", name="disks")
    found = exclusions(
        [SUNDAYS, other], "gold/a", notice_ms=0, low_ms=at("2026-05-03"), high_ms=at("2026-05-04")
    )

    assert [one.window for one in found] == ["move", "disks"]
    assert merged(found).tolist() == [[at("2026-05-03T02:30"), at("2026-05-03T05:00")]]


def test_notice_is_asked_for_each_occurrence_to_the_millisecond() -> None:
    announced = at("2026-05-03T02:30") - 72 * H + 1
    late = replace(SUNDAYS, announced_ms=announced)

    first, second = exclusions(
        [late], "gold/a", notice_ms=72 * H, low_ms=at("2026-05-03"), high_ms=at("2026-05-11")
    )

    assert (first.counted, first.why_not) == (
        False,
        "announced 71h59m before it began; the contract asks for 72h",
    )
    assert (second.counted, second.why_not) == (True, "")
    in_time = replace(late, announced_ms=announced - 1)
    assert exclusions([in_time], "gold/a", notice_ms=72 * H, low_ms=first.start_ms, high_ms=first.end_ms)[
        0
    ].counted


@pytest.mark.parametrize(
    ("notice_ms", "retroactive", "counted"),
    [(0, False, False), (0, True, True), (1, True, False), (72 * H, True, False), (72 * H, False, False)],
)
def test_a_window_announced_after_it_began_counts_only_marked_and_without_notice(
    notice_ms: int, retroactive: bool, counted: bool
) -> None:
    once = window("2026-05-03T02:00", "2026-05-03T04:00", retroactive=retroactive)
    late = replace(once, announced_ms=once.start_ms + 1)

    (found,) = exclusions([late], "gold/a", notice_ms=notice_ms, low_ms=0, high_ms=late.end_ms)

    assert found.counted is counted
    assert counted == (not found.why_not)
    if notice_ms == 0 and not retroactive:
        assert found.why_not == RETROACTIVE


def test_a_cancellation_keeps_what_had_happened() -> None:
    under_way = at("2026-05-10T03:00")
    cancelled = replace(SUNDAYS, cancelled_ms=under_way)

    before, during, after = exclusions(
        [cancelled], "gold/a", notice_ms=0, low_ms=at("2026-05-03"), high_ms=at("2026-05-18")
    )

    assert (before.counted, before.end_ms - before.start_ms) == (True, 2 * H)
    assert (during.counted, during.end_ms) == (True, under_way)
    assert (after.counted, after.why_not) == (False, CANCELLED)


@pytest.mark.parametrize(
    ("objectives", "covered"),
    [
        ((), True),
        (("gold/a",), True),
        (("gold",), True),
        (("a",), True),
        (("gold/b", "silver", "b"), False),
    ],
)
def test_a_window_is_for_the_objectives_that_it_names(objectives: tuple[str, ...], covered: bool) -> None:
    named = replace(SUNDAYS, objectives=objectives)
    found = exclusions([named], "gold/a", notice_ms=0, low_ms=at("2026-05-03"), high_ms=at("2026-05-04"))
    assert bool(found) is covered


def test_an_outage_that_overlaps_in_part_is_split_exactly() -> None:
    """Down 03:00:00.001 to 05:00; maintenance to 04:30: 1 799 999 ms of it stand."""
    found = exclusions([SUNDAYS], "gold/a", notice_ms=0, low_ms=at("2026-05-03"), high_ms=at("2026-05-04"))
    outage = np.array([[at("2026-05-03T03:00") + 1, at("2026-05-03T05:00")]], np.int64)

    inside = intervals.intersection(outage, merged(found))
    outside = intervals.difference(outage, merged(found))

    assert intervals.length(inside) == 90 * 60_000 - 1
    assert outside.tolist() == [[at("2026-05-03T04:30"), at("2026-05-03T05:00")]]
    assert [Effect("drop"), Effect("count_up")] == list(Effect)


@pytest.mark.parametrize(
    ("now", "cancelled", "state"),
    [
        ("2026-03-01T00:00", None, WindowState.PLANNED),
        ("2026-05-03T03:00", None, WindowState.ACTIVE),
        ("2026-05-04T03:00", None, WindowState.PLANNED),
        ("2026-05-04T03:00", "2026-05-04T02:00", WindowState.CANCELLED),
    ],
)
def test_where_a_window_is_in_its_life(now: str, cancelled: str | None, state: WindowState) -> None:
    one = replace(SUNDAYS, cancelled_ms=None if cancelled is None else at(cancelled))
    assert state_at(one, at(now)) is state
    assert state_at(replace(one, rule="", cancelled_ms=None), at("2026-06-01")) is WindowState.ENDED


WINDOWS = st.builds(
    lambda name, zone, hour, minutes, rule, announced, cancelled, retroactive: MaintenanceWindow(
        "acme",
        name,
        "Work",
        (),
        (start := at(f"2026-01-05T{hour:02}:30", zone)),
        start + minutes * 60_000,
        rule,
        zone,
        announced_ms=start + announced * H,
        cancelled_ms=None if cancelled is None else start + cancelled * H,
        retroactive=retroactive,
    ),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    st.integers(0, 23),
    st.integers(1, 3000),
    st.sampled_from(
        ["", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=MONTHLY", "FREQ=DAILY;INTERVAL=3;COUNT=40"]
    ),
    st.integers(-3000, 3000),
    st.none() | st.integers(-100, 8000),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    windows=st.lists(WINDOWS, max_size=4),
    low=st.integers(0, 340),
    days=st.integers(1, 25),
    notice=st.sampled_from([0, 1, 24, 72]),
    outages=st.lists(st.tuples(st.integers(0, 25 * 24 * 60), st.integers(1, 4000)), max_size=5),
)
def test_no_instant_is_excluded_twice_and_an_outage_is_inside_or_outside(
    windows: list[MaintenanceWindow], low: int, days: int, notice: int, outages: list[tuple[int, int]]
) -> None:
    """Against a brute-force look at every minute; shares stay within 0 and 1 under both effects."""
    low_ms = at("2026-01-01", "UTC") + low * DAY
    high_ms = low_ms + days * DAY
    found = exclusions(windows, "gold/a", notice_ms=notice * H, low_ms=low_ms, high_ms=high_ms)
    excluded = excluded_within(found, low_ms, high_ms)

    flat = excluded.ravel()
    assert np.all(np.diff(flat) > 0)
    minutes = np.arange(low_ms, high_ms, 60_000)
    brute = np.zeros(len(minutes), bool)
    for one in found:
        if one.counted:
            brute |= (minutes >= one.start_ms) & (minutes < one.end_ms)
    assert intervals.length(excluded) == 60_000 * int(brute.sum())

    down = intervals.clip(
        intervals.normalise(
            np.array([low_ms + start * 60_000 for start, _ in outages], np.int64),
            np.array([low_ms + (start + length) * 60_000 for start, length in outages], np.int64),
        ),
        low_ms,
        high_ms,
    )
    inside = intervals.length(intervals.intersection(down, excluded))
    outside = intervals.length(intervals.difference(down, excluded))
    assert inside + outside == intervals.length(down)
    window_ms, excluded_ms = high_ms - low_ms, intervals.length(excluded)
    assert 0 <= outside <= window_ms - excluded_ms <= window_ms


@settings(max_examples=60, deadline=None)
@given(one=WINDOWS, low=st.integers(-5, 360), cut=st.integers(0, 60), days=st.integers(0, 60))
def test_two_ranges_side_by_side_see_what_the_whole_sees(
    one: MaintenanceWindow, low: int, cut: int, days: int
) -> None:
    low_ms = at("2026-01-01", "UTC") + low * DAY
    middle, high = low_ms + cut * DAY, low_ms + (cut + days) * DAY
    parts = set(occurrences(one, low_ms, middle)) | set(occurrences(one, middle, high))
    assert sorted(parts) == occurrences(one, low_ms, high)
