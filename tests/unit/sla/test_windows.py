"""Windows: anchored where data is complete, calendars exact over changes of the clock."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.errors import BadWindow
from services.sla.windows import Calendar, Custom, Period, Rolling, Window, period_around, resolve

HOUR = 3_600_000


def ms(*parts, zone="UTC"):
    return round(datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "year", "month", "hours"),
    [
        ("Europe/Berlin", 2026, 3, 743),
        ("Europe/Berlin", 2026, 10, 745),
        ("America/New_York", 2026, 11, 721),
        ("Australia/Lord_Howe", 2026, 4, 720.5),
        ("UTC", 2028, 2, 29 * 24),
        ("UTC", 2026, 2, 28 * 24),
    ],
)
def test_a_month_is_as_long_as_the_clocks_say(zone, year, month, hours):
    start, end = period_around(Period.MONTH, ms(year, month, 15, zone=zone), zone)

    assert (end - start) / HOUR == hours


@given(
    st.sampled_from(list(Period)),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu"]),
    st.integers(0, 4_000_000_000_000),
)
def test_periods_tile_the_time_line(period, zone, instant):
    start, end = period_around(period, instant, zone)

    assert start <= instant < end
    assert period_around(period, end, zone)[0] == end
    assert period_around(period, start - 1, zone)[1] == start


def test_periods_start_where_people_expect_them():
    inside = ms(2026, 8, 19, 13, zone="Europe/Berlin")

    found = {period: period_around(period, inside, "Europe/Berlin")[0] for period in Period}

    assert found == {
        Period.DAY: ms(2026, 8, 19, zone="Europe/Berlin"),
        Period.WEEK: ms(2026, 8, 17, zone="Europe/Berlin"),
        Period.MONTH: ms(2026, 8, 1, zone="Europe/Berlin"),
        Period.QUARTER: ms(2026, 7, 1, zone="Europe/Berlin"),
        Period.YEAR: ms(2026, 1, 1, zone="Europe/Berlin"),
    }


def test_a_rolling_window_ends_with_the_data():
    assert resolve(Rolling(60_000), anchor_ms=100_000, slice_ms=10_000, zone="UTC") == Window(
        40_000, 100_000, 100_000
    )


def test_a_running_period_keeps_its_end_and_says_how_far_the_data_reaches():
    anchor = ms(2026, 8, 19, 13)

    window = resolve(Calendar(Period.MONTH), anchor_ms=anchor, slice_ms=10_000, zone="UTC")

    assert window == Window(ms(2026, 8, 1), ms(2026, 9, 1), anchor)


def test_a_custom_window_is_aligned_down_to_slices():
    window = resolve(Custom(12_345, 45_678), anchor_ms=10**6, slice_ms=10_000, zone="UTC")

    assert window == Window(10_000, 40_000, 40_000)


@pytest.mark.parametrize(
    "request_",
    [
        Rolling(0),
        Rolling(15_000),
        Rolling(401 * 86_400_000),
        Custom(20_000, 20_000),
        Custom(21_000, 22_000),
        Custom(0, 401 * 86_400_000),
    ],
)
def test_windows_that_cannot_be_are_refused(request_):
    with pytest.raises(BadWindow):
        resolve(request_, anchor_ms=10**6, slice_ms=10_000, zone="UTC")


def test_consecutive_days_of_a_year_leave_no_gap():
    day, edges = ms(2026, 1, 1, zone="Europe/Berlin"), []
    for _ in range(366):
        edges.append(period_around(Period.DAY, day, "Europe/Berlin"))
        day = edges[-1][1]

    assert all(left[1] == right[0] for left, right in pairwise(edges))
