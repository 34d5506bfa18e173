"""Dead letters are listed to those who may see them, and appended again once, whatever happens in between."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.collector.dead_letters import DeadLetterReader, KeptLetter, read_letters, replay_key
from services.collector.dead_letters_replay import DeadLetterReplay
from services.collector.decode import decode
from services.collector.model import LoggedRequest, Poison
from services.collector.poison import DeadLetters
from services.collector.record import encode_requests, request_id
from services.collector.validate import AcceptLimits
from services.collector.write_position import BatchState, Position, position_key
from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from services.common.log_port import MAX_RECORD_BYTES
from services.common.streams import AUDIT, CONTROL, OTLP, POSITIONS
from services.common.telemetry import Counters
from tests.otlp_requests import rows_of
from tests.unit.collector.test_write import expect_stored, until_written, writing
from tests.unit.collector.writer_bench import WriterBench


@contextlib.contextmanager
def caller(tenant: str = "acme", role: Role = Role.OPERATOR) -> Iterator[None]:
    """Whoever asks."""
    token = enter_principal(Principal(tenant, role, "the-operator"))
    try:
        yield
    finally:
        leave_principal(token)


class Bench(WriterBench):
    """A writer's bench with the use cases."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = DeadLetterReader(self.engine.log, self.engine.kv)
        self.replay = DeadLetterReplay(
            self.reader, self.engine.log, self.engine.kv, self.clock, AcceptLimits()
        )

    def logged(self, *, tenant: str = "acme", **change: object) -> LoggedRequest:
        """A new request as it would be logged, with a change."""
        raw = self.maker.request(30).SerializeToString()
        made = LoggedRequest(request_id(tenant, raw), raw, decode(raw).point_count)
        return replace(made, **change)  # type: ignore[arg-type]

    async def append(self, *requests: LoggedRequest, tenant: str = "acme") -> int:
        """A record; its sequence."""
        data = encode_requests(tenant, requests)
        name = self.random.randbytes(8).hex()
        return (await self.engine.log.append(OTLP, f"otlp.0.{tenant}", data, msg_id=name)).seq

    async def tell(self, seq: int, data: bytes, *, request: int | None, **more: object) -> None:
        """A dead letter as an older release would have written it, which could not read what this one can."""
        incarnation = (await self.engine.log.stream_info(OTLP)).created_ns
        entries = await self.engine.log.read(OTLP, seq, max_messages=1)
        time_ns = entries[0].time_ns if entries else self.clock.now_ns()
        told = Poison(seq, request, "otlp.0.acme", "acme", time_ns, "OTLP_UNDECODABLE", "old", 3, data)
        letters = DeadLetters(self.engine.log, Counters(), region="local")
        await letters.publish([replace(told, **more)], incarnation=incarnation)  # type: ignore[arg-type]

    async def letters(self, **options: object) -> tuple[KeptLetter, ...]:
        """Everything on one page."""
        given = {"page_size": 0, "page_token": "", "show_replayed": False, **options}
        return (await self.reader.page("acme", **given)).letters  # type: ignore[arg-type]


async def test_a_misjudged_request_is_stored_by_a_replay_and_once_however_often_it_is_replayed() -> None:
    bench = Bench()
    wrong, good = bench.logged(rejected=b"\x01" * 500), bench.logged()
    await bench.append(wrong, good)

    async with writing(bench.writer()):
        await until_written(bench)
        expect_stored(bench, [good.raw])
        with caller():
            (kept,) = await bench.letters()
            assert (kept.letter.head["reason"], kept.letter.head["request"]) == ("BITMAP_LENGTH_MISMATCH", 0)
            first = await bench.replay.replay("acme", kept.number)
            again = await bench.replay.replay("acme", kept.number)
            assert await bench.letters() == ()
            (shown,) = await bench.letters(show_replayed=True)
        await until_written(bench)

    assert first.replay == again.replay == shown.replay
    assert first.replay is not None
    assert first.replay.seq == 2
    expect_stored(bench, [good.raw, wrong.raw])
    counts = (await bench.position()).counts["acme"]
    assert counts.written == sum(rows_of("acme", one.raw).points for one in (good, wrong))
    assert counts.logged == counts.written + counts.duplicate + counts.dead_lettered
    audit = [json.loads(entry.data) for entry in await bench.engine.log.read(AUDIT, 1)]
    assert [(one["action"], one["actor"]) for one in audit][1:] == [("replay", "the-operator")]
    assert audit[1]["points"] == rows_of("acme", wrong.raw).points


