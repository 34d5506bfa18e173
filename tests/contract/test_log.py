"""What every log must do; the same tests run on the memory adapter and on JetStream."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.common.clock import SystemClock
from services.common.errors import Aborted, InvalidArgument, NotFound, Unavailable
from services.common.log import Log
from services.common.log_memory import MemoryEngine
from services.common.log_port import MAX_RECORD_BYTES
from tests.engines_nats import nats_engine

_names = itertools.count()


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["memory", pytest.param("nats", marks=pytest.mark.engines)]
)
async def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Log]:
    """One log for the module: every test uses a subject of its own."""
    if request.param == "memory":
        yield MemoryEngine(SystemClock()).log
    else:
        async with nats_engine(tmp_path_factory.mktemp("nats")) as engine:
            yield engine.log


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def subject(tmp_path: Path) -> str:
    """A subject of AUDIT that no other test uses (also not a test of an earlier run)."""
    return f"audit.{tmp_path.parent.name}-{tmp_path.name}.{next(_names)}".replace("[", "-").replace("]", "-")


async def test_reads_back_what_was_appended_in_order(log: Log, subject: str) -> None:
    start = await log.last_seq("AUDIT") + 1
    acks = [await log.append("AUDIT", subject, b"%d" % n, msg_id=f"{subject}-{n}") for n in range(5)]

    entries = await log.read("AUDIT", start)

    assert [entry.seq for entry in entries] == [ack.seq for ack in acks] == list(range(start, start + 5))
    assert [entry.data for entry in entries] == [b"0", b"1", b"2", b"3", b"4"]
    assert {entry.subject for entry in entries} == {subject}
    assert entries[2].headers["Nats-Msg-Id"] == f"{subject}-2"
    times = [entry.time_ns for entry in entries]
    assert times == sorted(times)
    assert abs(times[0] - SystemClock().now_ns()) < 60_000_000_000


async def test_an_empty_payload_is_a_record(log: Log, subject: str) -> None:
    ack = await log.append("AUDIT", subject, b"", msg_id=subject)

    assert [entry.data for entry in await log.read("AUDIT", ack.seq)] == [b""]


async def test_the_same_message_id_is_stored_once(log: Log, subject: str) -> None:
    first = await log.append("AUDIT", subject, b"x", msg_id=subject)
    second = await log.append("AUDIT", subject, b"x", msg_id=subject)

    assert (first.duplicate, second.duplicate) == (False, True)
    assert second.seq == first.seq
    assert await log.last_seq("AUDIT") == first.seq


async def test_concurrent_appends_are_all_stored(log: Log, subject: str) -> None:
    acks = await asyncio.gather(
        *(log.append("AUDIT", subject, b"%d" % n, msg_id=f"{subject}-{n}") for n in range(700))
    )

    seqs = sorted(ack.seq for ack in acks)
    assert seqs == list(range(seqs[0], seqs[0] + 700))
    entries = await log.read("AUDIT", seqs[0], max_messages=700)
    assert sorted(int(entry.data) for entry in entries) == list(range(700))


async def test_a_fenced_append_needs_the_last_sequence_of_its_subject(log: Log, subject: str) -> None:
    first = await log.append("AUDIT", subject, b"1", msg_id=f"{subject}-1", expect_last_subject_seq=0)
    await log.append("AUDIT", f"{subject}.other", b"-", msg_id=f"{subject}-o")
    second = await log.append(
        "AUDIT", subject, b"2", msg_id=f"{subject}-2", expect_last_subject_seq=first.seq
    )

    with pytest.raises(Aborted) as caught:
        await log.append("AUDIT", subject, b"3", msg_id=f"{subject}-3", expect_last_subject_seq=first.seq)

    assert caught.value.reason == "FENCED"
    assert caught.value.metadata["last_subject_seq"] == str(second.seq)
    last = await log.last_entry("AUDIT", subject)
    assert last is not None
    assert last.data == b"2"


async def test_repeating_a_fenced_append_is_a_success_while_nobody_else_wrote(log: Log, subject: str) -> None:
    """A writer whose first answer was lost asks again with the same fence."""
    first = await log.append("AUDIT", subject, b"1", msg_id=subject, expect_last_subject_seq=0)
    again = await log.append("AUDIT", subject, b"1", msg_id=subject, expect_last_subject_seq=0)

    assert (again.seq, again.duplicate) == (first.seq, True)


async def test_of_writers_with_the_same_fence_one_wins(log: Log, subject: str) -> None:
    results = await asyncio.gather(
        *(
            log.append("AUDIT", subject, b"x", msg_id=f"{subject}-{n}", expect_last_subject_seq=0)
            for n in range(20)
        ),
        return_exceptions=True,
    )

    assert [isinstance(result, Aborted) for result in results].count(False) == 1


async def test_last_entry_of_a_subject_that_was_never_written_is_none(log: Log, subject: str) -> None:
    assert await log.last_entry("AUDIT", subject) is None


async def test_a_read_past_the_end_is_empty(log: Log, subject: str) -> None:
    await log.append("AUDIT", subject, b"x", msg_id=subject)

    assert await log.read("AUDIT", await log.last_seq("AUDIT") + 1) == []


async def test_a_read_of_an_empty_stream_is_empty(log: Log) -> None:
    assert await log.read("APPLIED", 0) == []
    state = await log.stream_info("APPLIED")
    assert (state.first_seq, state.last_seq, state.messages) == (1, 0, 0)


async def test_a_read_stops_at_its_message_limit(log: Log, subject: str) -> None:
    first = await log.append("AUDIT", subject, b"0", msg_id=f"{subject}-0")
    for n in range(1, 4):
        await log.append("AUDIT", subject, b"%d" % n, msg_id=f"{subject}-{n}")

    assert [entry.data for entry in await log.read("AUDIT", first.seq, max_messages=3)] == [b"0", b"1", b"2"]


async def test_a_read_stops_at_its_byte_limit_but_never_before_the_first(log: Log, subject: str) -> None:
    first = await log.append("AUDIT", subject, b"a" * 2000, msg_id=f"{subject}-0")
    for n in range(1, 4):
        await log.append("AUDIT", subject, b"b" * 2000, msg_id=f"{subject}-{n}")

    assert len(await log.read("AUDIT", first.seq, max_bytes=10)) == 1
    assert 1 <= len(await log.read("AUDIT", first.seq, max_bytes=4500)) < 4


async def test_large_records_come_back_whole(log: Log, subject: str) -> None:
    data = bytes(range(256)) * (16 << 10)  # 4 MiB
    ack = await log.append("AUDIT", subject, data, msg_id=subject)

    assert (await log.read("AUDIT", ack.seq))[0].data == data
    last = await log.last_entry("AUDIT", subject)
    assert last is not None
    assert last.data == data


async def test_the_largest_record_is_stored(log: Log, subject: str) -> None:
    ack = await log.append(
        "AUDIT", subject, bytes(MAX_RECORD_BYTES), msg_id=subject, expect_last_subject_seq=0
    )

    assert len((await log.read("AUDIT", ack.seq))[0].data) == MAX_RECORD_BYTES


async def test_a_record_over_the_limit_is_refused(log: Log, subject: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await log.append("AUDIT", subject, bytes(MAX_RECORD_BYTES + 1), msg_id=subject)

    assert caught.value.reason == "RECORD_TOO_LARGE"


async def test_a_waiting_read_returns_when_a_record_arrives(log: Log, subject: str) -> None:
    clock = SystemClock()
    start = await log.last_seq("AUDIT") + 1
    waiting = asyncio.create_task(log.read("AUDIT", start, wait_s=10.0))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    began_ns = clock.monotonic_ns()
    await log.append("AUDIT", subject, b"x", msg_id=subject)

    assert [entry.data for entry in await waiting] == [b"x"]
    assert clock.monotonic_ns() - began_ns < 2_000_000_000


async def test_a_waiting_read_gives_up_in_time(log: Log) -> None:
    clock = SystemClock()
    began_ns = clock.monotonic_ns()

    assert await log.read("AUDIT", await log.last_seq("AUDIT") + 1, wait_s=0.3) == []
    assert 0.29e9 <= clock.monotonic_ns() - began_ns < 3e9


async def test_a_subject_of_another_stream_is_refused(log: Log, subject: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await log.append("CONFIG", subject, b"x", msg_id=subject)

    assert caught.value.reason == "WRONG_STREAM"


async def test_a_subject_of_no_stream_is_unavailable(log: Log) -> None:
    with pytest.raises(Unavailable) as caught:
        await log.append("AUDIT", "nobody.listens", b"x", msg_id="x", timeout_s=0.2)

    assert caught.value.reason == "LOG_UNAVAILABLE"
    assert caught.value.retry_after_s is not None


@pytest.mark.parametrize("bad", ["", "audit..x", "audit.a b", "audit.x\r\nPUB y 0"])
async def test_what_is_no_subject_is_refused(log: Log, bad: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await log.append("AUDIT", bad, b"x", msg_id="bad", timeout_s=0.2)

    assert caught.value.reason == "BAD_SUBJECT"


async def test_an_unknown_stream_is_not_found(log: Log) -> None:
    with pytest.raises(NotFound) as caught:
        await log.stream_info("NONE")

    assert caught.value.reason == "STREAM_NOT_FOUND"


async def test_stream_info_names_the_incarnation(log: Log, subject: str) -> None:
    before = await log.stream_info("AUDIT")
    ack = await log.append("AUDIT", subject, b"xyz", msg_id=subject)
    after = await log.stream_info("AUDIT")

    assert after.created_ns == before.created_ns > 0
    assert (after.first_seq, after.last_seq) == (1, ack.seq)
    assert after.messages == before.messages + 1
    assert after.bytes > before.bytes
    assert await log.first_seq("AUDIT") == 1
