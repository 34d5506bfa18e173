"""Windows read by the hour: the same figures as from slices alone, wherever the edges, cuts and holes are."""

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.columns import columns_of
from services.sla.distribution import merge
from services.sla.figures import latency_of, uptime_of
from services.sla.memory import MemorySliceStore
from services.sla.model import Distribution, DistributionKind, Objective, Revision, Slice
from services.sla.read_window import Detail, Wanted, read_window, read_windows
from services.sla.windows import Window
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0, TENANT

H = 3_600_000
STEP = 600_000
NS = 10**6
WINDOWS = (STEP, 3 * STEP, 2 * H)


def a_slice(rng: random.Random, k: int, *, sealed: bool) -> Slice:
    total = rng.randrange(30)
    cut = sorted(rng.randrange(STEP * NS + 1) for _ in range(4)) if rng.random() < 0.3 else [STEP * NS] * 4
    parts = [b - a for a, b in zip([0, *cut], [*cut, STEP * NS], strict=True)]
    counts = tuple(rng.randrange(9) for _ in range(rng.randrange(1, 6)))
    return Slice(
        T0 + k * STEP,
        STEP,
        rng.randint(0, total),
        total,
        up_ns=parts[0],
        degraded_ns=parts[1],
        down_ns=parts[2],
        excluded_ns=parts[3],
        no_data_ns=parts[4],
        distribution=Distribution(
            DistributionKind.EXPONENTIAL, counts, scale=rng.randrange(0, 4), offset=rng.randrange(-9, 9)
        ),
        sealed=sealed,
    )


def an_hour(start_ms: int, slices: list[Slice]) -> Slice:
    """What the slicer publishes: the exact sum."""
    names = (
        "good",
        "total",
        "up_ns",
        "degraded_ns",
        "down_ns",
        "excluded_ns",
        "no_data_ns",
        "not_started_ns",
    )
    return Slice(
        start_ms,
        H,
        **{name: sum(getattr(one, name) for one in slices) for name in names},
        distribution=merge(one.distribution for one in slices if one.distribution is not None),
        sealed=True,
    )


async def a_store(rng: random.Random, hours: int, sealed_ms: int) -> tuple[MemorySliceStore, list[Slice]]:
    store = MemorySliceStore()
    slices = [a_slice(rng, k, sealed=T0 + (k + 1) * STEP <= sealed_ms) for k in range(hours * 6)]
    rows = [("gold/x", Revision(one, 1, T0)) for one in slices]
    sums = []
    for n in range(hours):
        part = slices[n * 6 : n * 6 + 6]
        if all(one.sealed for one in part) and rng.random() < 0.8:
            sums.append(("gold/x", Revision(an_hour(T0 + n * H, part), 1, T0)))
    await store.store(TENANT, rows, seq=1, hours=sums)
    return store, slices


def wanted(objective: Objective, where: Window, sealed_ms: int, detail: Detail, cuts: list[int]) -> Wanted:
    return Wanted(
        tenant=TENANT,
        key="gold/x",
        low_ms=min(where.start_ms, where.data_end_ms - max(WINDOWS)),
        high_ms=where.data_end_ms,
        first_ms=T0,
        sealed_ms=sealed_ms,
        cuts=[where.start_ms, where.data_end_ms, *cuts],
        detail=detail,
        distributions=objective is LATENCY,
    )


