"""Recurrence rules: both nights of the year, phases kept far from the start, and every refusal's reason."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.recurrence import instant_ms, parse_rule, recurrence

BERLIN = "Europe/Berlin"
ZONES = (BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu", "America/St_Johns")
DAY = 86_400_000


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def local(text: str, zone: str = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def texts(starts: list[int]) -> list[str]:
    return [datetime.fromtimestamp(one / 1000, UTC).strftime("%m-%d %H:%M") for one in starts]


def test_a_start_that_the_spring_night_skips_is_an_hour_later_on_the_clock() -> None:
    """2026-03-29 02:30 does not exist in Berlin; at the offset before the change it is 03:30 summer time."""
    daily = recurrence("FREQ=DAILY", local("2026-03-01T02:30"), BERLIN)

    found = daily.starts(utc("2026-03-28"), utc("2026-03-31"))

    assert texts(found) == ["03-28 01:30", "03-29 01:30", "03-30 00:30"]


def test_a_start_that_the_autumn_night_has_twice_is_the_first() -> None:
    daily = recurrence("FREQ=DAILY", local("2026-10-01T02:30"), BERLIN)

    found = daily.starts(utc("2026-10-24"), utc("2026-10-27"))

    assert texts(found) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_a_first_start_in_the_second_of_two_equal_hours_stays_there() -> None:
    second = utc("2026-10-25T01:30")
    assert recurrence("FREQ=DAILY;COUNT=2", second, BERLIN).starts(0, second + 7 * DAY) == [
        second,
        second + DAY,
    ]


def test_two_local_times_that_become_one_instant_are_one_start() -> None:
    twice = recurrence("FREQ=DAILY;BYHOUR=2,3", local("2026-03-01T02:30"), BERLIN)
    assert texts(twice.starts(utc("2026-03-29"), utc("2026-03-29T12:00"))) == ["03-29 01:30"]


def test_every_second_week_keeps_its_phase_after_ninety_years() -> None:
    start = local("2026-11-29T02:00")
    found = recurrence("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU", start, BERLIN).starts(
        utc("2116-01-01"), utc("2116-02-01")
    )
    days = [
        (datetime.fromtimestamp(one / 1000, ZoneInfo(BERLIN)).date() - date(2026, 11, 29)).days
        for one in found
    ]
    assert len(days) == 2
    assert all(day % 14 == 0 for day in days)


def test_until_is_inclusive_and_local_without_z() -> None:
    start = local("2026-01-01T02:00")
    for until in ("20260103T020000", "20260103T010000Z", "20260103"):
        found = recurrence(f"FREQ=DAILY;UNTIL={until}", start, BERLIN).starts(0, start + 30 * DAY)
        assert len(found) == 3, until
    assert len(recurrence("FREQ=DAILY;UNTIL=20260103T015959", start, BERLIN).starts(0, start + 30 * DAY)) == 2


def test_what_comes_next() -> None:
    start = local("2028-02-29T02:00")
    leap = recurrence("FREQ=YEARLY", start, BERLIN)
    assert leap.next_after(start + 1) == local("2032-02-29T02:00")
    assert leap.next_after(0) == start
    counted = recurrence("FREQ=DAILY;COUNT=3", start, BERLIN)
    assert counted.next_after(start + 2 * DAY) == start + 2 * DAY
    assert counted.next_after(start + 2 * DAY + 1) is None
    assert recurrence("FREQ=DAILY;UNTIL=20280301", start, BERLIN).next_after(start + 3 * DAY) is None


RULES = st.one_of(
    st.builds("FREQ=DAILY;INTERVAL={}".format, st.integers(1, 9)),
    st.builds(
        "FREQ=WEEKLY;INTERVAL={};WKST={}".format, st.integers(1, 5), st.sampled_from(["MO", "SU", "TH"])
    ),
    st.builds("FREQ=MONTHLY;INTERVAL={}".format, st.integers(1, 13)),
    st.builds("FREQ=YEARLY;INTERVAL={}".format, st.integers(1, 4)),
    st.builds("FREQ=WEEKLY;INTERVAL={};BYDAY=MO,TU,WE,TH,FR,SA,SU".format, st.integers(1, 3)),
    st.builds("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS={}".format, st.sampled_from([1, 2, -1])),
)


@settings(max_examples=80, deadline=None)
@given(
    rule=RULES,
    zone=st.sampled_from(ZONES),
    start=st.integers(utc("2020-01-01") // 60_000, utc("2028-01-01") // 60_000),
    after=st.integers(0, 4000),
    days=st.integers(0, 500),
)
def test_a_range_far_from_the_start_is_what_a_walk_from_the_start_gives(
    rule: str, zone: str, start: int, after: int, days: int
) -> None:
    """Differential: dateutil from the very first occurrence, without our short cut into the range."""
    begin = start * 60_000
    try:
        repeated = recurrence(rule, begin, zone)
    except ValueError:
        return
    low, high = begin + after * DAY, begin + (after + days) * DAY
    first = datetime.fromtimestamp(begin / 1000, ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    walk = set()
    for one in rrule.rrulestr(rule, dtstart=first):
        if one > first + timedelta(days=after + days + 3):
            break
        walk.add(begin if one == first else instant_ms(one, zone))
    assert repeated.starts(low, high) == sorted(one for one in walk if low <= one < high)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("every sunday", "EVERY SUNDAY: must be NAME=VALUE parts such as FREQ=WEEKLY;BYDAY=SU"),
        ("BYDAY=SU", "FREQ: must be DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=SECONDLY", "FREQ: must be DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ: is there twice"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20270101", "COUNT: not together with UNTIL"),
        ("FREQ=DAILY;COUNT=0", "COUNT: must be 1 to 3660"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL: must be one number"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL: must be like 20261231T235959Z, or a date"),
        ("FREQ=DAILY;UNTIL=20261301", "UNTIL: must be like 20261231T235959Z, or a date"),
        ("FREQ=WEEKLY;BYDAY=1SU", "BYDAY: a number before the day needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=WEEKLY;BYDAY=SUNDAY", "BYDAY: must be days such as SU, or 1SU and -1FR in months and years"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY: must be 1 to 31 or -31 to -1"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY: not with FREQ=WEEKLY"),
        ("FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=0,10,20,30,40", "BYHOUR, BYMINUTE: more than 24 times a day"),
        ("FREQ=DAILY;BYEASTER=0", "BYEASTER: is not supported"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS: needs another BY part to choose from"),
        ("FREQ=DAILY;WKST=XX", "WKST: must be a day such as MO"),
    ],
)
def test_a_bad_rule_is_refused_with_its_part_and_reason(rule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        parse_rule(rule, BERLIN)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("FREQ=WEEKLY;BYDAY=MO", "the first start is not a time that the rule makes"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "the first start is not a time that the rule makes"),
        ("FREQ=DAILY;UNTIL=20201231", "UNTIL: is before the first start"),
    ],
)
def test_a_rule_that_does_not_make_its_own_start_is_refused(rule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        recurrence(rule, local("2026-11-29T02:00"), BERLIN)
