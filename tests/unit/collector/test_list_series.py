"""Listing series: pages, ranges, filters, who may ask. Over the memory adapter."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector import convert_series
from services.collector.list_series import SeriesLister
from services.collector.memory import MemoryPointStore
from services.collector.memory_read import MemoryReader
from services.collector.series_model import SeriesRequest
from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.errors import InvalidArgument, PermissionDenied
from tests.collector_store import StoreWriter
from tests.otlp_requests import attribute
from threenines.collector.v1 import collector_pb2, collector_service_pb2

_HOUR = 3600 * 10**9
_NOW = 1_790_000_000_000_000_000 // (24 * _HOUR) * 24 * _HOUR + 12 * _HOUR
_SERIES = 25
_ASKED = SeriesRequest("acme")


@pytest.fixture
def as_reader() -> Iterator[None]:
    token = enter_principal(Principal("acme", Role.READER, "reader"))
    yield
    leave_principal(token)


@pytest_asyncio.fixture
async def lister(as_reader: None) -> AsyncIterator[SeriesLister]:
    """25 series of two metrics, one point in each of the last two hours; one more of yesterday only."""
    store = MemoryPointStore()
    writer = StoreWriter(store)
    made = ExportMetricsServiceRequest()
    scope = made.resource_metrics.add().scope_metrics.add()
    for place in range(_SERIES):
        data = scope.metrics.add(name="even" if place % 2 == 0 else "odd").gauge
        for time in (_NOW - 90 * 60 * 10**9, _NOW - 30 * 60 * 10**9):
            point = data.data_points.add(time_unix_nano=time, as_int=place)
            point.attributes.append(attribute("place", f"{place:02}"))
    old = scope.metrics.add(name="odd").gauge.data_points.add(time_unix_nano=_NOW - 5 * _HOUR, as_int=1)
    old.attributes.append(attribute("place", "old"))
    await writer.write("acme", [made.SerializeToString()], now_ns=_NOW)

    async def watermark_ns() -> int:
        return _NOW

    yield SeriesLister(MemoryReader(store), watermark_ns)


async def test_pages_are_stable_complete_and_end(lister: SeriesLister) -> None:
    whole = await lister.series(replace(_ASKED, page_size=100))
    assert (len(whole.series), whole.next_page) == (_SERIES, "")

    found: list[object] = []
    asked, pages = replace(_ASKED, page_size=5), 0
    while True:
        page = await lister.series(asked)
        found += page.series
        pages += 1
        if not page.next_page:
            break
        asked = replace(asked, page_token=page.next_page)

    assert pages == _SERIES // 5
    assert tuple(found) == whole.series
    assert [one.place for one, _ in whole.series] == sorted(one.place for one, _ in whole.series)


async def test_without_a_range_the_last_hour_before_the_watermark_counts(lister: SeriesLister) -> None:
    page = await lister.series(replace(_ASKED, page_size=1000))

    assert "old" not in {one.attributes["place"] for one, _ in page.series}
    assert {extent for _, extent in page.series} == {((_NOW - 30 * 60 * 10**9) // 10**6,) * 2}


async def test_a_wider_range_finds_older_series(lister: SeriesLister) -> None:
    page = await lister.series(replace(_ASKED, start_ns=_NOW - 6 * _HOUR, metric="odd"))

    assert len(page.series) == _SERIES // 2 + 1
    assert {one.place.metric for one, _ in page.series} == {"odd"}


async def test_later_pages_keep_the_range_of_the_first(lister: SeriesLister) -> None:
    """The watermark moves between two calls; the pages must not."""
    first = await lister.series(replace(_ASKED, page_size=24))

    async def later() -> int:
        return _NOW + 10 * _HOUR

    moved = SeriesLister(lister._reader, later)
    second = await moved.series(replace(_ASKED, page_size=24, page_token=first.next_page))

    assert len(second.series) == 1
    assert second.next_page == ""


async def test_values_are_paged_too(lister: SeriesLister) -> None:
    first = await lister.values(replace(_ASKED, page_size=20), "place")
    second = await lister.values(replace(_ASKED, page_size=20, page_token=first.next_page), "place")

    expected = [f"{place:02}" for place in range(_SERIES)]
    assert [*first.values, *second.values] == [*expected, "old"]
    assert second.next_page == ""
    assert (await lister.values(replace(_ASKED, metric="even"), "place")).values[-1] == "24"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"page_size": -1}, "page_size"),
        ({"page_token": "%%%"}, "page_token"),
        ({"page_token": "e30="}, "page_token"),
        ({"page_token": "WzEsMl0="}, "page_token"),
        ({"start_ns": _NOW, "end_ns": _NOW}, "start_time"),
        ({"start_ns": -1, "end_ns": _NOW}, "start_time"),
    ],
)
async def test_wrong_requests_are_refused_with_the_field(
    lister: SeriesLister, change: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await lister.series(replace(_ASKED, **change))  # type: ignore[arg-type]  # from a table

    assert caught.value.field == field


async def test_a_page_token_of_another_request_is_refused(lister: SeriesLister) -> None:
    token = (await lister.series(replace(_ASKED, page_size=5))).next_page

    for other in (replace(_ASKED, metric="odd"), replace(_ASKED, attributes={"a": "b"})):
        with pytest.raises(InvalidArgument):
            await lister.series(replace(other, page_token=token))
    with pytest.raises(InvalidArgument):
        await lister.values(replace(_ASKED, page_token=token), "place")


async def test_values_need_an_attribute(lister: SeriesLister) -> None:
    with pytest.raises(InvalidArgument):
        await lister.values(_ASKED, "")


async def test_other_tenants_and_writers_are_refused(lister: SeriesLister) -> None:
    with pytest.raises(PermissionDenied):
        await lister.series(SeriesRequest("beta"))
    token = enter_principal(Principal("acme", Role.WRITER, "writer"))
    try:
        with pytest.raises(PermissionDenied):
            await lister.series(_ASKED)
        with pytest.raises(PermissionDenied):
            await lister.values(_ASKED, "place")
    finally:
        leave_principal(token)


async def test_a_series_becomes_the_contracts_message(lister: SeriesLister) -> None:
    page = await lister.series(replace(_ASKED, attributes={"place": "03"}))

    message = convert_series.page_to_proto("acme", page)

    (series,) = message.series
    name = f"tenants/acme/series/{page.series[0][0].place.series_id:016x}"
    expected = collector_pb2.Series(name=name, metric="odd", type=collector_pb2.METRIC_TYPE_GAUGE)
    expected.attributes["place"] = "03"
    for time in (expected.first_seen_time, expected.last_seen_time):
        time.FromNanoseconds(_NOW - 30 * 60 * 10**9)
    assert series == expected


def test_a_request_keeps_what_was_left_out_apart_from_zero() -> None:
    request = collector_service_pb2.ListSeriesRequest(metric="m", attributes={"a": "b"}, page_size=3)
    request.start_time.FromNanoseconds(1_500_000_000)

    assert convert_series.request_from_proto(request, "acme") == SeriesRequest(
        "acme", "m", {"a": "b"}, start_ns=1_500_000_000, end_ns=None, page_size=3
    )
