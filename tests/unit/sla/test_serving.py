"""The use cases behind the RPCs: every kind of objective, figures that are kept and never stale."""

import asyncio
from dataclasses import replace
from fractions import Fraction

import pytest

from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.telemetry import Counters
from services.sla.figure_cache import MemoryFigureCache
from services.sla.figures_model import Latency, Resolution, Uptime
from services.sla.heads import Heads
from services.sla.incidents.memory import MemoryIncidents
from services.sla.incidents.model import IncidentEvent, IncidentEventKind
from services.sla.kept_figures import KeptFigures
from services.sla.memory import MemorySliceStore
from services.sla.model import (
    CompositeMode,
    CompositeTerms,
    Contract,
    IncidentTerms,
    Objective,
    ObjectiveKind,
    Revision,
    Slice,
    Verdict,
)
from services.sla.serve import Asked, SlaFigures
from services.sla.windows import Calendar, Period, Rolling
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0, TENANT
from tests.unit.sla.windows_of import FULL, S

PERIOD = Rolling(12 * S)
SHOP = replace(AVAILABILITY, name="shop", window_ms=12 * S, window=PERIOD)
PAY = replace(AVAILABILITY, name="pay", window_ms=12 * S, window=PERIOD)
P95 = replace(LATENCY, name="p95", window_ms=12 * S, window=PERIOD)
STORED = replace(SHOP, name="stored", kind=ObjectiveKind.DATA_AVAILABILITY, good_share=Fraction(1))
JOURNEY = replace(
    SHOP, name="journey", kind=ObjectiveKind.COMPOSITE, composite=CompositeTerms(("shop", "pay"))
)
CRITICAL = replace(
    SHOP,
    name="critical",
    kind=ObjectiveKind.INCIDENT_RESOLUTION,
    good_share=Fraction(1),
    incident=IncidentTerms("critical", 4 * 3_600_000),
)


class Contracts:
    """One contract."""

    def __init__(self, *objectives: Objective) -> None:
        self.held = Contract(TENANT, "gold", 1, "UTC", 0, objectives)

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        return [self.held] if tenant in (None, TENANT) else []

    def versions(self, tenant: str | None = None) -> list[Contract]:
        return self.contracts(tenant)

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        return tuple(one for one in self.held.objectives if one.key == key)


@pytest.fixture(autouse=True)
def caller():
    token = enter_principal(Principal(TENANT, Role.READER, "t"))
    yield
    leave_principal(token)


def a_slice(k: int, good: int = 10, total: int = 10, **more: object) -> Slice:
    return Slice(T0 + k * S, S, good, total, **{"up_ns": FULL, "sealed": True, **more})


async def fill(store: MemorySliceStore, name: str, slices: list[Slice], *, seq: int = 1, revision: int = 1):
    rows = [(f"gold/{name}", Revision(one, revision, T0 + seq)) for one in slices]
    await store.store(TENANT, rows, seq=seq)


def serving(store: MemorySliceStore, *objectives: Objective, **more: object) -> SlaFigures:
    clock = ManualClock(now_ns=(T0 + 12 * S) * 10**6)
    return SlaFigures(contracts=Contracts(*objectives), slices=store, clock=clock, **more)


async def test_every_kind_of_objective_is_answered() -> None:
    store, incidents = MemorySliceStore(), MemoryIncidents()
    down = a_slice(3, 0, 10, up_ns=0, down_ns=FULL)
    await fill(store, "shop", [down if k == 3 else a_slice(k) for k in range(12)])
    await fill(
        store, "pay", [replace(down, start_ms=T0 + k * S) if k in (3, 4) else a_slice(k) for k in range(12)]
    )
    await fill(store, "p95", [a_slice(k) for k in range(12)])
    await fill(store, "stored", [a_slice(k) for k in range(12)])
    opened = IncidentEvent(TENANT, "i", T0 + S, "1", IncidentEventKind.OPENED, severity="critical")
    solved = replace(opened, at_ms=T0 + 2 * S, id="2", kind=IncidentEventKind.RESOLVED)
    await incidents.store([opened, solved])
    figures = serving(store, SHOP, PAY, P95, STORED, JOURNEY, CRITICAL, incidents=incidents)

    status = await figures.status(None, Asked())

    found = {one.objective.name: one.figures for one in status.objectives}
    assert {name: type(one) for name, one in found.items()} == {
        "shop": Uptime,
        "pay": Uptime,
        "p95": Latency,
        "stored": Uptime,
        "journey": Uptime,
        "critical": Resolution,
    }
    assert found["stored"].verdict is Verdict.PASS
    assert found["stored"].displayed == "100"
    assert found["journey"].times.down_ns == 2 * FULL
    assert found["journey"].share == Fraction(10, 12)
    assert (found["critical"].found.in_time, found["critical"].verdict) == (1, Verdict.PASS)
    assert found["p95"].verdict is Verdict.NO_DATA


