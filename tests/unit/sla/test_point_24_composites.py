"""Composites: hand-computed unions and means, overlaps once, missing data passed on, weight 0 ignored."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.composite import ChildTimes, composite_of, verdict_of
from services.sla.model import CompositeMode, CompositeTerms, Ints, Verdict

Spans = list[tuple[int, int]]
FLOOR = Fraction(9, 10)


def times(spans: Spans) -> Ints:
    return np.array(spans, np.int64).reshape(-1, 2)


def child(name: str, down: Spans, no_data: Spans = (), excluded: Spans = ()) -> ChildTimes:
    return ChildTimes(name, times(list(down)), times(list(no_data)), times(list(excluded)))


def terms(*names: str, mode: str = "interval_union", weights: tuple[int, ...] = ()) -> CompositeTerms:
    return CompositeTerms(names, CompositeMode(mode), tuple(Fraction(one) for one in weights))


def test_overlapping_outages_of_children_count_once() -> None:
    """a is down 100-200 and 500-600, b 150-300: 200 + 100 of 1000."""
    found = composite_of(
        terms("a", "b"), [child("a", [(100, 200), (500, 600)]), child("b", [(150, 300)])], low=0, high=1000
    )
    assert (found.down, found.no_data, found.excluded) == (300, 0, 0)
    assert found.share == Fraction(7, 10)
    assert found.downtimes == ((100, 300), (500, 600))
    assert [one.share for one in found.children] == [Fraction(4, 5), Fraction(17, 20)]


def test_the_weighted_mean_is_that_of_the_shares() -> None:
    """(2 * 4/5 + 1 * 17/20) / 3 = 49/60, with overlaps in each child's own share."""
    children = [child("a", [(100, 200), (500, 600)]), child("b", [(150, 300)])]
    found = composite_of(terms("a", "b", mode="weighted", weights=(2, 1)), children, low=0, high=1000)
    assert found.share == found.worst_share == found.best_share == Fraction(49, 60)


@pytest.mark.parametrize("mode", ["interval_union", "weighted"])
def test_a_child_of_weight_0_is_ignored(mode: str) -> None:
    ignored = child("b", [(0, 900)], no_data=[(900, 1000)])
    found = composite_of(
        terms("a", "b", mode=mode, weights=(1, 0)), [child("a", [(0, 100)]), ignored], low=0, high=1000
    )
    assert found.share == Fraction(9, 10)
    assert [one.name for one in found.children] == ["a"]


def test_missing_data_of_a_child_is_missing_in_the_union_unless_another_is_down() -> None:
    """b unknown 100-300; a down 200-400: unknown 100-200, down 200-400; 7/9 of what is known."""
    found = composite_of(
        terms("a", "b"), [child("a", [(200, 400)]), child("b", [], no_data=[(100, 300)])], low=0, high=1000
    )
    assert (found.down, found.no_data) == (200, 100)
    assert (found.share, found.worst_share, found.best_share) == (
        Fraction(7, 9),
        Fraction(7, 10),
        Fraction(4, 5),
    )
    assert found.coverage == Fraction(9, 10)


@pytest.mark.parametrize("mode", ["interval_union", "weighted"])
def test_a_child_without_any_data_leaves_the_whole_without_a_verdict(mode: str) -> None:
    found = composite_of(terms("a", "b", mode=mode), [child("a", [])], low=0, high=1000)
    assert found.share is None
    assert verdict_of(found, Fraction(999, 1000), floor=FLOOR) is Verdict.NO_DATA


def test_a_weighted_child_below_the_coverage_floor_leaves_no_verdict() -> None:
    children = [child("a", []), child("b", [], no_data=[(0, 101)])]
    found = composite_of(terms("a", "b", mode="weighted", weights=(9, 1)), children, low=0, high=1000)
    assert (found.share, found.coverage) == (Fraction(1), Fraction(899, 1000))
    assert verdict_of(found, Fraction(9, 10), floor=FLOOR) is Verdict.NO_DATA
    assert verdict_of(found, Fraction(9, 10), floor=Fraction(8, 10)) is Verdict.PASS


