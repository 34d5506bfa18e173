"""How figures are written for people."""

import dataclasses
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.reports.wording import (
    cause_text,
    count_text,
    duration_text,
    local_text,
    minutes_text,
    percent_text,
    period_title,
    seconds_text,
    shown,
    target_percent,
    verdict_text,
)
from tests.unit.sla.reports.examples import CLOCK_BACK_MS, START_MS, period

SECOND = 10**9


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (1, "0.000000001 s"),
        (2592 * SECOND, "43 min 12 s"),
        (2592 * SECOND + 1, "43 min 12.000000001 s"),
        (90_061 * SECOND, "1 d 1 h 1 min 1 s"),
        (-60 * SECOND, "\u22121 min"),
    ],
)
def test_lengths_of_time_are_exact(ns, text):
    assert duration_text(ns) == text


def test_minutes_are_floored_also_below_zero():
    assert minutes_text(2592 * SECOND) == "43.200 min"
    assert minutes_text(-1) == "\u22120.001 min"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "\u2013"),
        (Fraction(1), "100 %"),
        (Fraction(0), "0 %"),
        (1 - Fraction(1, 10**12), "99.999 %"),
        (Fraction(2, 3), "66.666 %"),
        (Fraction(-2, 3), "\u221266.667 %"),
        (Fraction(-12345), "\u22121\u202f234\u202f500.000 %"),
    ],
)
def test_percentages_are_floored(share, text):
    assert percent_text(share) == text


@given(st.fractions(0, 1))
def test_no_percentage_is_better_than_the_share(share):
    assert Fraction(percent_text(share).removesuffix(" %")) <= 100 * share


def test_targets_have_all_of_their_decimals():
    assert target_percent(Fraction(99_995, 100_000)) == "99.995 %"
    assert target_percent(Fraction(1)) == "100 %"


def test_latencies_are_in_the_unit_that_fits():
    assert seconds_text(Decimal("0.843")) == "843 ms"
    assert seconds_text(Decimal("1.43351")) == "1.434 s"
    assert seconds_text(Fraction(2)) == "2 s"
    assert seconds_text(None) == "\u2013"


def test_counts_are_in_groups_of_three():
    assert count_text(1_234_567) == "1\u202f234\u202f567"
    assert count_text(-1_234) == "\u22121\u202f234"
    assert count_text(None) == "\u2013"


def test_instants_use_the_offsets_of_the_report():
    assert local_text(START_MS, period()) == "2026-10-01 00:00\u00a0+02:00"
    assert local_text(CLOCK_BACK_MS - 1000, period()) == "2026-10-25 02:59:59\u00a0+02:00"
    assert local_text(CLOCK_BACK_MS, period()) == "2026-10-25 02:00\u00a0+01:00"
    assert local_text(START_MS + 1, period()) == "2026-10-01 00:00:00.001\u00a0+02:00"
    assert local_text(None, period()) == "\u2013"


def test_an_instant_before_the_first_offset_is_in_utc_and_not_an_hour_off():
    """A contract of January in a report of the autumn was told to be in force from 01:00 +02:00."""
    long_ago = period().offsets[0].from_ms - 1

    assert local_text(long_ago, period()).endswith(" UTC")
    assert not local_text(long_ago + 1, period()).endswith(" UTC")


def test_causes_are_words_and_unknown_ones_stay():
    assert cause_text("LATE_DATA, MAINTENANCE_CHANGED") == "late data, maintenance"
    assert cause_text("late data from two senders") == "late data from two senders"


def test_instants_without_offsets_are_in_utc():
    assert local_text(START_MS, dataclasses.replace(period(), offsets=())) == "2026-09-30 22:00\u00a0+00:00"


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("2026-10", "October 2026"),
        ("2026-Q4", "Quarter 4 of 2026"),
        ("2026-W41", "Week 41 of 2026"),
        ("2026-10-05", "5 October 2026"),
        ("2026", "2026"),
        ("2026-13", "2026-13"),
        ("20261001t000000-20261002t000000", "20261001t000000-20261002t000000"),
        ("", ""),
    ],
)
def test_periods_are_named_as_people_do(label, title):
    assert period_title(label) == title


def test_verdicts_of_running_periods_are_so_far():
    assert verdict_text("PASS", running=True) == "Met so far"
    assert verdict_text("NO_DATA", running=True) == "No data"


def test_text_from_outside_cannot_turn_around_what_follows():
    assert shown("a\u202eb\u2066c\x00d\u200be") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert shown("1\u202f234 \u00a0x") == "1\u202f234 \u00a0x"
    assert shown("Zażółć 株式会社") == "Zażółć 株式会社"
