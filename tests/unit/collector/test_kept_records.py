"""What was decoded at receipt is reused, and nobody can tell."""

import random

import numpy as np
import pytest

from services.collector.columns import Decoded, held_bytes, table_bytes
from services.collector.decode import decode
from services.collector.dedupe import DedupeWindow
from services.collector.kept_records import KeptRecords
from services.collector.model import LoggedRequest
from services.collector.record import encode_requests, request_id
from services.collector.series_ids import Owners, SeriesIds
from services.collector.write_batches import Batch, BatchBuilder
from services.collector.write_read import TakeDecoded, nothing_kept
from services.collector.write_series import SeriesCache
from services.common.clock import ManualClock
from services.common.log_port import Entry
from services.common.native import Block
from tests.otlp_requests import RequestMaker
from tests.unit.collector.test_fat_series import fat

NOW_NS = 1_700_000_000_000_000_000


def kept_records(**options: int) -> tuple[KeptRecords, ManualClock]:
    clock = ManualClock()
    kept = KeptRecords(clock, **options)
    kept.want()
    return kept, clock


def records(count: int, *, seed: int = 1) -> list[tuple[bytes, list[bytes]]]:
    """Records with the requests in them, some points of each refused."""
    maker, rng = RequestMaker(seed, now_ns=NOW_NS), random.Random(seed)
    made = []
    for _ in range(count):
        raws = [maker.request().SerializeToString() for _ in range(rng.randint(1, 4))]
        logged = []
        for raw in raws:
            points = decode(raw).point_count
            bits = rng.randbytes((points + 7) // 8) if rng.random() < 0.5 else b""
            logged.append(LoggedRequest(request_id("acme", raw), raw, points, bits))
        made.append((encode_requests("acme", logged), raws))
    return made


def built(entries: list[Entry], take: TakeDecoded) -> Batch:
    builder = BatchBuilder(DedupeWindow(), SeriesIds(), SeriesCache(), take=take)
    reading, owners = builder.read(entries, log_time_ns=0), Owners()
    while asked := builder.undecided(reading, owners):
        owners.add(asked, {})
    return builder.build(reading, owners=owners, first_seq=entries[0].seq, last_seq=entries[-1].seq)


def wire(batch: Batch) -> list[tuple[str, int, bytes]]:
    """The bytes that each block sends."""
    sent = []
    for block in batch.all_blocks():
        native = Block()
        for column in block.columns:
            native.add(column.name, column.type, column.data)
        sent.append((block.table, block.day, native.to_bytes()))
    return sent


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_blocks_are_the_same_bytes_whether_kept_or_decoded_again(share: float) -> None:
    made = records(25)
    entries = [Entry(seq, "otlp.0.acme", NOW_NS, data, {}) for seq, (data, _) in enumerate(made, start=1)]
    kept, _ = kept_records()
    rng = random.Random(2)
    for data, raws in made:
        if rng.random() < share:
            kept.keep(data, [decode(raw) for raw in raws])

    reused, again = built(entries, kept.take), built(entries, nothing_kept)

    assert wire(reused) == wire(again)
    assert reused.counts == again.counts
    assert (reused.touched, reused.sightings, reused.learnt) == (again.touched, again.sightings, again.learnt)
    assert kept.held_bytes == 0


def test_a_record_with_one_other_byte_is_another_record() -> None:
    (data, raws), *_ = records(1)
    kept, _ = kept_records()
    kept.keep(data, [decode(raw) for raw in raws])

    assert kept.take(data[:-1] + bytes((data[-1] ^ 1,))) is None
    assert kept.take(data) is not None
    assert kept.take(data) is None


def test_what_does_not_fit_is_not_kept_and_the_oldest_stays() -> None:
    made = records(10)
    whole = [[decode(raw) for raw in raws] for _, raws in made]
    tables = {id(one.series): table_bytes(one.series) for one in whole[0]}
    first = len(made[0][0]) + sum(map(held_bytes, whole[0])) + sum(tables.values())
    kept, _ = kept_records(max_bytes=first + 1)
    for (data, _), decoded in zip(made, whole, strict=True):
        kept.keep(data, decoded)
        assert kept.held_bytes <= first + 1

    assert kept.take(made[0][0]) is not None
    assert all(kept.take(data) is None for data, _ in made[1:])


def test_tables_of_series_count_once_and_until_the_last_request_that_has_them_is_gone() -> None:
    (data, raws), *_ = records(1)
    decoded = [decode(raw) for raw in raws]
    own = sum(map(held_bytes, decoded))
    tables = sum({id(one.series): table_bytes(one.series) for one in decoded}.values())
    kept, _ = kept_records()

    kept.keep(data, decoded)
    kept.keep(data + b"2", decoded)
    assert kept.held_bytes == 2 * own + tables + 2 * len(data) + 1
    kept.take(data)
    assert kept.held_bytes == own + tables + len(data) + 1
    kept.take(data + b"2")
    assert kept.held_bytes == 0


def test_new_series_fill_it_by_their_identities() -> None:
    kept, _ = kept_records(max_bytes=32 << 20)
    for number in range(40):
        kept.keep(b"%d" % number, [decode(fat(500, 4000, f"k{number}").SerializeToString())])

    assert kept.held_bytes <= 32 << 20
    assert len(kept._records) == 15, "each has 2 MB of identities and 50 kB of points"


def test_nothing_is_kept_while_no_writer_reads() -> None:
    (first, raws), (second, _) = records(2)
    decoded: list[Decoded | None] = [decode(raw) for raw in raws]
    kept, clock = kept_records()
    kept.keep(first, decoded)
    clock.advance(10)

    kept.keep(second, decoded)

    assert kept.held_bytes == 0
    assert kept.take(first) is None


def test_what_nobody_came_for_is_forgotten() -> None:
    (first, raws), (second, more) = records(2)
    kept, clock = kept_records()
    kept.keep(first, [decode(raw) for raw in raws])
    clock.advance(61)
    kept.want()
    kept.keep(second, [decode(raw) for raw in more])

    assert kept.take(first) is None
    assert kept.take(second) is not None


def test_a_record_of_which_a_part_was_not_decoded_is_not_kept() -> None:
    (data, _), *_ = records(1)
    kept, _ = kept_records()
    kept.keep(data, [None])

    assert kept.held_bytes == 0


def test_the_size_of_a_kept_request_covers_its_arrays() -> None:
    for _, raws in records(20, seed=5):
        for raw in raws:
            one = decode(raw)
            lists = [
                one.histograms.bounds.values,
                one.histograms.counts.values,
                one.summaries.quantiles.values,
            ]
            fixed = one.time_ns.nbytes + one.start_ns.nbytes + one.series_index.nbytes
            assert held_bytes(one) >= fixed + sum(np.asarray(each).nbytes for each in lists)