async def test_the_verdict_of_when_it_was_received_stands() -> None:
    bench = Bench()
    request = bench.logged()
    rejected = bytes([0b00000101]) + bytes((request.point_count + 7) // 8 - 1)
    await bench.tell(await bench.append(), request.raw, request=0, rejected=rejected)

    with caller():
        await bench.replay.replay("acme", 1)
    async with writing(bench.writer()):
        await until_written(bench)

    assert (await bench.position()).counts["acme"].written == request.point_count - 2


async def test_what_was_a_resend_in_an_unreadable_record_is_not_stored_again() -> None:
    bench = Bench()
    stored, resent, new = bench.logged(), bench.logged(), bench.logged()
    await bench.append(stored, resent)
    broken = await bench.append(tenant="acme")
    await bench.tell(broken, encode_requests("acme", [resent, new]), request=None)

    with caller():
        await bench.replay.replay("acme", 1)
    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, [stored.raw, resent.raw, new.raw])


async def test_a_record_of_resends_alone_has_nothing_to_replay() -> None:
    bench = Bench()
    stored = bench.logged()
    await bench.append(stored)
    await bench.tell(await bench.append(), encode_requests("acme", [stored]), request=None)

    with caller(), pytest.raises(FailedPrecondition) as caught:
        await bench.replay.replay("acme", 1)

    assert caught.value.reason == "NOTHING_TO_REPLAY"


async def test_a_replay_that_ended_after_its_append_is_not_appended_again() -> None:
    bench = Bench()
    request = bench.logged()
    await bench.tell(await bench.append(), request.raw, request=0)
    with caller():
        done = await bench.replay.replay("acme", 1)
    (_, letter), *_ = [one async for one in read_letters(bench.engine.log)]
    assert done.replay is not None
    before = await bench.engine.log.last_seq(OTLP)

    # As a crash left it: begun, appended, not recorded; and the log has forgotten the message's id.
    begun = replace(done.replay, seq=None, time_ns=None)
    await bench.engine.kv.put(CONTROL, replay_key(letter), begun.to_json())
    await bench.clock.sleep(130.0)
    with caller():
        again = await bench.replay.replay("acme", 1)

    assert again.replay is not None
    assert again.replay.seq == done.replay.seq
    assert await bench.engine.log.last_seq(OTLP) == before


async def test_a_replay_goes_on_where_the_log_failed() -> None:
    bench = Bench()
    request = bench.logged()
    await bench.tell(await bench.append(), request.raw, request=0)
    bench.engine.log.fail_next_appends(1)

    with caller():
        with pytest.raises(Unavailable):
            await bench.replay.replay("acme", 1)
        assert len(await bench.letters()) == 1
        await bench.replay.replay("acme", 1)
    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, [request.raw])


async def test_what_this_release_cannot_read_either_is_not_replayed() -> None:
    bench = Bench()
    seq = await bench.append()
    await bench.tell(seq, b"\x0a\x05\x01", request=0)
    await bench.tell(seq, b"nonsense", request=None)
    await bench.tell(seq + 9, encode_requests("beta", [bench.logged()]), request=None)
    await bench.tell(seq + 50, bytes(MAX_RECORD_BYTES), request=7)
    before = await bench.engine.log.last_seq(OTLP)

    for number in (1, 2, 3, 4):
        with caller(), pytest.raises(FailedPrecondition) as caught:
            await bench.replay.replay("acme", number)
        assert caught.value.reason == "STILL_POISON"

    assert await bench.engine.log.last_seq(OTLP) == before


