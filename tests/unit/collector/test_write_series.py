"""Series are described once per day, and what a batch touched is told."""

import time

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.dedupe import DedupeWindow
from services.collector.judge import examine, pack
from services.collector.model import Touched
from services.collector.record import encode_requests
from services.collector.series_ids import SeriesIds
from services.collector.validate import AcceptLimits
from services.collector.write_batches import Batch, BatchBuilder, batch_number
from services.collector.write_series import SeriesCache
from services.common.log_port import Entry
from tests.block_rows import values
from tests.collector_store import build_batch, new_builder

_NOW = time.time_ns() // (86_400 * 10**9) * 86_400 * 10**9
_MS = 10**6


def batch_of(builder: BatchBuilder, *requests: ExportMetricsServiceRequest, first_seq: int = 1) -> Batch:
    """The batch of these requests of tenant acme."""
    entries = []
    for place, request in enumerate(requests):
        raw = request.SerializeToString()
        looked = examine("acme", raw, now_ns=_NOW, limits=AcceptLimits())
        logged = pack(
            "acme", raw, identifier=looked.identifier, verdict=looked.verdict, max_record_bytes=4 << 20
        )
        entries.append(Entry(first_seq + place, "otlp.0.acme", _NOW, encode_requests("acme", logged), {}))
    return build_batch(builder, entries)


def builder() -> BatchBuilder:
    return new_builder()


def delta(*times: tuple[int, int]) -> ExportMetricsServiceRequest:
    """Delta points of one series, as (start, time) in nanoseconds."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests", unit="1")
    metric.sum.aggregation_temporality = 1
    for start, time_ns in times:
        metric.sum.data_points.add(start_time_unix_nano=start, time_unix_nano=time_ns, as_int=1)
    return request


def test_a_series_is_described_once_per_day_with_its_first_and_last_time() -> None:
    batch = batch_of(builder(), delta((1, _NOW - 2 * _MS), (1, _NOW - 3 * _MS), (1, _NOW + _MS), (1, _NOW)))

    rows = [
        {column.name: values(column.data) for column in block.columns if "attributes" not in column.name}
        for block in batch.all_blocks()
        if block.table == "series"
    ]
    assert [(row["first_seen"], row["last_seen"]) for row in rows] == [
        ([_NOW // _MS - 3], [_NOW // _MS - 2]),
        ([_NOW // _MS], [_NOW // _MS + 1]),
    ]
    assert [row["metric"] for row in rows] == [["requests"]] * 2


def test_a_described_series_is_not_described_again_until_the_next_day() -> None:
    made = builder()
    first = batch_of(made, delta((1, _NOW)))
    repeated = batch_of(made, delta((1, _NOW)))
    made.commit(first)
    later = batch_of(made, delta((1, _NOW + 1)), first_seq=2)
    yesterday = batch_of(made, delta((1, _NOW - 1)), first_seq=3)

    tables = [[block.table for block in batch.all_blocks()] for batch in (first, repeated, later, yesterday)]
    assert tables == [["series", "points"], ["series", "points"], ["points"], ["series", "points"]]


def test_touched_reaches_back_to_the_start_of_delta_points_and_no_others() -> None:
    request = delta((_NOW - 9_000 * _MS, _NOW), (0, _NOW + 5 * _MS))
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="total")
    metric.sum.aggregation_temporality = 2
    metric.sum.data_points.add(start_time_unix_nano=1, time_unix_nano=_NOW, as_int=1)

    assert batch_of(builder(), request).touched == (
        Touched("acme", "requests", _NOW // _MS - 9_000, _NOW // _MS + 5),
        Touched("acme", "total", _NOW // _MS, _NOW // _MS),
    )


def test_the_batch_number_is_the_low_half_of_its_first_sequence() -> None:
    first_seq = 2**32 + 7
    batch = batch_of(builder(), delta((1, _NOW)), first_seq=first_seq)

    (numbers,) = [
        values(column.data)
        for block in batch.all_blocks()
        if block.table == "points"
        for column in block.columns
        if column.name == "batch"
    ]
    assert numbers == [7] == [batch_number(first_seq)]


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache = SeriesCache(capacity=2)
    sent = [delta((1, _NOW - day * 86_400 * 10**9)) for day in range(6)]
    for request in sent:
        made = BatchBuilder(DedupeWindow(), SeriesIds(), cache)
        made.commit(batch_of(made, request))

    again = BatchBuilder(DedupeWindow(), SeriesIds(), cache)
    described = ["series" in {block.table for block in batch_of(again, one).all_blocks()} for one in sent]
    assert described[:2] == [True, True]
    assert described[-2:] == [False, False]
