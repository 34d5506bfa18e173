"""Slices from probes and heartbeats, by hand."""

from dataclasses import replace
from fractions import Fraction

import pytest

from services.sla.memory import MemoryPointReader
from services.sla.methods.model import Heartbeat, Probe, Uptime
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_sources import HeartbeatSource, ProbeSource
from tests.unit.sla.clients import TENANT
from tests.unit.sla.signals import at, gauge, said, spans
from tests.unit.sla.slicing import AVAILABILITY

PROBE = replace(AVAILABILITY, metric="", method=Uptime(), signal=Probe("probe.success"))
BEAT = replace(AVAILABILITY, metric="", method=Uptime(), signal=Heartbeat("import.finished", 30_000))


def seconds(one):
    """(up, degraded, down, excluded, no data, not started) of a slice, in seconds."""
    parts = (one.up_ns, one.degraded_ns, one.down_ns, one.excluded_ns, one.no_data_ns, one.not_started_ns)
    assert sum(parts) == one.length_ms * 10**6
    return tuple(part / 10**9 for part in parts)


async def probed(*probes, objective=PROBE, until=30, excluded=NOTHING, first=0.0):
    reader = MemoryPointReader()
    for series, points in probes:
        reader.put_numbers(TENANT, "probe.success", series, *points)
    loaded = await ProbeSource(reader).load([objective], at(0), at(until))
    grid = Grid.over(at(0), at(until), 10_000)
    return loaded.slices(objective, grid=grid, first_ms=at(first), excluded=excluded)


async def beaten(*reports, others=(), objective=BEAT, until=60, low=0, first=0.0):
    reader = MemoryPointReader()
    reader.put_numbers(TENANT, "import.finished", gauge(1), *said(1, *((s, 1) for s in reports)))
    reader.beat(TENANT, 8, *(at(s) for s in others))
    loaded = await HeartbeatSource(reader).load([objective], at(low), at(until))
    grid = Grid.over(at(low), at(until), 10_000)
    return loaded.slices(objective, grid=grid, first_ms=at(first), excluded=NOTHING)


async def test_the_time_between_two_reports_of_a_probe_has_the_state_of_the_later():
    slices = await probed((gauge(1), said(1, (0, 1), (10, 1), (15, 0), (20, 1), (30, 0))))

    assert [seconds(one)[:3] for one in slices] == [(10, 0, 0), (5, 0, 5), (0, 0, 10)]
    assert [(one.good, one.total) for one in slices] == [(1, 1), (1, 2), (0, 1)]


async def test_time_before_the_first_report_of_a_probe_has_no_data():
    slices = await probed((gauge(1), said(1, (5, 1), (10, 1), (20, 1), (30, 1))))

    assert next(seconds(one)[:5] for one in slices) == (5, 0, 0, 0, 5)


async def test_a_probe_that_falls_silent_says_nothing():
    regular = [(5 * k, 1) for k in range(5)]

    slices = await probed((gauge(1), said(1, *regular, (80, 1))), until=80)

    # 60 seconds are more than five intervals of 5.
    assert [seconds(one)[4] for one in slices] == [0, 0, 10, 10, 10, 10, 10, 10]


@pytest.mark.parametrize(
    ("at_least", "expected"),
    [
        pytest.param("1", (0, 0, 10), id="all of them"),
        pytest.param("2/3", (0, 10, 0), id="two of three"),
        pytest.param("1/100", (0, 10, 0), id="any of them"),
    ],
)
async def test_probes_vote_and_not_all_up_is_at_best_degraded(at_least, expected):
    objective = replace(PROBE, signal=Probe("probe.success", Fraction(at_least)))
    probes = [(gauge(k), said(k, (0, 1), (10, 1 if k else 0))) for k in range(3)]

    (only,) = await probed(*probes, objective=objective, until=10)

    assert seconds(only)[:3] == expected


async def test_a_probe_without_data_has_no_vote():
    slices = await probed(
        (gauge(1), said(1, *((5 * k, 1) for k in range(17)))),
        (gauge(2), said(2, (0, 0), (5, 0), (10, 0))),
        until=80,
    )

    assert [seconds(one)[0] for one in slices] == [0, 10, 10, 10, 10, 10, 10, 10]


async def test_reports_that_contradict_each_other_at_one_time_are_down():
    slices = await probed((gauge(1), said(1, (0, 1), (10, 1), (10, 0))), until=10)

    assert seconds(slices[0])[:3] == (0, 0, 10)


async def test_an_objective_counts_the_probes_that_match_only():
    here = replace(PROBE, match={"region": "eu"})

    slices = await probed(
        (gauge(1, region="eu"), said(1, (0, 1), (10, 1))),
        (gauge(2, region="us"), said(2, (0, 0), (10, 0))),
        objective=here,
        until=10,
    )

    assert seconds(slices[0])[:3] == (10, 0, 0)


async def test_maintenance_is_cut_out_of_what_probes_say():
    slices = await probed(
        (gauge(1), said(1, (0, 1), (10, 0), (20, 0), (30, 1))), excluded=spans((4, 15)), first=2
    )

    assert [seconds(one) for one in slices] == [
        (0, 0, 2, 6, 0, 2),
        (0, 0, 5, 5, 0, 0),
        (10, 0, 0, 0, 0, 0),
    ]
    # A report at the very beginning of a window is outside of it, one at its end inside.
    assert [(one.good, one.total) for one in slices] == [(0, 0), (0, 1), (1, 1)]


async def test_a_heartbeat_is_up_for_its_interval_and_then_down_while_others_report():
    slices = await beaten(0, 20, 90, others=range(0, 101, 5), until=100)

    assert [seconds(one)[0] for one in slices] == [10, 10, 10, 10, 10, 0, 0, 0, 0, 10]
    assert [seconds(one)[2] for one in slices] == [0, 0, 0, 0, 0, 10, 10, 10, 10, 0]
    assert [one.total for one in slices] == [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]


async def test_silence_of_the_whole_tenant_is_no_data_and_not_down():
    slices = await beaten(0, 90, others=[0, 5, 10, 15, 85, 90, 95], until=90)

    # Up until 30; then nothing at all until the others come back, whose silence was too long to cover.
    assert [seconds(one)[2] for one in slices] == [0] * 8 + [5]
    assert [seconds(one)[4] for one in slices] == [0, 0, 0, 10, 10, 10, 10, 10, 5]


async def test_a_heartbeat_that_ended_long_before_the_range_is_down_in_it():
    slices = await beaten(-86_400, others=range(-20, 31, 5), until=30, first=-86_400)

    assert [seconds(one)[2] for one in slices] == [10, 10, 10]


async def test_before_the_first_heartbeat_nothing_is_covered():
    reader = MemoryPointReader()
    reader.put_numbers(TENANT, "import.finished", gauge(1), *said(1, (100, 1)))
    reader.beat(TENANT, 8, *(at(s) for s in range(0, 60, 5)))

    loaded = await HeartbeatSource(reader).load([BEAT], at(0), at(60))

    assert loaded.cover(BEAT).start.min() == at(100)
