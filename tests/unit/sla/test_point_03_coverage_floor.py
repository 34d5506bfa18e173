"""Below the coverage floor budgets and burn rates freeze; a burn rate looks at its own windows only."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.sla.figures import latency_of, uptime_of
from services.sla.figures_burn import default_windows_ms
from services.sla.figures_composite import Child, composite_uptime
from services.sla.figures_model import Uptime, UsedWindow
from services.sla.figures_segments import Basis, figures_of, split
from services.sla.methods.model import Uptime as ByState
from services.sla.model import CompositeMode, CompositeTerms, Distribution, DistributionKind, ObjectiveKind
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY, LATENCY
from tests.unit.sla.windows_of import S, columns, dark, down, up

H = 360
HOUR_MS = 3_600_000


def test_a_budget_stays_what_it_was_when_enough_was_known() -> None:
    """Two hours known with failures in the first, then an hour in the dark: 2/3 is known."""
    slices = [down(k) if k < 3 else up(k) for k in range(2 * H)] + [dark(k) for k in range(2 * H, 3 * H)]
    where = Window(0, 3 * HOUR_MS, 3 * HOUR_MS)

    then = uptime_of(AVAILABILITY, columns(slices), Window(0, 2 * HOUR_MS, 2 * HOUR_MS)).budget
    now = uptime_of(AVAILABILITY, columns(slices), where).budget

    assert now.frozen
    assert now.frozen_at_ms == 2 * HOUR_MS
    assert replace(now, frozen=False, frozen_at_ms=None) == then
    assert (now.total, now.consumed) == (7, 30)


def test_it_moves_on_when_enough_is_known_again() -> None:
    slices = [up(k) for k in range(36)] + [dark(k) for k in range(36, 40)]

    budget = uptime_of(AVAILABILITY, columns(slices), Window(0, 40 * S, 40 * S)).budget

    assert not budget.frozen
    assert budget.frozen_at_ms is None


def test_a_window_in_which_never_enough_was_known_has_an_untouched_budget() -> None:
    slices = [dark(k) for k in range(H)] + [down(k) for k in range(H, H + 30)]
    where = Window(0, (H + 30) * S, (H + 30) * S)

    budget = uptime_of(AVAILABILITY, columns(slices), where).budget

    assert (budget.frozen, budget.frozen_at_ms) == (True, 0)
    assert (budget.total, budget.consumed, budget.consumed_ns) == (0, 0, 0)


def test_the_budget_of_latency_freezes_too() -> None:
    slow = Distribution(DistributionKind.EXPLICIT, (9, 1), bounds=(2.0,))
    slices = [up(k, distribution=slow) for k in range(H)] + [dark(k) for k in range(H, 2 * H)]

    budget = latency_of(LATENCY, columns(slices), Window(0, 2 * HOUR_MS, 2 * HOUR_MS)).budget

    assert (budget.frozen, budget.frozen_at_ms) == (True, HOUR_MS)
    assert (budget.total, budget.consumed) == (180, 360)


def test_each_burn_window_is_gated_by_its_own_coverage() -> None:
    """The last five minutes are dark, the hour before is known well enough."""
    slices = [down(k) if k % 20 == 0 else up(k) for k in range(H - 30)] + [dark(k) for k in range(H - 30, H)]
    where = Window(0, H * S, H * S)

    short, long = uptime_of(AVAILABILITY, columns(slices), where, windows_ms=(300_000, HOUR_MS)).burn_rates

    assert (short.no_data, short.rate) == (True, 0.0)
    assert not long.no_data
    assert long.rate > 1


@pytest.mark.parametrize(("dark_slices", "told"), [(3, True), (4, False)])
def test_a_burn_window_of_which_too_little_is_known_is_told_as_such(dark_slices: int, told: bool) -> None:
    """Three of thirty dark slices leave nine tenths, which is the floor; the rest fails all the time."""
    slices = [up(k) for k in range(H - 30)]
    slices += [dark(k) if k >= H - dark_slices else down(k) for k in range(H - 30, H)]

    short, long = uptime_of(
        AVAILABILITY, columns(slices), Window(0, H * S, H * S), windows_ms=(300_000, HOUR_MS)
    ).burn_rates

    assert short.no_data is not told
    assert (short.rate > 0) is told
    assert (short.bad, short.total) == (10 * (30 - dark_slices),) * 2
    assert not long.no_data


def test_a_dark_month_does_not_silence_a_lit_hour() -> None:
    slices = [dark(k) for k in range(9 * H)] + [down(k) for k in range(9 * H, 10 * H)]
    uptime = uptime_of(
        AVAILABILITY, columns(slices), Window(0, 10 * HOUR_MS, 10 * HOUR_MS), windows_ms=(HOUR_MS,)
    )

    assert uptime.budget.frozen
    assert not uptime.burn_rates[0].no_data
    assert uptime.burn_rates[0].rate == pytest.approx(1000)


def test_a_burn_window_reaches_back_before_the_figures_window() -> None:
    slices = [down(k) if k < 30 else up(k) for k in range(60)]

    uptime = uptime_of(AVAILABILITY, columns(slices), Window(30 * S, 60 * S, 60 * S), windows_ms=(600_000,))

    assert (uptime.good, uptime.total) == (300, 300)
    assert (uptime.burn_rates[0].bad, uptime.burn_rates[0].total) == (300, 600)


@pytest.mark.parametrize(
    ("days", "longest"), [(30, 259_200_000), (7, 86_400_000), (1, 7_200_000), (Fraction(1, 100), 300_000)]
)
def test_default_windows_fit_the_period(days: int, longest: int) -> None:
    found = default_windows_ms(replace(AVAILABILITY, window_ms=int(days * 86_400_000)))

    assert found[0] == 300_000
    assert found[-1] == longest
    assert list(found) == sorted(found)


TURN = 2 * HOUR_MS
OLD = replace(AVAILABILITY, until_ms=TURN, contract_version=1)
NEW = replace(AVAILABILITY, from_ms=TURN, good_share=Fraction(99, 100), contract_version=2)


def of_two_versions(slices, end_ms: int):
    where = Window(0, end_ms, end_ms)
    basis = Basis(columns(slices), 0, ())
    return figures_of(NEW, split((OLD, NEW), where), basis, where)[0].budget


def test_a_budget_of_two_versions_freezes_as_a_whole() -> None:
    """Two hours known, one in the dark under the new terms, then failures: it stays what it was."""
    slices = [down(k) if k < 3 else up(k) for k in range(2 * H)]

    then = of_two_versions(slices, TURN)
    slices += [dark(k) if k < 3 * H else down(k) for k in range(2 * H, 3 * H + 10)]
    now = of_two_versions(slices, 3 * HOUR_MS + 10 * S)

    assert (now.frozen, now.frozen_at_ms) == (True, TURN)
    assert (now.total, now.consumed, now.remaining_ratio) == (then.total, then.consumed, then.remaining_ratio)
    assert (now.total, now.consumed) == (7, 30)


def test_one_dark_version_freezes_nothing_when_enough_of_the_whole_is_known() -> None:
    """A quarter of the old terms' two hours is dark, twenty hours under the new ones are known."""
    slices = [down(k) if k < 3 else up(k) if k < 540 else dark(k) for k in range(2 * H)]
    slices += [down(k) if k % 100 == 0 else up(k) for k in range(2 * H, 22 * H)]

    budget = of_two_versions(slices, 22 * HOUR_MS)

    assert (budget.frozen, budget.frozen_at_ms) == (False, None)
    bad = sum(one.total - one.good for one in slices)
    assert (budget.total, budget.consumed) == (5 + 720, bad)


