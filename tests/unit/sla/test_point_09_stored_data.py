"""Data availability: points that were acknowledged and are stored, from the collector's own counters.

Lag is no loss; dead letters and points that the log never got are, from the first one on.
"""

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from services.common.metric_names import COUNTER_NAMES, GAUGE_NAMES
from services.sla.memory import MemoryPointReader
from services.sla.model import ObjectiveKind
from services.sla.slice_compute import Grid, State, state_of
from services.sla.slice_grid import NOTHING
from services.sla.slice_stored import ACKNOWLEDGED, DEAD, LOGGED, METRICS, OWN_TENANT, STORED, UNREAD
from services.sla.slice_stored_source import StoredSource
from tests.unit.sla.clients import TENANT
from tests.unit.sla.signals import at, counted, counter, gauge, said, spans
from tests.unit.sla.slicing import AVAILABILITY

DATA = replace(AVAILABILITY, kind=ObjectiveKind.DATA_AVAILABILITY, metric="", good_share=Fraction(1))
EXPORT_S = 10


class Collector:
    """A collector's counts by time, and its reports about them every ten seconds."""

    def __init__(self, reader, *, born=0.0, series=0):
        self.reader, self.born, self.series = reader, born, series
        self.counts = dict.fromkeys((ACKNOWLEDGED, LOGGED, STORED, DEAD), 0)

    def count(self, **added):
        names = {"acknowledged": ACKNOWLEDGED, "logged": LOGGED, "stored": STORED, "dead": DEAD}
        for name, n in added.items():
            self.counts[names[name]] += n

    def report(self, seconds, *, unread=0, tenant=TENANT):
        for place, (name, count) in enumerate(self.counts.items(), start=1):
            one = counter(self.series + place, 70, tenant=tenant)
            point = counted(one.series_id, (seconds, count), start=self.born)
            self.reader.put_numbers(OWN_TENANT, name, one, *point)
        waiting = gauge(self.series + 9, 70, tenant=tenant)
        self.reader.put_numbers(OWN_TENANT, UNREAD, waiting, *said(waiting.series_id, (seconds, unread)))


async def sliced(reader, until, *, low=0, excluded=NOTHING):
    loaded = await StoredSource(reader).load([DATA], at(low), at(until))
    grid = Grid.over(at(low), at(until), 10_000)
    return loaded.slices(DATA, grid=grid, first_ms=at(0), excluded=excluded)


def sums(slices):
    return sum(one.good for one in slices), sum(one.total for one in slices)


async def test_what_is_stored_is_good_and_resent_points_do_not_count():
    collector = Collector(MemoryPointReader())
    for k in range(1, 13):
        collector.count(acknowledged=50, logged=50, stored=40)  # ten of them were stored before
        collector.report(EXPORT_S * k)

    slices = await sliced(collector.reader, 120)

    assert [(one.good, one.total) for one in slices] == [(40, 40)] * 12
    assert all(one.up_ns == 10**10 for one in slices)


async def test_one_dead_letter_shows_in_its_slice():
    collector = Collector(MemoryPointReader())
    for k in range(1, 7):
        collector.count(acknowledged=100, logged=100, stored=99 if k == 4 else 100, dead=k == 4)
        collector.report(EXPORT_S * k)

    slices = await sliced(collector.reader, 60)

    assert [one.total - one.good for one in slices] == [0, 0, 0, 1, 0, 0]
    assert slices[3].degraded_ns == 10**10


@pytest.mark.parametrize("seed", range(20))
async def test_a_lag_between_acknowledging_and_storing_is_no_loss(seed):
    # Traffic that never stops; the writer stands still for up to ten minutes and then catches up.
    rng = random.Random(seed)
    collector, waiting = Collector(MemoryPointReader()), 0
    stops = rng.randrange(20, 60)
    resumes = stops + rng.randrange(6, 60)
    for k in range(1, 181):
        arrived = rng.randrange(1000)
        waiting += arrived
        written = 0 if stops <= k < resumes else rng.randrange(waiting + 1) if k % 3 else waiting
        waiting -= written
        collector.count(acknowledged=arrived, logged=written, stored=written)
        collector.report(EXPORT_S * k, unread=waiting)

    good, total = sums(await sliced(collector.reader, 1800))

    assert (good, total) == (collector.counts[STORED], collector.counts[STORED])