def test_known_downtime_fails_whatever_the_unknown_child_did() -> None:
    found = composite_of(terms("a", "b"), [child("a", [(0, 2)])], low=0, high=1000)
    assert verdict_of(found, Fraction(999, 1000), floor=FLOOR) is Verdict.FAIL


def test_maintenance_of_one_child_leaves_the_others_promise_in_force() -> None:
    """a is in maintenance 0-500, b 200-700: only 200-500 is out of the union; b down 0-100 counts."""
    found = composite_of(
        terms("a", "b"),
        [child("a", [], excluded=[(0, 500)]), child("b", [(0, 100)], excluded=[(200, 700)])],
        low=0,
        high=1000,
    )
    assert (found.excluded, found.down) == (300, 100)
    assert found.share == Fraction(6, 7)
    weighted = composite_of(
        terms("a", "b", mode="weighted"),
        [child("a", [], excluded=[(0, 500)]), child("b", [(0, 100)], excluded=[(200, 700)])],
        low=0,
        high=1000,
    )
    assert weighted.share == (Fraction(1) + Fraction(4, 5)) / 2


def test_a_window_of_maintenance_only_has_no_figure() -> None:
    everything = [child("a", [], excluded=[(0, 1000)])]
    for mode in ("interval_union", "weighted"):
        found = composite_of(terms("a", mode=mode), everything, low=0, high=1000)
        assert found.share is found.worst_share is None
        assert verdict_of(found, Fraction(1), floor=FLOOR) is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("down", "missing", "verdict"),
    [
        (1, 0, Verdict.PASS),
        (2, 0, Verdict.FAIL),
        (1, 1, Verdict.INDETERMINATE),
        (0, 1, Verdict.PASS),
        (0, 500, Verdict.NO_DATA),
    ],
)
def test_verdicts_are_decided_only_where_missing_data_cannot_change_them(
    down: int, missing: int, verdict: Verdict
) -> None:
    one = child("a", [(0, down)] if down else [], no_data=[(10, 10 + missing)] if missing else [])
    found = composite_of(terms("a"), [one], low=0, high=1000)
    assert verdict_of(found, Fraction(999, 1000), floor=FLOOR) is verdict


def test_what_cannot_be_a_composite_is_refused() -> None:
    with pytest.raises(ValueError, match="no child has a weight"):
        composite_of(terms("a", weights=(0,)), [], low=0, high=10)
    with pytest.raises(ValueError, match="not one weight for each child"):
        composite_of(terms("a", "b", weights=(1,)), [], low=0, high=10)


STATES = st.lists(st.sampled_from(["up", "down", "no_data", "excluded"]), min_size=24, max_size=24)


def spans_of(states: list[str], state: str) -> Spans:
    found: Spans = []
    for k, one in enumerate(states):
        if one != state:
            continue
        if found and found[-1][1] == k:
            found[-1] = (found[-1][0], k + 1)
        else:
            found.append((k, k + 1))
    return found


@settings(max_examples=80, deadline=None)
@given(st.lists(STATES, min_size=1, max_size=4))
def test_the_union_equals_a_look_at_every_instant(children: list[list[str]]) -> None:
    names = [f"c{i}" for i in range(len(children))]
    given_ = [
        ChildTimes(name, *(times(spans_of(states, one)) for one in ("down", "no_data", "excluded")))
        for name, states in zip(names, children, strict=True)
    ]
    found = composite_of(terms(*names), given_, low=0, high=24)
    columns = [[states[k] for states in children] for k in range(24)]
    down = sum("down" in column for column in columns)
    missing = sum("down" not in column and "no_data" in column for column in columns)
    excluded = sum(set(column) == {"excluded"} for column in columns)
    assert (found.down, found.no_data, found.excluded) == (down, missing, excluded)
    if found.share is not None and found.worst_share is not None and found.best_share is not None:
        assert 0 <= found.worst_share <= found.share <= found.best_share <= 1