@pytest.mark.parametrize("dark_hours", [1, 5])
def test_a_frozen_latency_budget_of_two_versions_is_of_one_instant(dark_hours: int) -> None:
    slow = Distribution(DistributionKind.EXPLICIT, (9, 1), bounds=(2.0,))
    slices = [up(k, distribution=slow) for k in range(2 * H)]
    slices += [dark(k) for k in range(2 * H, (2 + dark_hours) * H)]
    slices += [up(k, distribution=slow) for k in range((2 + dark_hours) * H, (2 + dark_hours) * H + 10)]
    end = len(slices) * S
    old, new = (replace(LATENCY, from_ms=one.from_ms, until_ms=one.until_ms) for one in (OLD, NEW))
    where = Window(0, end, end)

    budget = figures_of(new, split((old, new), where), Basis(columns(slices), 0, ()), where)[0].budget

    assert (budget.frozen, budget.frozen_at_ms) == (True, TURN)
    assert (budget.total, budget.consumed, budget.remaining_ratio) == (360, 720, -1)


WEIGHTED = CompositeTerms(("shop", "pay"), CompositeMode.WEIGHTED, (Fraction(2), Fraction(1)))


def journey(shop, pay, hours: int, composite: CompositeTerms) -> Uptime:
    end = hours * HOUR_MS
    where, children = Window(0, end, end), {}
    for name, slices in (("shop", shop), ("pay", pay)):
        part, held = replace(AVAILABILITY, name=name, method=ByState()), columns(slices)
        _, segments = figures_of(part, split((part,), where), Basis(held, 0, ()), where)
        children[name] = Child(name, held, 0, segments)
    whole = replace(AVAILABILITY, kind=ObjectiveKind.COMPOSITE, composite=composite)
    return composite_uptime(whole, split((whole,), where), children, UsedWindow(where, "UTC", False, 1))


@pytest.mark.parametrize(
    "composite", [CompositeTerms(("shop", "pay")), WEIGHTED], ids=["interval union", "weighted"]
)
def test_the_budget_of_a_composite_stays_what_it_was_too(composite: CompositeTerms) -> None:
    """Two hours known of both, then pay goes dark and shop down for a while: 2/3 of pay is known."""
    shop = [down(k) if k < 3 else up(k) for k in range(2 * H)]
    pay = [up(k) for k in range(2 * H)]
    then = journey(shop, pay, 2, composite).budget

    shop += [down(k) if k < 2 * H + 10 else up(k) for k in range(2 * H, 3 * H)]
    pay += [dark(k) for k in range(2 * H, 3 * H)]
    now = journey(shop, pay, 3, composite).budget

    assert not then.frozen
    assert then.consumed_ns > 0
    assert (now.frozen, now.frozen_at_ms) == (True, 2 * HOUR_MS)
    assert replace(now, frozen=False, frozen_at_ms=None) == then


def test_a_composite_of_which_never_enough_was_known_has_an_untouched_budget() -> None:
    shop = [down(k) for k in range(H)]
    pay = [dark(k) for k in range(H)]

    budget = journey(shop, pay, 1, WEIGHTED).budget

    assert (budget.frozen, budget.frozen_at_ms) == (True, 0)
    assert (budget.total_ns, budget.consumed_ns, budget.remaining_ratio) == (0, 0, 1)
