"""Poison is left out, kept aside and told; everything else is stored."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.collector.columns import Decoded
from services.collector.decode import decode
from services.collector.dedupe import DedupeWindow
from services.collector.errors import CorruptRecord
from services.collector.identity import SeriesKey
from services.collector.memory import InsertFault
from services.collector.model import LoggedRequest, Poison
from services.collector.poison import (
    DeadLetter,
    DeadLetters,
    decode_dead_letter,
    encode_dead_letter,
    subject_tenant,
)
from services.collector.record import encode_requests, request_id
from services.collector.series_ids import Owners, SeriesIds
from services.collector.write_read import LogReader
from services.collector.write_window import read_past
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.log_memory import MemoryLog
from services.common.log_port import MAX_RECORD_BYTES, Entry
from services.common.streams import AUDIT, DEADLETTER, OTLP
from services.common.telemetry import Counters
from tests.collector_store import build_batch, new_builder
from tests.otlp_requests import RequestMaker, rows_of
from tests.unit.collector.test_status import report
from tests.unit.collector.test_write import expect_stored, fails, until_written, writing
from tests.unit.collector.writer_bench import WriterBench

_MAKER = RequestMaker(9, now_ns=time.time_ns())
_RAWS = [_MAKER.request(30).SerializeToString() for _ in range(3)]


def logged(raw: bytes) -> LoggedRequest:
    """A request as `receive` would log it."""
    return LoggedRequest(request_id("acme", raw), raw, decode(raw).point_count)


def whole(data: bytes) -> tuple[bytes, int, int, list[bytes]]:
    """A record that is poison as a whole: bytes, points that are lost, poison, what is still written."""
    return data, 0, 1, []


def _corrupt_payload() -> bytes:
    record = bytearray(encode_requests("acme", [logged(_RAWS[0])]))
    record[-20:] = b"\xff" * 20
    return bytes(record)


def _wrong(**change: object) -> bytes:
    """The request in the middle of a record is changed."""
    one, two, three = (logged(raw) for raw in _RAWS)
    return encode_requests("acme", [one, replace(two, **change), three])  # type: ignore[arg-type]


_POINTS = logged(_RAWS[1]).point_count
_OTHERS = [_RAWS[0], _RAWS[2]]
POISON = {
    "LOG_RECORD_CORRUPT": [
        whole(b""),
        whole(b"nonsense"),
        whole(b"XXXX" + encode_requests("acme", [logged(_RAWS[0])])[4:]),
        whole(encode_requests("acme", [logged(_RAWS[0])])[:30]),
        (_corrupt_payload(), logged(_RAWS[0]).point_count, 1, []),
    ],
    "LOG_RECORD_VERSION_UNKNOWN": [whole(b"TNR9" + encode_requests("acme", [logged(_RAWS[0])])[4:])],
    "TENANT_MISMATCH": [whole(encode_requests("beta", [logged(_RAWS[0])]))],
    "OTLP_UNDECODABLE": [(_wrong(raw=b"\x0a\x05\x01"), _POINTS, 1, _OTHERS)],
    "POINT_COUNT_MISMATCH": [(_wrong(point_count=_POINTS + 1), _POINTS + 1, 1, _OTHERS)],
    "BITMAP_LENGTH_MISMATCH": [(_wrong(rejected=b"\x01" * 500), 0, 1, _OTHERS)],
}
CASES = [(reason, *case) for reason, cases in POISON.items() for case in cases]


async def dead_letters(bench: WriterBench) -> list[DeadLetter]:
    return [decode_dead_letter(entry.data) for entry in await bench.engine.log.read(DEADLETTER, 1)]


@pytest.mark.parametrize(("reason", "data", "lost", "count", "written"), CASES)
async def test_poison_goes_to_the_dead_letters_and_the_stream_goes_on(
    reason: str, data: bytes, lost: int, count: int, written: list[bytes]
) -> None:
    bench = WriterBench()
    sent = await bench.send(3)
    await bench.engine.log.append(OTLP, "otlp.0.acme", data, msg_id="poison")
    sent += await bench.send(3)

    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, [*sent, *written])
    (entry,) = await bench.engine.log.read(DEADLETTER, 1)
    assert entry.subject == f"deadletter.OTLP.{reason}"
    (letter,) = await dead_letters(bench)
    assert (letter.head["seq"], letter.head["tenant"], letter.head["reason"]) == (4, "acme", reason)
    assert letter.head["points"] == lost
    assert letter.head["complete"]
    assert letter.head["request"] == (1 if written else None)
    assert written or letter.data == data
    (audit,) = await bench.engine.log.read(AUDIT, 1)
    assert json.loads(audit.data)["outcome"] == reason
    position = await bench.position()
    counts = position.counts["acme"]
    assert position.dead_letters == count
    assert counts.dead_lettered == lost
    assert counts.logged == counts.written + counts.duplicate + counts.dead_lettered
    assert counts.written == sum(rows_of("acme", raw).points for raw in [*sent, *written])


async def test_a_batch_with_poison_is_recovered_as_it_was_begun() -> None:
    bench = WriterBench()
    sent = await bench.send(10)
    for number in range(3):
        await bench.engine.log.append(OTLP, "otlp.0.acme", b"poison %d" % number, msg_id=f"p{number}")
    record = _wrong(raw=b"\x0a\x05\x01")
    await bench.engine.log.append(OTLP, "otlp.0.acme", record, msg_id="undecodable")
    sent += await bench.send(10)
    bench.store.fail_inserts(None, None, InsertFault.STORED, InsertFault.LOST)

    await fails(bench.writer(), Unavailable)
    await fails(bench.writer(), Unavailable)
    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, [*sent, *_OTHERS])
    assert [(one.head["seq"], one.head["request"]) for one in await dead_letters(bench)] == [
        (11, None),
        (12, None),
        (13, None),
        (14, 1),
    ]
    assert (await bench.position()).dead_letters == 4


async def test_dead_letters_that_cannot_be_kept_now_hold_the_position_back() -> None:
    bench = WriterBench()
    await bench.engine.log.append(OTLP, "otlp.0.acme", b"poison", msg_id="p")
    bench.engine.log.fail_next_appends(1)

    await fails(bench.writer(), Unavailable)
    assert (await bench.position()).written_seq == 0
    async with writing(bench.writer()):
        await until_written(bench)

    assert len(await dead_letters(bench)) == len(await bench.engine.log.read(AUDIT, 1)) == 1


async def test_a_full_dead_letter_stream_does_not_stop_the_writer(caplog: pytest.LogCaptureFixture) -> None:
    log, counters = MemoryLog(ManualClock()), Counters()
    log.set_full(True)

    await DeadLetters(log, counters, region="local").publish([_poison(b"x")], incarnation=7)

    assert "DEADLETTER is full" in caplog.text
    assert counters.value("collector.deadletters", tenant="acme") == 1


def _poison(data: bytes) -> Poison:
    return Poison(4, None, "otlp.0.acme", "acme", 5, "LOG_RECORD_CORRUPT", "text", 0, data)


def test_a_dead_letter_is_read_back_and_what_is_no_dead_letter_is_refused() -> None:
    letter = decode_dead_letter(encode_dead_letter(_poison(b"\x00data"), incarnation=7, region="east"))
    assert letter.data == b"\x00data"
    assert (letter.head["incarnation"], letter.head["region"], letter.head["append_ns"]) == ("7", "east", 5)
    for data in (b"", b"TND1", b"XXXX\x02\x00\x00\x00{}", b"TND1\x09\x00\x00\x00{}"):
        with pytest.raises(CorruptRecord):
            decode_dead_letter(data)


def test_data_too_large_for_a_dead_letter_stays_in_the_log() -> None:
    record = encode_dead_letter(_poison(bytes(MAX_RECORD_BYTES)), incarnation=7, region="east")

    assert len(record) < 1000
    assert not decode_dead_letter(record).head["complete"]


async def test_the_window_and_the_status_pass_over_poison() -> None:
    bench = WriterBench()
    bench.store.set_down(True)
    sent = await bench.send(2)
    await bench.engine.log.append(OTLP, "otlp.0.acme", b"poison", msg_id="p")

    past = await read_past(bench.engine.log, written_seq=3, log_time_ns=0)
    found = await report(bench)

    assert len(past.window) == 2
    assert found.tenants[0].points.logged == sum(rows_of("acme", raw).points for raw in sent)


def entries_of(*raws: bytes) -> list[Entry]:
    return [
        Entry(seq, "otlp.0.acme", seq, encode_requests("acme", [logged(raw)]), {})
        for seq, raw in enumerate(raws, 1)
    ]


@pytest.mark.parametrize("error", [ValueError("a defect"), IndexError(1), AssertionError()])
def test_a_defect_that_some_bytes_meet_is_poison(error: Exception) -> None:
    def defective(raw: bytes) -> Decoded:
        if raw == _RAWS[1]:
            raise error
        return decode(raw)

    reader = LogReader(DedupeWindow().look(), SeriesIds(), defective)
    reading = reader.read(entries_of(*_RAWS), log_time_ns=0)

    assert [one.reason for one in reading.poison] == ["BUILD_FAILED"]
    assert [one.raw for one in reading.requests] == _OTHERS
    assert reading.counts["acme"].dead_lettered == _POINTS


def test_a_dead_letter_of_a_record_that_was_kept_decoded_has_its_bytes() -> None:
    class Defective(SeriesIds):
        def find(self, tenant: str, identities: Sequence[bytes]) -> tuple[list[SeriesKey], list[int]]:
            if identities is bad.series.identity:
                raise ValueError("a defect")
            return super().find(tenant, identities)

    entries = entries_of(*_RAWS)
    kept = {entry.data: (decode(raw),) for entry, raw in zip(entries, _RAWS, strict=True)}
    (bad,) = kept[entries[1].data]

    reading = LogReader(DedupeWindow().look(), Defective(), take=kept.get).read(entries, log_time_ns=0)

    assert [one.data for one in reading.poison] == [_RAWS[1]]
    assert [one.raw for one in reading.requests] == _OTHERS


@pytest.mark.parametrize("error", [MemoryError(), OSError(), RuntimeError("no kernel")])
def test_what_fails_for_good_bytes_too_is_not_the_fault_of_the_bytes(error: Exception) -> None:
    def broken(_raw: bytes) -> Decoded:
        raise error

    with pytest.raises(type(error)):
        LogReader(DedupeWindow().look(), SeriesIds(), broken).read(entries_of(_RAWS[0]), log_time_ns=0)


def test_a_request_that_gives_no_rows_is_poison_and_leaves_none_behind() -> None:
    builder = new_builder()
    good = builder.read(entries_of(*_RAWS), log_time_ns=0)
    reading = replace(good, requests=[replace(one) for one in good.requests])
    broken = reading.requests[1]
    # Exemplars and points come first: their rows must go, too.
    summaries = replace(broken.decoded.summaries, sum=broken.decoded.summaries.sum[:0])
    reading.requests[1] = replace(broken, decoded=replace(broken.decoded, summaries=summaries))
    assert len(broken.decoded.summaries.point)

    owners = Owners()
    while asked := builder.undecided(reading, owners):
        owners.add(asked, {})
    batch = builder.build(reading, owners=owners, first_seq=1, last_seq=3)

    expected = build_batch(new_builder(), [entries_of(*_RAWS)[place] for place in (0, 2)])
    assert [one.reason for one in batch.poison] == ["BUILD_FAILED"]
    rows = {(block.table, block.day): block.rows for block in batch.all_blocks()}
    assert rows == {(block.table, block.day): block.rows for block in expected.all_blocks()}


def test_the_tenant_is_that_of_the_subject() -> None:
    assert subject_tenant(Entry(1, "otlp.0.acme", 0, b"", {})) == "acme"
