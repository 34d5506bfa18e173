"""What is displayed is never more than what was: floored, and 100 % only where nothing was missing."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.figures import uptime_of
from services.sla.model import Slice
from services.sla.verdict import displayed_percent, percent_of
from services.sla.windows import Window
from tests.unit.sla.methods.naive_methods import columns
from tests.unit.sla.slicing import AVAILABILITY

S = 10_000
WHOLE = S * 10**6


def shown(*slices):
    return uptime_of(AVAILABILITY, columns(slices), Window(0, len(slices) * S, len(slices) * S)).displayed


def test_a_flawless_window_is_100():
    assert shown(*(Slice(k * S, S, 5, 5, up_ns=WHOLE) for k in range(3))) == "100"


def test_maintenance_that_is_excluded_does_not_spoil_100():
    assert shown(Slice(0, S, 5, 5, up_ns=WHOLE), Slice(S, S, excluded_ns=WHOLE)) == "100"


@pytest.mark.parametrize(
    "flaw",
    [
        Slice(S, S, 5, 5, up_ns=WHOLE - 1, down_ns=1),
        Slice(S, S, 5, 5, up_ns=WHOLE - 1, no_data_ns=1),
        Slice(S, S, 10**9 - 1, 10**9, up_ns=WHOLE),
    ],
    ids=["a nanosecond down", "a nanosecond without data", "one request of a thousand million"],
)
def test_the_least_flaw_is_below_100(flaw):
    assert shown(Slice(0, S, 5, 5, up_ns=WHOLE), flaw) == "99.999"


@given(st.integers(0, 10**18), st.integers(1, 10**18))
def test_a_displayed_percent_is_at_most_the_share_and_within_its_last_digit(part, whole):
    share = Fraction(min(part, whole), whole)

    text = Fraction(displayed_percent(share, flawless=share == 1))

    assert 0 <= 100 * share - text < Fraction(2, 1000)


@given(st.integers(0, 10**18), st.integers(1, 10**18))
def test_percents_in_sentences_are_floored_too(part, whole):
    share = Fraction(min(part, whole), whole)

    assert 0 <= 100 * share - Fraction(percent_of(share)) < Fraction(1, 10**9)
    assert percent_of(Fraction(999, 1000)) == "99.9"
    assert percent_of(Fraction(1)) == "100"
    assert percent_of(Fraction(2, 3)) == "66.666666666"
