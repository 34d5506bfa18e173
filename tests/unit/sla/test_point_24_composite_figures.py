"""Point 24 through the figures: what parts of a composite say over time is what the composite says."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.sla.maintenance.model import Effect
from services.sla.memory import MemorySliceStore
from services.sla.model import CompositeMode, CompositeTerms, NoData, Verdict
from services.sla.serve import Asked
from services.sla.windows import Custom
from tests.unit.sla.slicing import T0, TENANT
from tests.unit.sla.test_serving import FULL, JOURNEY, PAY, SHOP, S, a_slice, fill, serving

DOWN = {"good": 0, "up_ns": 0, "down_ns": FULL}
OUT = {"good": 0, "total": 0, "up_ns": 0, "excluded_ns": FULL}
WEIGHTED = CompositeTerms(("shop", "pay"), CompositeMode.WEIGHTED, (Fraction(2), Fraction(1)))


@pytest.fixture(autouse=True)
def caller():
    token = enter_principal(Principal(TENANT, Role.READER, "t"))
    yield
    leave_principal(token)


async def journey_of(shop, pay, objective=JOURNEY, *, start_ms=T0, **terms):
    """The composite over twelve slices; `shop` and `pay` say what was special, by number; None: no slice."""
    store = MemorySliceStore()
    for name, special in (("shop", shop), ("pay", pay)):
        rows = [a_slice(k, **special.get(k, {})) for k in range(12) if special.get(k, {}) is not None]
        await fill(store, name, rows)
    held = [replace(one, **terms) for one in (SHOP, PAY, objective)]
    return await serving(store, *held).window_figures(
        TENANT, "gold/journey", Asked(Custom(start_ms, T0 + 12 * S))
    )


async def test_time_before_any_part_began_is_not_started_and_no_maintenance():
    found = (await journey_of({3: DOWN}, {}, start_ms=T0 - 24 * S)).figures

    assert found.times.not_started_ns == 24 * FULL
    assert (found.times.excluded_ns, found.times.no_data_ns, found.times.down_ns) == (0, 0, FULL)
    assert found.share == Fraction(11, 12)
    assert found.times.coverage == 1


async def test_a_part_that_began_later_is_of_no_account_before():
    late = dict.fromkeys(range(6))
    both = (await journey_of({1: DOWN}, late)).figures
    weighted = (await journey_of({1: DOWN}, late, replace(JOURNEY, composite=WEIGHTED))).figures

    assert (both.times.down_ns, both.times.not_started_ns, both.share) == (FULL, 0, Fraction(11, 12))
    assert weighted.share == Fraction(1, 3) * (2 * Fraction(11, 12) + 1)


@pytest.mark.parametrize(
    ("effect", "union", "weighted"),
    [
        (Effect.DROP, Fraction(9, 10), Fraction(1, 3) * (2 * Fraction(7, 8) + 1)),
        (Effect.COUNT_UP, Fraction(11, 12), Fraction(1, 3) * (2 * Fraction(11, 12) + 1)),
    ],
)
async def test_maintenance_of_all_parts_leaves_the_whole_or_counts_up_as_the_contract_says(
    effect, union, weighted
):
    """Shop is in maintenance 0 to 4, pay 2 to 6; shop is down at 8. Two slices are out of both."""
    shop = {**dict.fromkeys(range(4), OUT), 8: DOWN}
    pay = dict.fromkeys(range(2, 6), OUT)

    found = (await journey_of(shop, pay, effect=effect)).figures
    mean = (await journey_of(shop, pay, replace(JOURNEY, composite=WEIGHTED), effect=effect)).figures

    assert found.share == union
    assert found.times.excluded_ns == 2 * FULL
    assert mean.share == weighted
    assert found.displayed == ("90.000" if effect is Effect.DROP else "91.666")


@pytest.mark.parametrize(
    ("policy", "share", "verdict"),
    [
        (NoData.EXCLUDE, Fraction(10, 11), Verdict.INDETERMINATE),
        (NoData.COUNT_DOWN, Fraction(10, 12), Verdict.FAIL),
        (NoData.COUNT_UP, Fraction(11, 12), Verdict.PASS),
    ],
)
async def test_missing_data_of_a_part_counts_as_the_contract_says(policy, share, verdict):
    """Shop is down once and pay is silent once, of twelve."""
    found = (await journey_of({3: DOWN}, {7: None}, no_data=policy, good_share=Fraction(9, 10))).figures

    assert (found.share, found.verdict) == (share, verdict)
    assert dict(found.policy_verdicts) == {
        NoData.EXCLUDE: Verdict.INDETERMINATE,
        NoData.COUNT_DOWN: Verdict.FAIL,
        NoData.COUNT_UP: Verdict.PASS,
    }


@pytest.mark.parametrize("policy", NoData)
async def test_a_part_that_was_never_seen_leaves_no_figure_under_any_policy(policy):
    found = (await journey_of({}, dict.fromkeys(range(12)), no_data=policy)).figures

    assert (found.share, found.verdict, found.displayed) == (None, Verdict.NO_DATA, "")
    assert {verdict for _, verdict in found.policy_verdicts} == {Verdict.NO_DATA}


async def test_a_report_is_told_what_each_part_contributed():
    found = await journey_of({3: DOWN, 4: DOWN}, {4: DOWN})

    assert found.composite is not None
    assert [(one.name, one.down, one.share) for one in found.composite.children] == [
        ("shop", 2 * FULL, Fraction(10, 12)),
        ("pay", FULL, Fraction(11, 12)),
    ]
    assert [(one.start_ms - T0, one.down_ns) for one in found.downtimes] == [(3 * S, 2 * FULL)]
    assert [one.figures.share for one in found.segments] == [found.figures.share]


async def test_what_is_not_sealed_makes_the_composite_provisional():
    fresh = {k: {"sealed": False} for k in range(12)}

    assert (await journey_of(fresh, fresh)).figures.used.provisional
    assert not (await journey_of({}, {})).figures.used.provisional
