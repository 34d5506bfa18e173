"""Downtime as Google-style contracts count it: whole, consecutive minutes with enough requests."""

from fractions import Fraction
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.methods.measure import measure
from services.sla.methods.model import ErrorRate
from services.sla.model import NoData, Slice
from tests.unit.sla.methods.naive_methods import columns, times_of

SECOND = 1000
NS = 10**6
MINUTE_NS = 60 * 10**9
TEN = Fraction(1, 10)


def minutes_down(bad_seconds, method, *, seconds=1200, per_second=10, failing=10):
    """Slices of a second, with `failing` of `per_second` requests failing in the bad ones."""
    slices = [
        Slice(
            k * SECOND,
            SECOND,
            per_second - (failing if k in bad_seconds else 0),
            per_second,
            up_ns=SECOND * NS,
        )
        for k in range(seconds)
    ]
    got = measure(
        method,
        columns(slices),
        start_ms=0,
        end_ms=seconds * SECOND,
        times=times_of(slices, 0, seconds * SECOND),
        no_data=NoData.EXCLUDE,
        excluded_counts_up=False,
    )
    assert got.share == 1 - Fraction(got.bad_ns, seconds * 10**9)
    assert sum(end - start for start, end in got.downtimes) * NS == got.bad_ns
    return Fraction(got.bad_ns, MINUTE_NS)


@pytest.mark.parametrize(
    ("bad", "minutes"),
    [
        (range(60, 119), 0),
        (range(61, 120), 0),
        (range(60, 120), 1),
        (range(90, 150), 0),
        (range(90, 181), 1),
        (range(60, 180), 2),
    ],
    ids=["59 s", "the other 59 s", "an aligned minute", "60 s over an edge", "91 s hold one", "two minutes"],
)
def test_only_whole_minutes_count(bad, minutes):
    assert minutes_down(set(bad), ErrorRate(TEN)) == minutes


@pytest.mark.parametrize(("bad", "minutes"), [(range(60, 119), 1), (range(90, 150), 2), (range(60, 66), 0)])
def test_partial_minutes_count_by_their_own_rate_where_the_contract_says_so(bad, minutes):
    assert minutes_down(set(bad), ErrorRate(TEN, partial_intervals=True)) == minutes


@pytest.mark.parametrize("partial", [False, True])
def test_four_and_four_minutes_with_a_gap_are_no_five(partial):
    bad = set(range(60, 300)) | set(range(360, 600))

    def minutes(k):
        return minutes_down(bad, ErrorRate(TEN, consecutive=k, partial_intervals=partial))

    assert minutes(5) == 0
    assert minutes(4) == 8


def test_five_minutes_in_a_row_are_five_and_nine_are_no_ten():
    assert minutes_down(set(range(60, 360)), ErrorRate(TEN, consecutive=5)) == 5
    assert minutes_down(set(range(60, 600)), ErrorRate(TEN, consecutive=10)) == 0
    assert minutes_down(set(range(60, 660)), ErrorRate(TEN, consecutive=10)) == 10


def test_the_rate_has_to_be_above_and_not_at_the_limit():
    whole = set(range(60, 120))

    assert minutes_down(whole, ErrorRate(TEN), failing=1) == 0
    assert minutes_down(whole, ErrorRate(TEN), failing=2) == 1


@pytest.mark.parametrize(("fewest", "minutes"), [(599, 1), (600, 1), (601, 0)])
def test_a_minute_of_too_few_requests_does_not_count(fewest, minutes):
    assert minutes_down(set(range(60, 120)), ErrorRate(TEN, min_requests=fewest)) == minutes


@given(
    spans=st.lists(st.tuples(st.integers(0, 1100), st.integers(1, 400)), max_size=5),
    k=st.integers(1, 5),
)
def test_any_outages_count_as_the_sentence_in_the_contract_says(spans, k):
    bad = {second for start, length in spans for second in range(start, min(start + length, 1200))}
    whole = [all(60 * minute + second in bad for second in range(60)) for minute in range(20)]
    runs = [len(list(group)) for flag, group in groupby(whole) if flag]

    assert minutes_down(bad, ErrorRate(TEN, consecutive=k)) == sum(run for run in runs if run >= k)
