"""Two series with one hash are kept apart, and whoever starts anew decides the same."""

import itertools
import random
import time
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.identity import SeriesKey
from services.collector.memory import InsertFault, MemoryPointStore
from services.collector.model import LoggedRequest
from services.collector.ports import IdPlace
from services.collector.record import encode_requests
from services.collector.series_ids import NewSeries, Owners, SeriesIds, choose, salted_id
from services.collector.write import Writer
from services.common.errors import Unavailable
from services.common.log_port import Entry
from tests.block_rows import values
from tests.collector_store import build_batch, new_builder
from tests.otlp_requests import attribute, rows_of
from tests.unit.collector.test_write import expect_stored, fails, until_written, writing
from tests.unit.collector.writer_bench import WriterBench

_METRIC = "requests"


def same(_data: bytes) -> int:
    """The weakest hash there is."""
    return 7


def weak(data: bytes) -> int:
    """A hash of two bits."""
    return sum(data) % 4


def request(*routes: str, metric: str = _METRIC) -> bytes:
    """One point for each route."""
    message = ExportMetricsServiceRequest()
    gauge = message.resource_metrics.add().scope_metrics.add().metrics.add(name=metric).gauge
    for route in routes:
        point = gauge.data_points.add(time_unix_nano=next(_TIMES), as_int=1)
        point.attributes.append(attribute("route", route))
    return message.SerializeToString()


_TIMES = itertools.count(time.time_ns() - 10**9, 1_000_000)


def ids_of(store: MemoryPointStore) -> dict[str, set[tuple[str, int]]]:
    """(metric, series id) by route, as the series rows say."""
    found: dict[str, set[tuple[str, int]]] = {}
    for block in store.blocks:
        if block.table == "series":
            columns = {one.name: one.data for one in block.columns}
            names = [dict(row)["route"] for row in values_of_maps(columns["attributes"])]
            for route, metric, series in zip(
                names, values(columns["metric"]), values(columns["series_id"]), strict=True
            ):
                found.setdefault(route, set()).add((metric, series))
    return found


def values_of_maps(maps: object) -> list[list[tuple[str, str]]]:
    """The pairs of each row of a column of maps."""
    keys, texts = list(maps.keys), list(maps.values)  # type: ignore[attr-defined]
    ends = [0, *maps.ends.tolist()]  # type: ignore[attr-defined]
    return [list(zip(keys[a:b], texts[a:b], strict=True)) for a, b in itertools.pairwise(ends)]


def writer_of(bench: WriterBench, hash64: Callable[[bytes], int], *, capacity: int = 100) -> Writer:
    """A process that remembers nothing, with that hash."""
    return bench.writer(new_ids=lambda: SeriesIds(capacity=capacity, hash64=hash64))


async def write(bench: WriterBench, hash64: Callable[[bytes], int], *raws: bytes) -> None:
    """Receive these and let a new process write them."""
    for raw in raws:
        await bench.receiver.export("acme", raw)
    async with writing(writer_of(bench, hash64)):
        await until_written(bench)


async def test_two_series_of_one_hash_are_kept_apart_and_counted() -> None:
    bench = WriterBench()
    sent = [request("/a", "/b"), request("/b", "/a")]

    await write(bench, same, *sent)

    expect_stored(bench, sent)
    found = ids_of(bench.store)
    assert found["/a"] == {(_METRIC, 7)}
    assert len(found["/b"]) == 1
    assert found["/b"] != found["/a"]
    assert (await bench.position()).series_collisions == 1


async def test_the_next_process_keeps_the_ids_whatever_comes_first() -> None:
    bench = WriterBench()
    sent = [request("/a"), request("/b")]
    await write(bench, same, *sent)
    before = ids_of(bench.store)

    sent += [request("/b"), request("/c"), request("/a")]
    await write(bench, same, *sent[2:])

    after = ids_of(bench.store)
    assert {route: after[route] for route in before} == before
    assert len(set().union(*after.values())) == 3
    expect_stored(bench, sent)
    assert (await bench.position()).series_collisions == 2


