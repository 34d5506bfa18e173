"""Point 21: credits of composites and of incidents follow from their figures, or say what is left open."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.clock import ManualClock
from services.sla.credits.model import CreditState, CreditTerms, Tier
from services.sla.credits.serve import CreditCalculator
from services.sla.incidents.memory import MemoryIncidents
from services.sla.incidents.model import IncidentEvent, IncidentEventKind
from services.sla.memory import MemorySliceStore
from services.sla.model import Contract, Slice
from services.sla.windows import Calendar, Period, period_around
from tests.unit.sla.slicing import T0, TENANT
from tests.unit.sla.test_serving import CRITICAL, JOURNEY, PAY, SHOP, fill

DAY, H = 86_400_000, 3_600_000
START, END = period_around(Period.DAY, T0, "UTC")
DAILY = Calendar(Period.DAY)
TIERS = (Tier(Fraction(99, 100), Fraction(1, 10)), Tier(Fraction(1, 2), Fraction(1, 2)))


@pytest.fixture(autouse=True)
def caller():
    token = enter_principal(Principal(TENANT, Role.READER, "t"))
    yield
    leave_principal(token)


class Held:
    """Versions of one contract, the last one in force."""

    def __init__(self, *versions):
        self.held = versions

    def contracts(self, tenant=None):
        return [self.held[-1]] if tenant in (None, TENANT) else []

    def versions(self, tenant=None):
        return list(self.held)

    def timeline(self, tenant, key):
        return tuple(
            replace(one, from_ms=held.effective_from_ms, until_ms=held.until_ms)
            for held in self.held
            for one in held.objectives
            if one.key == key
        )


def contract(paid, *others, version=1, **more):
    terms = CreditTerms(paid.key, Period.DAY, TIERS, "EUR", Decimal("100.00"))
    objectives = tuple(replace(one, window=DAILY, contract_version=version) for one in (paid, *others))
    return Contract(TENANT, "gold", version, "UTC", more.pop("since", 0), objectives, credits=terms, **more)


async def credits_of(*versions, store=None, events=(), now_ms=END + H):
    incidents = MemoryIncidents()
    await incidents.store(list(events))
    calculator = CreditCalculator(
        contracts=Held(*versions),
        slices=MemorySliceStore() if store is None else store,
        clock=ManualClock(now_ns=now_ms * 10**6),
        incidents=incidents,
    )
    return [one.credit for one in await calculator.credits(TENANT, "gold", Calendar(Period.DAY, START))]


def hour(k, **times):
    return Slice(START + k * H, H, 10, 10, sealed=True, **(times or {"up_ns": H * 10**6}))


async def parts(shop_down_ns=0, pay_down_ns=0, hours=25):
    """A day of hours; the first one of shop and the second one of pay are down for so long."""
    store = MemorySliceStore()
    for name, place, down_ns in (("shop", 0, shop_down_ns), ("pay", 1, pay_down_ns)):
        rows = [hour(k) for k in range(hours)]
        rows[place] = hour(place, up_ns=H * 10**6 - down_ns, down_ns=down_ns)
        await fill(store, name, rows)
    return store


HOURLY = [replace(one, slice_ms=H) for one in (JOURNEY, SHOP, PAY)]
ALLOWED_NS = DAY * 10**6 // 100


@pytest.mark.parametrize(
    ("more_ns", "state", "amount"),
    [(-1, CreditState.NOT_DUE, "0.00"), (0, CreditState.NOT_DUE, "0.00"), (1, CreditState.DUE, "10.00")],
)
async def test_one_nanosecond_of_any_part_decides_on_the_credit_of_a_composite(more_ns, state, amount):
    store = await parts(ALLOWED_NS // 2, ALLOWED_NS - ALLOWED_NS // 2 + more_ns)

    (credit,) = await credits_of(contract(*HOURLY), store=store)

    assert (credit.state, str(credit.amount)) == (state, amount)
    assert credit.measured == 1 - Fraction(ALLOWED_NS + more_ns, DAY * 10**6)


async def test_a_composite_whose_part_was_never_seen_is_for_a_person():
    store = MemorySliceStore()
    await fill(store, "shop", [hour(k) for k in range(25)])

    (credit,) = await credits_of(contract(*HOURLY), store=store)

    assert (credit.state, credit.measured) == (CreditState.REVIEW_REQUIRED, None)
    assert any("Nothing was measured" in one for one in credit.trace)


async def test_a_composite_of_a_running_day_is_projected():
    (credit,) = await credits_of(contract(*HOURLY), store=await parts(H * 10**6, hours=12))

    assert credit.state is CreditState.RUNNING
    assert (credit.measured, credit.projected) == (Fraction(11, 12), Fraction(23, 24))
    assert (str(credit.amount_so_far), str(credit.amount)) == ("10.00", "10.00")


async def test_each_version_pays_for_the_parts_that_it_had():
    """The second version no longer has pay, whose outage was under the first."""
    turn = START + 12 * H
    alone = replace(HOURLY[0], composite=replace(JOURNEY.composite, children=("shop",)))
    first = contract(*HOURLY, version=1, until_ms=turn)
    second = contract(alone, HOURLY[1], version=2, since=turn)

    one, two = await credits_of(first, second, store=await parts(pay_down_ns=H * 10**6))

    assert (one.measured, two.measured) == (Fraction(11, 12), Fraction(1))
    assert (one.state, two.state) == (CreditState.REVIEW_REQUIRED, CreditState.NOT_DUE)


def incident(name, opened_h, resolved_h=None):
    """Against a limit of four hours."""
    opened = IncidentEvent(
        TENANT, name, START + opened_h * H, f"{name}1", IncidentEventKind.OPENED, severity="critical"
    )
    if resolved_h is None:
        return [opened]
    done = replace(opened, at_ms=START + resolved_h * H, id=f"{name}2", kind=IncidentEventKind.RESOLVED)
    return [opened, done]


@pytest.mark.parametrize(
    ("events", "state", "amount"),
    [
        ([], CreditState.NOT_DUE, "0.00"),
        (incident("a", 1, 5), CreditState.NOT_DUE, "0.00"),
        (incident("a", 1, 6), CreditState.DUE, "50.00"),
        ([*incident("a", 1, 2), *incident("b", 1, 6)], CreditState.DUE, "10.00"),
        (incident("a", 22), CreditState.REVIEW_REQUIRED, "0.00"),
        (incident("a", 2), CreditState.REVIEW_REQUIRED, "0.00"),
        ([*incident("b", 1, 6), *incident("a", 22)], CreditState.DUE, "50.00"),
        (incident("a", 30, 31), CreditState.NOT_DUE, "0.00"),
    ],
    ids=["none", "in time", "late", "half", "open", "overdue", "open but it changes nothing", "tomorrow's"],
)
async def test_late_incidents_are_paid_for_and_open_ones_are_for_a_person(events, state, amount):
    (credit,) = await credits_of(contract(CRITICAL), events=events)

    assert (credit.state, str(credit.amount)) == (state, amount)
    open_ = any("open at the end of the period" in one for one in credit.trace)
    assert open_ is (state is CreditState.REVIEW_REQUIRED)


async def test_incidents_of_a_running_day_are_projected():
    (credit,) = await credits_of(contract(CRITICAL), events=incident("a", 1, 6), now_ms=START + 12 * H)

    assert (credit.state, str(credit.amount_so_far)) == (CreditState.RUNNING, "50.00")