async def test_a_weighted_composite_weighs_its_children() -> None:
    store = MemorySliceStore()
    await fill(store, "shop", [a_slice(k, 0, 10, up_ns=0, down_ns=FULL) for k in range(12)])
    await fill(store, "pay", [a_slice(k) for k in range(12)])
    terms = CompositeTerms(("shop", "pay"), CompositeMode.WEIGHTED, (Fraction(1), Fraction(3)))

    journey = await serving(store, SHOP, PAY, replace(JOURNEY, composite=terms)).uptime(
        TENANT, "gold/journey", Asked()
    )

    assert journey.share == Fraction(3, 4)


async def test_a_child_without_data_leaves_the_composite_without_a_verdict() -> None:
    store = MemorySliceStore()
    await fill(store, "pay", [a_slice(k) for k in range(12)])

    journey = await serving(store, SHOP, PAY, JOURNEY).uptime(TENANT, "gold/journey", Asked())

    assert journey.verdict is Verdict.NO_DATA


async def test_a_status_reads_all_its_objectives_at_once() -> None:
    store = MemorySliceStore()
    for name in ("shop", "pay", "p95"):
        await fill(store, name, [a_slice(k) for k in range(12)])
    figures = serving(store, SHOP, PAY, P95, STORED)

    status = await figures.status(TENANT, Asked())
    reads = store.reads
    await figures.status(TENANT, Asked())
    then = await figures.status(TENANT, Asked(as_of_ms=T0 + 10**9))

    assert reads == 1
    assert store.reads == 2
    assert [one.figures for one in status.objectives][:3] == [
        await figures.latency(TENANT, "gold/p95", Asked()),
        await figures.uptime(TENANT, "gold/pay", Asked()),
        await figures.uptime(TENANT, "gold/shop", Asked()),
    ]
    assert status.objectives[3].absent_reason == "OBJECTIVE_HAS_NO_DATA"
    assert [one.verdict for one in then.objectives] == [one.verdict for one in status.objectives]


async def test_one_reading_of_heads_serves_a_status_with_composites() -> None:
    store = MemorySliceStore()
    asked = []

    class Asking(MemorySliceStore):
        async def heads(self, tenants):  # type: ignore[no-untyped-def]
            asked.append(tenants)
            return await store.heads(tenants)

    for name in ("shop", "pay"):
        await fill(store, name, [a_slice(k) for k in range(12)])
    status = await serving(Asking(), SHOP, PAY, JOURNEY).status(TENANT, Asked())

    assert asked == [[TENANT]]
    assert [one.objective.name for one in status.objectives] == ["journey", "pay", "shop"]


async def test_what_was_computed_is_not_read_again_until_the_data_moves() -> None:
    store, counters = MemorySliceStore(), Counters()
    await fill(store, "shop", [a_slice(k) for k in range(12)])
    figures = serving(store, SHOP, kept=KeptFigures(ManualClock(), counters, MemoryFigureCache()))

    first = await figures.uptime(TENANT, "gold/shop", Asked())
    reads = store.reads
    again = await figures.uptime(TENANT, "gold/shop", Asked())
    same = store.reads == reads
    await fill(store, "shop", [a_slice(3, 0, 10)], seq=2, revision=2)
    late = await figures.uptime(TENANT, "gold/shop", Asked())

    assert same
    assert first == again
    assert (first.good, late.good) == (120, 110)
    assert counters.value("sla.cache.misses") == 2


