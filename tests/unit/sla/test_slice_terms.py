"""Which version a slice is computed under, and what a change of contracts or maintenance makes dirty."""

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.maintenance.model import MaintenanceWindow
from services.sla.methods.model import Uptime
from services.sla.model import NoData
from services.sla.slice_grid import Grid
from services.sla.slice_range import Range
from services.sla.slice_terms import (
    dirty_by_configuration,
    exclusions_from,
    footing,
    no_exclusions,
    slicing_digest,
    under_versions,
    within_raw,
)
from services.sla.windows import Rolling
from tests.unit.sla.clients import TENANT
from tests.unit.sla.signals import at, spans
from tests.unit.sla.slicing import AVAILABILITY

OLD = replace(AVAILABILITY, from_ms=at(-1000), until_ms=at(25))
NEW = replace(AVAILABILITY, down_above=Fraction(1, 10), from_ms=at(25), until_ms=None)


def placed(terms, low, high):
    return [
        (one, (grid.origin_ms - at(0)) / 1000, (grid.end_ms - at(0)) / 1000)
        for one, grid in under_versions(terms, Grid.over(at(low), at(high), 10_000))
    ]


def standing(timeline, excluded=no_exclusions, low=-1000, high=1000):
    return footing(timeline, excluded, low_ms=at(low), high_ms=at(high))


def dirty(before, after):
    return [
        ((one.low_ms - at(0)) / 1000, (one.high_ms - at(0)) / 1000)
        for one in dirty_by_configuration(before, after)
    ]


def window(start, end, **more):
    made = MaintenanceWindow(TENANT, "w", "w", (), at(start), at(end), announced_ms=at(-9000))
    return replace(made, **more)


def excluding(*windows):
    return exclusions_from(lambda _: windows)


def test_a_slice_belongs_to_the_version_in_force_at_its_start():
    # The change at 25 lies in the slice that starts at 20, which is the old version's.
    assert placed((OLD, NEW), 0, 60) == [(OLD, 0, 30), (NEW, 30, 60)]
    assert placed((OLD, NEW), 0, 20) == [(OLD, 0, 20)]
    assert placed((OLD, NEW), 30, 60) == [(NEW, 30, 60)]


def test_time_of_no_version_has_no_slices():
    ended = replace(OLD, until_ms=at(10))
    later = replace(NEW, from_ms=at(35))

    assert placed((ended, later), 0, 60) == [(ended, 0, 10), (later, 40, 60)]
    assert placed((later,), 0, 40) == []


@given(st.integers(0, 10**6))
def test_versions_tile_the_slices_without_gap_or_overlap(seed):
    rng = random.Random(seed)
    cuts = sorted({rng.randrange(at(-500), at(500)) for _ in range(5)})
    ends = [*cuts[1:], None]
    timeline = [replace(AVAILABILITY, from_ms=a, until_ms=b) for a, b in zip(cuts, ends, strict=True)]
    whole = Grid.over(at(-400), at(400), 10_000)

    parts = under_versions(timeline, whole)

    starts = [g.origin_ms + k * g.width_ms for _, g in parts for k in range(g.count)]
    wanted = [whole.origin_ms + k * 10_000 for k in range(whole.count)]
    assert starts == [one for one in wanted if one >= cuts[0]]
    for one, grid in parts:
        for k in range(grid.count):
            start = grid.origin_ms + k * grid.width_ms
            assert one.from_ms <= start < (one.until_ms or start + 1)


def test_a_new_version_with_a_past_date_makes_the_time_since_then_dirty():
    single = (replace(OLD, until_ms=None),)

    assert dirty(standing(single), standing((OLD, NEW))) == [(25, 1000)]
    assert dirty(standing((OLD, NEW)), standing((OLD, NEW))) == []


def test_a_corrected_old_version_makes_its_own_time_dirty_only():
    corrected = replace(OLD, bad_at_least=400)

    assert dirty(standing((OLD, NEW)), standing((corrected, NEW))) == [(-1000, 25)]


@pytest.mark.parametrize(
    "change",
    [
        {"window_ms": 7 * 86_400_000, "window": Rolling(7 * 86_400_000)},
        {"no_data": NoData.COUNT_DOWN},
        {"coverage_floor": Fraction(1, 2)},
        {"method": Uptime()},
        {"contract_version": 17},
        {"time_zone": "Europe/Berlin"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_terms_that_decide_nothing_in_a_slice_make_nothing_dirty(change):
    assert slicing_digest(replace(OLD, **change)) == slicing_digest(OLD)
    assert dirty(standing((OLD,)), standing((replace(OLD, **change),))) == []


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "other"},
        {"match": {"service.name": "shop"}},
        {"bad_attribute": "code"},
        {"down_above": Fraction(1, 3)},
        {"good_share": Fraction(1, 2)},
        {"threshold_s": Fraction(1)},
    ],
    ids=lambda one: next(iter(one)),
)
def test_terms_that_decide_what_is_in_a_slice_do(change):
    assert slicing_digest(replace(OLD, **change)) != slicing_digest(OLD)


def test_the_order_of_labels_is_no_term():
    one = replace(OLD, match={"a": "1", "b": "2"})

    assert slicing_digest(one) == slicing_digest(replace(OLD, match={"b": "2", "a": "1"}))


def test_a_window_that_is_added_moved_or_cancelled_makes_what_changed_dirty():
    timeline = (replace(OLD, until_ms=None),)
    none, first = standing(timeline), standing(timeline, excluding(window(10, 30)))
    moved = standing(timeline, excluding(window(20, 45)))
    cancelled = standing(timeline, excluding(window(10, 30, cancelled_ms=at(17))))

    assert dirty(none, first) == [(10, 30)]
    assert dirty(first, moved) == [(10, 20), (30, 45)]
    assert dirty(first, cancelled) == [(17, 30)]
    assert dirty(first, none) == [(10, 30)]
    assert dirty(first, first) == []


def test_another_window_over_the_same_time_changes_nothing():
    timeline = (replace(OLD, until_ms=None),)

    twice = standing(timeline, excluding(window(10, 30), window(15, 25, name="v")))

    assert dirty(standing(timeline, excluding(window(10, 30))), twice) == []


def test_each_version_excludes_by_its_own_notice():
    strict = replace(NEW, notice_ms=10**9)

    found = footing((OLD, strict), excluding(window(10, 60)), low_ms=at(0), high_ms=at(100))

    # The slice from 20 to 30 is the old version's as a whole.
    assert found.excluded == ((at(10), at(35)),)


def test_windows_beyond_the_horizon_of_before_are_not_compared():
    timeline = (replace(OLD, until_ms=None),)
    near = standing(timeline, excluding(window(10, 30)), high=50)
    far = standing(timeline, excluding(window(10, 30), window(70, 90, name="v")))

    assert dirty(near, far) == []
    assert dirty(near, standing(timeline, excluding(window(40, 60)))) == [(10, 30), (40, 50)]


def test_what_raw_points_do_not_reach_stays_as_it_was_published():
    ranges = [Range(0, 10), Range(20, 40), Range(50, 60)]

    assert within_raw(ranges, 30) == ([Range(30, 40), Range(50, 60)], [Range(0, 10), Range(20, 30)])
    assert within_raw(ranges, None) == ([], ranges)
    assert within_raw(ranges, 0) == (ranges, [])


def test_exclusions_are_cut_to_what_was_asked():
    found = excluding(window(10, 30))(OLD, at(15), at(20))

    assert found.tolist() == spans((15, 20)).tolist()