async def test_what_was_too_large_to_keep_is_taken_from_the_log() -> None:
    bench = Bench()
    other = bench.logged()
    rejected = bytes([1]) + bytes((other.point_count + 7) // 8 - 1)
    seq = await bench.append(bench.logged(), replace(other, rejected=rejected))
    async with writing(bench.writer()):
        await until_written(bench)
        before = (await bench.position()).counts["acme"].written
        await bench.tell(seq, bytes(MAX_RECORD_BYTES), request=1)
        with caller():
            await bench.replay.replay("acme", 1)
        await until_written(bench)

    assert (await bench.position()).counts["acme"].written - before == other.point_count - 1


async def test_what_another_region_wrote_is_not_replayed() -> None:
    bench = Bench()
    request = bench.logged()
    await bench.tell(await bench.append(), request.raw, request=0)
    incarnation = (await bench.engine.log.stream_info(OTLP)).created_ns
    west = Position(first=1, last=1, attempt=1, state=BatchState.DONE, incarnation=incarnation)
    await bench.engine.kv.put(POSITIONS, position_key("west", "a-database"), west.to_json())

    with caller(), pytest.raises(FailedPrecondition) as caught:
        await bench.replay.replay("acme", 1)

    assert caught.value.reason == "WRITTEN_ELSEWHERE"


async def test_pages_hold_what_was_asked_for_and_other_tenants_letters_are_unknown() -> None:
    bench = Bench()
    seq = await bench.append()
    for request in range(5):
        await bench.tell(seq, b"x", request=request)
    await bench.tell(seq, b"x", request=9, tenant="beta")

    with caller():
        first = await bench.reader.page("acme", page_size=3, page_token="", show_replayed=False)
        assert first.next_page is not None
        second = await bench.reader.page("acme", page_size=3, page_token=first.next_page, show_replayed=False)
        assert [one.letter.head["request"] for one in (*first.letters, *second.letters)] == [0, 1, 2, 3, 4]
        assert second.next_page is None
        with pytest.raises(PermissionDenied):
            await bench.reader.page("-", page_size=0, page_token="", show_replayed=False)
        for number in (6, 7):
            with pytest.raises(NotFound):
                await bench.reader.one("acme", number)
            with pytest.raises(NotFound):
                await bench.replay.replay("acme", number)
        for wrong in ({"page_size": -1}, {"page_token": "x"}):
            with pytest.raises(InvalidArgument):
                await bench.letters(**wrong)


async def test_the_platform_sees_the_letters_of_every_tenant() -> None:
    bench = Bench()
    seq = await bench.append()
    for tenant in ("acme", "beta"):
        await bench.tell(seq, b"x", request=ord(tenant[0]), tenant=tenant)

    with caller("*", Role.ADMIN):
        page = await bench.reader.page("-", page_size=0, page_token="", show_replayed=False)

    assert [one.letter.head["tenant"] for one in page.letters] == ["acme", "beta"]


@pytest.mark.parametrize(
    ("tenant", "role", "may_look"),
    [
        ("acme", Role.READER, False),
        ("acme", Role.WRITER, False),
        ("acme", Role.AUDITOR, True),
        ("beta", Role.ADMIN, False),
    ],
)
async def test_only_an_operator_of_the_tenant_replays(tenant: str, role: Role, may_look: bool) -> None:
    bench = Bench()
    await bench.tell(await bench.append(), bench.logged().raw, request=0)

    with caller(tenant, role):
        if may_look:
            assert len(await bench.letters()) == 1
        else:
            with pytest.raises(PermissionDenied):
                await bench.letters()
            with pytest.raises(PermissionDenied):
                await bench.reader.one("acme", 1)
        with pytest.raises(PermissionDenied):
            await bench.replay.replay("acme", 1)