@pytest.mark.parametrize("lost", [1, 7, 5000])
@pytest.mark.parametrize("quiet", [False, True])
async def test_acknowledged_points_that_no_log_has_are_lost_once_everything_was_read(lost, quiet):
    collector = Collector(MemoryPointReader())
    for k in range(1, 541):
        # Busy for an hour, so that no start of a process helps; quiet before the loss, or only behind it.
        n = 0 if k > 450 or (quiet and 380 < k < 400) else 100
        collector.count(acknowledged=n + lost * (k == 425), logged=n, stored=n)
        collector.report(EXPORT_S * k)

    slices = await sliced(collector.reader, 5400)

    good, total = sums(slices)
    if not quiet:
        assert max(0, lost - 600) <= total - good <= lost
        return
    assert total - good == lost
    found = [one for one in slices if one.total > one.good]
    assert lost == 5000 or len(found) == 1
    assert state_of(DATA, found[0].good, found[0].total) is State.DOWN
    assert found[0].down_ns == 10**10


async def test_a_loss_soon_after_the_start_of_a_process_is_found_to_the_point():
    collector = Collector(MemoryPointReader())
    for k in range(1, 61):
        n = 0 if k > 50 else 100
        collector.count(acknowledged=n + (k == 25), logged=n, stored=n)
        collector.report(EXPORT_S * k)

    good, total = sums(await sliced(collector.reader, 600))

    assert (good, total) == (5000, 5001)


async def test_a_loss_larger_than_what_arrives_meanwhile_shows_under_traffic_too():
    collector = Collector(MemoryPointReader())
    for k in range(1, 181):
        collector.count(acknowledged=10 + 5000 * (k == 90), logged=10, stored=10)
        collector.report(EXPORT_S * k)

    good, total = sums(await sliced(collector.reader, 1800))

    assert good == 1800
    # Under traffic that never pauses only what exceeds a minute of it is sure.
    assert 5000 - 60 <= total - good <= 5000


@pytest.mark.parametrize("width", [60, 300, 600])
async def test_the_same_losses_are_found_in_whatever_pieces_time_is_computed(width):
    rng = random.Random(3)
    collector = Collector(MemoryPointReader())
    for k in range(1, 361):
        n = rng.choice((0, 0, 0, 40))
        collector.count(acknowledged=n + (k % 97 == 0), logged=n, stored=n)
        collector.report(EXPORT_S * k)

    whole = await sliced(collector.reader, 3600)
    parts = [
        one for low in range(0, 3600, width) for one in await sliced(collector.reader, low + width, low=low)
    ]

    assert parts == whole
    assert sum(one.total - one.good for one in whole) <= 3


@pytest.mark.parametrize("unreported", [0, 900])
async def test_a_restart_with_reports_outstanding_is_no_loss(unreported):
    reader = MemoryPointReader()
    old = Collector(reader)
    for k in range(1, 31):
        old.count(acknowledged=100, logged=100, stored=100)
        old.report(EXPORT_S * k)
    new = Collector(reader, born=305, series=20)
    # The old process acknowledged and died; the new one reads it from the log.
    new.count(logged=unreported, stored=unreported)
    for k in range(31, 91):
        new.count(acknowledged=100 * (k < 50), logged=100 * (k < 50), stored=100 * (k < 50))
        new.report(EXPORT_S * k)

    good, total = sums(await sliced(reader, 900))

    assert good == total == 3000 + 1900 + unreported


async def test_another_tenants_losses_do_not_show():
    reader = MemoryPointReader()
    own, other = Collector(reader), Collector(reader, series=40)
    for k in range(1, 13):
        own.count(acknowledged=5, logged=5, stored=5)
        own.report(EXPORT_S * k)
        other.count(acknowledged=5, logged=5, dead=5)
        other.report(EXPORT_S * k, tenant="umbra")

    assert sums(await sliced(reader, 120)) == (60, 60)


async def test_maintenance_takes_its_losses_out():
    collector = Collector(MemoryPointReader())
    for k in range(1, 7):
        collector.count(acknowledged=100, logged=100, stored=100 - k, dead=k)
        collector.report(EXPORT_S * k)

    slices = await sliced(collector.reader, 60, excluded=spans((20, 35)))

    # Half of the fourth slice is left: floor(100 n / 10) - floor(50 n / 10) of its points.
    assert [one.total for one in slices] == [100, 100, 0, 50, 100, 100]
    assert [one.excluded_ns // 10**9 for one in slices] == [0, 0, 10, 5, 0, 0]


def test_the_metrics_are_ones_that_the_collector_reports():
    assert set(METRICS) <= {f"threenines.{name}" for name in (*COUNTER_NAMES, *GAUGE_NAMES)}
