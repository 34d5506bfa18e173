"""Point 18, the part of slices: late data re-opens what it touches; what was known before can be asked."""

from dataclasses import replace

from services.sla.columns import revision_at
from services.sla.memory import MemoryPointReader
from services.sla.model import PointKind, Series
from services.sla.rows_build import Point
from services.sla.slice_hours import HOUR_MS
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, T0, Bench

OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
LATE = replace(OK, series_id=2, attributes={"http.response.status_code": "503"})


async def test_late_data_is_a_new_revision_of_slice_and_hour_and_the_old_ones_stay():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    for k in range(1, 66):
        bench.reader.put(TENANT, METRIC, OK, Point(1, T0 + k * 60_000, 60 * k, (60 * k,), T0, scale=3))
        await bench.apply(T0 + k * 60_000 + 300, (T0 + k * 60_000, T0 + k * 60_000))
    before_ms = T0 + 65 * 60_000 + 300
    old_slices, old_hours = await known(bench, before_ms), await known_hours(bench, before_ms)

    at = T0 + 30 * 60_000
    bench.reader.put(TENANT, METRIC, LATE, Point(2, at, 6, (6,), at - 60_000, scale=3))
    published = await bench.apply(before_ms + 60_000, (at, at))

    assert [(one.slice.start_ms - at, one.revision, one.slice.sealed) for _, one in published[:6]] == [
        (-60_000 + 10_000 * k, 2, True) for k in range(6)
    ]
    assert sum(one.slice.total - one.slice.good for _, one in published) == 6
    (hour,) = await known_hours(bench, before_ms + 60_000)
    assert (hour.revision, hour.slice.good, hour.slice.total) == (2, 3600, 3606)
    assert hour.known_at_ms == before_ms + 60_000

    assert await known(bench, before_ms) == old_slices
    assert await known_hours(bench, before_ms) == old_hours
    assert [(one.revision, one.slice.total) for one in old_hours] == [(1, 3600)]


async def known(bench, as_of_ms):
    return await bench.store.current(
        TENANT, AVAILABILITY.key, low_ms=T0, high_ms=T0 + HOUR_MS, as_of_ms=as_of_ms
    )


async def known_hours(bench, as_of_ms):
    found = await bench.store.hours(
        TENANT, AVAILABILITY.key, low_ms=T0, high_ms=T0 + HOUR_MS, as_of_ms=as_of_ms
    )
    return [revision_at(found, k) for k in range(len(found.start_ms))]