@pytest.mark.parametrize("detail", [Detail.HOURS, Detail.STATES])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), low=st.integers(-6, 20), length=st.integers(1, 40))
async def test_hours_and_slices_give_the_same_figures(
    detail: Detail, seed: int, low: int, length: int
) -> None:
    rng = random.Random(seed)
    hours = 7
    sealed = T0 + rng.randint(6, hours * 6) * STEP
    store, slices = await a_store(rng, hours, sealed)
    end = min(T0 + (low + length) * STEP, sealed)
    where = Window(T0 + low * STEP, max(T0 + low * STEP, end), max(T0 + low * STEP, end))
    cuts = [where.data_end_ms - length for length in WINDOWS]
    alone = columns_of([(Revision(one, 1, T0), 1) for one in slices])
    for objective, figures in ((AVAILABILITY, uptime_of), (LATENCY, latency_of)):
        fine = replace(objective, slice_ms=H, coverage_floor=Fraction(rng.randrange(5, 10), 10))
        found = await read_window(store, wanted(objective, where, sealed, detail, cuts))

        assert figures(fine, found, where, first_ms=T0, windows_ms=WINDOWS) == replace(
            figures(fine, alone, where, first_ms=T0, windows_ms=WINDOWS),
            **same_downtimes(figures(fine, found, where, first_ms=T0), detail),
        )


def same_downtimes(figures: object, detail: Detail) -> dict[str, object]:
    """Downtimes from sums of hours are hours long: what a status does not show."""
    if detail is Detail.STATES or not hasattr(figures, "measured"):
        return {}
    return {"measured": figures.measured}


async def test_only_edges_are_read_as_slices() -> None:
    store, _ = await a_store(random.Random(1), 10, T0 + 10 * H)
    held = await read_window(
        store,
        Wanted(TENANT, "gold/x", T0 + STEP, T0 + 10 * H, T0, T0 + 10 * H, cuts=[T0 + 4 * H + STEP]),
    )

    short = sorted(
        {int(start - T0) // H for start, n in zip(held.start_ms, held.length_ms, strict=True) if n < H}
    )
    assert {0, 4, 9} <= set(short)
    assert len(short) < 10
    assert int(held.length_ms.sum()) == 10 * H - STEP


async def test_hours_with_anything_but_up_are_opened_for_downtimes() -> None:
    store = MemorySliceStore()
    quiet = [Slice(T0 + k * STEP, STEP, 5, 5, up_ns=STEP * NS, sealed=True) for k in range(24)]
    quiet[8] = replace(quiet[8], up_ns=0, down_ns=STEP * NS, good=0)
    sums = [an_hour(T0 + n * H, quiet[n * 6 : n * 6 + 6]) for n in range(4)]
    await store.store(
        TENANT,
        [("gold/x", Revision(one, 1, T0)) for one in quiet],
        seq=1,
        hours=[("gold/x", Revision(one, 1, T0)) for one in sums],
    )

    held = await read_window(
        store, Wanted(TENANT, "gold/x", T0, T0 + 4 * H, T0, T0 + 4 * H, detail=Detail.STATES)
    )

    assert held.length_ms.tolist() == [H, *[STEP] * 6, H, *[STEP] * 6]


async def test_more_holes_than_fit_into_a_question_are_read_in_several() -> None:
    store = MemorySliceStore()
    hours = 2 * 230
    slices = [Slice(T0 + k * STEP, STEP, 5, 6, up_ns=STEP * NS, sealed=True) for k in range(hours * 6)]
    sums = [an_hour(T0 + n * H, slices[n * 6 : n * 6 + 6]) for n in range(0, hours, 2)]
    for key in ("gold/x", "gold/y"):
        rows = [(key, Revision(one, 1, T0)) for one in slices]
        await store.store(TENANT, rows, seq=1, hours=[(key, Revision(one, 1, T0)) for one in sums])
    end = T0 + hours * H
    wanted = [
        Wanted(TENANT, "gold/x", T0, end, T0, end),
        Wanted(TENANT, "gold/y", T0 + 5 * H, end, T0, end, detail=Detail.SLICES),
        Wanted(TENANT, "gold/none", T0, T0, T0, end),
    ]

    found = await read_windows(store, wanted)

    assert [int(one.length_ms.sum()) for one in found] == [hours * H, (hours - 5) * H, 0]
    assert found[0].length_ms.tolist()[:8] == [H, *[STEP] * 6, H]
    assert found[0].start_ms.tolist() == sorted(found[0].start_ms.tolist())
    assert int(found[0].total.sum()) == 6 * len(slices)
    assert store.reads == 4  # one for hours and edges, three for 230 holes