async def test_a_process_that_forgets_asks_again_and_keeps_the_ids() -> None:
    bench = WriterBench(max_points=1)
    sent = [request(random.Random(1).choice("abcdef")) for _ in range(30)]
    for raw in sent:
        await bench.receiver.export("acme", raw)

    async with writing(writer_of(bench, weak, capacity=1)):
        await until_written(bench)

    expect_stored(bench, sent)
    assert all(len(ids) == 1 for ids in ids_of(bench.store).values())


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("fault", [InsertFault.STORED, InsertFault.LOST])
async def test_a_crash_at_any_insert_changes_no_id(fault: InsertFault, place: int) -> None:
    """Against a run without a crash: the same log gives the same ids."""
    requests = [request(*"abcd"), request(*"fedc"), request("g", metric="other"), request(*"hgfa")]
    calm, crashed = WriterBench(max_points=5), WriterBench(max_points=5)
    for bench in (calm, crashed):
        for raw in requests:
            await bench.receiver.export("acme", raw)
    crashed.store.fail_inserts(*([None] * place), fault)

    async with writing(writer_of(calm, weak)):
        await until_written(calm)
    await fails(writer_of(crashed, weak), Unavailable)
    async with writing(writer_of(crashed, weak)):
        await until_written(crashed)

    assert ids_of(crashed.store) == ids_of(calm.store)
    expect_stored(crashed, requests)


async def test_the_same_hash_in_two_metrics_or_tenants_is_no_collision() -> None:
    bench = WriterBench()
    await bench.receiver.export("beta", request("/a"))

    await write(bench, same, request("/a"), request("/a", metric="other"))

    assert ids_of(bench.store)["/a"] == {(_METRIC, 7), ("other", 7)}
    assert (await bench.position()).series_collisions == 0


def new(name: int, series_id: int = 7) -> NewSeries:
    return NewSeries("acme", _METRIC, SeriesKey(series_id, 0, 1, name))


def place(series: NewSeries, salt: int) -> IdPlace:
    return IdPlace("acme", _METRIC, salted_id(series.key, salt))


def test_a_series_keeps_its_second_id_when_the_owner_of_the_first_has_expired() -> None:
    late = new(2)
    owners = Owners({place(late, 0): None, place(late, 1): 2})

    decided = choose([late], owners)

    assert decided.keys[late].series_id == salted_id(late.key, 1)
    assert decided.moved == ()


def test_a_series_whose_first_two_ids_are_taken_asks_for_a_third() -> None:
    one = new(2)
    owners = Owners({place(one, 0): 8, place(one, 1): 9})

    assert choose([one], owners).missing == (place(one, 2),)
    owners.add([place(one, 2)], {})
    assert choose([one], owners).keys[one].series_id == salted_id(one.key, 2)


def test_the_order_of_the_log_decides() -> None:
    one, two = new(1), new(2)
    owners = Owners()
    for ask in (one, two):
        owners.add([place(ask, 0), place(ask, 1)], {})

    assert choose([one, two, one], owners).keys[one].series_id == 7
    assert choose([two, one], owners).keys[two].series_id == 7
    assert choose([two, one], owners).moved == (one,)


def test_remembered_ids_need_no_question_and_are_bounded() -> None:
    ids = SeriesIds(capacity=2)
    keys = [SeriesKey(number, 0, 1, number) for number in range(3)]
    ids.remember([("acme", b"%d" % number, keys[number]) for number in range(2)])
    assert ids.find("acme", [b"0", b"1"]) == ([keys[0], keys[1]], [])

    ids.remember([("acme", b"2", keys[2])])

    assert ids.find("acme", [b"1", b"2"]) == ([keys[1], keys[2]], [])


def entry_of(raw: bytes, seq: int, rejected: bytes = b"") -> Entry:
    """A record of one request."""
    logged = LoggedRequest(seq.to_bytes(16, "big"), raw, rows_of("acme", raw).points, rejected)
    return Entry(seq, "otlp.0.acme", seq, encode_requests("acme", [logged]), {})


def test_a_series_is_asked_for_until_its_rows_are_stored_and_not_after() -> None:
    builder = new_builder()
    entry = entry_of(request("/a", "/b"), 1)
    assert len(builder.undecided(builder.read([entry], log_time_ns=0), Owners())) == 4

    batch = build_batch(builder, [entry])
    assert len(builder.undecided(builder.read([entry], log_time_ns=0), Owners())) == 4
    builder.commit(batch)

    later = builder.read([entry_of(request("/b", "/c"), 2)], log_time_ns=0)
    assert [one.place for one in later.requests] == [0]
    assert len(builder.undecided(later, Owners())) == 2


def test_a_series_without_an_accepted_point_owns_nothing() -> None:
    entry = entry_of(request("/refused", "/kept"), 1, rejected=b"\x01")

    reading = new_builder().read([entry], log_time_ns=0)

    (kept,) = reading.new_series()
    (one,) = reading.requests
    assert kept.key == one.keys[1]