async def test_two_processes_with_one_cache_never_answer_with_what_was() -> None:
    """One has stored and computed, the other asks right after it: it sees the same."""
    store, cache = MemorySliceStore(), MemoryFigureCache()
    one, other = (serving(store, SHOP, kept=KeptFigures(ManualClock(), Counters(), cache)) for _ in range(2))
    for seq in range(1, 20):
        await fill(store, "shop", [a_slice(k, seq % 11, 10) for k in range(12)], seq=seq, revision=seq)

        found = [await figures.uptime(TENANT, "gold/shop", Asked()) for figures in (one, other)]

        assert [uptime.good for uptime in found] == [12 * (seq % 11)] * 2


async def test_other_terms_are_another_figure() -> None:
    store, cache = MemorySliceStore(), MemoryFigureCache()
    await fill(store, "shop", [a_slice(k, 9, 10) for k in range(12)])
    lax = replace(SHOP, good_share=Fraction(1, 2))
    strict_figures, lax_figures = (
        serving(store, terms, kept=KeptFigures(ManualClock(), Counters(), cache)) for terms in (SHOP, lax)
    )

    assert (await strict_figures.uptime(TENANT, "gold/shop", Asked())).verdict is Verdict.FAIL
    assert (await lax_figures.uptime(TENANT, "gold/shop", Asked())).verdict is Verdict.PASS


async def test_what_was_known_then_is_answered_from_then() -> None:
    store = MemorySliceStore()
    await fill(store, "shop", [a_slice(k) for k in range(12)], seq=1)
    await fill(store, "shop", [a_slice(3, 0, 10)], seq=5, revision=2)
    figures = serving(store, SHOP)

    now = await figures.uptime(TENANT, "gold/shop", Asked())
    then = await figures.uptime(TENANT, "gold/shop", Asked(as_of_ms=T0 + 4))

    assert (now.good, then.good) == (110, 120)


async def test_a_running_month_says_what_it_can_come_to() -> None:
    store = MemorySliceStore()
    month = replace(SHOP, window=Calendar(Period.DAY))
    await fill(store, "shop", [a_slice(k, 9, 10) for k in range(12)])

    uptime = await serving(store, month).uptime(TENANT, "gold/shop", Asked())

    projection = uptime.projection
    assert projection is not None
    assert projection.so_far == uptime.share == Fraction(9, 10)
    assert projection.worst < projection.so_far < projection.projected < 1
    assert uptime.budget.period_total_ns == (12 * FULL + projection.rest_ns) // 1000


async def test_window_figures_have_days_and_downtimes() -> None:
    store = MemorySliceStore()
    await fill(
        store, "shop", [a_slice(k, up_ns=0, down_ns=FULL) if k == 3 else a_slice(k) for k in range(12)]
    )

    found = await serving(store, SHOP).window_figures(TENANT, "gold/shop", Asked())

    assert [(one.start_ms, one.end_ms) for one in found.downtimes] == [(T0 + 3 * S, T0 + 4 * S)]
    assert sum(day.total for day in found.days) == 120
    assert found.verdict is found.figures.verdict
    assert len(found.segments) == 1


async def test_heads_are_read_together_and_never_before_they_were_asked_for() -> None:
    asked: list[list[str]] = []

    class Slow(MemorySliceStore):
        async def heads(self, tenants):
            asked.append(sorted(tenants))
            await asyncio.sleep(0)
            return await super().heads(tenants)

    heads = Heads(Slow())

    await asyncio.gather(*(heads.of(f"t{k % 5}") for k in range(100)))
    await heads.of("later")

    assert asked[-1] == ["later"]
    assert len(asked) <= 3


async def test_a_store_that_is_down_is_told_to_everyone_and_forgotten() -> None:
    store = MemorySliceStore()
    await fill(store, "shop", [a_slice(k) for k in range(12)])
    figures = serving(store, SHOP)
    store.down = True

    found = await asyncio.gather(
        *(figures.uptime(TENANT, "gold/shop", Asked()) for _ in range(3)), return_exceptions=True
    )
    store.down = False

    assert all(isinstance(one, Unavailable) for one in found)
    assert (await figures.uptime(TENANT, "gold/shop", Asked())).good == 120
