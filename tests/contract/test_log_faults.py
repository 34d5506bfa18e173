"""The JetStream adapters when the server dies, hangs, is full or is not there yet."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.common.clock import SystemClock
from services.common.errors import Aborted, FailedPrecondition, Unavailable
from services.common.lease import Lease
from services.common.log import NatsEngine, StreamsConfig, connect_nats
from services.common.streams import BUCKETS, STREAMS, bucket_stream
from services.embedded.nats import NatsServer, build_argv, wait_ready, write_config
from tests.engines_given import NATS_URL, needs_embedded
from tests.engines_nats import EmbeddedNats, free_port

pytestmark = pytest.mark.engines
CLOCK = SystemClock()
_ROUND = 30
"""Appends acknowledged before each kill, however long reconnecting and retrying took."""


@pytest.fixture(autouse=True)
def own_engine() -> None:
    needs_embedded(NATS_URL, why="it is killed and started again")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    """A running server, gone afterwards."""
    embedded = EmbeddedNats(tmp_path / "nats")
    await embedded.start()
    try:
        yield embedded
    finally:
        await embedded.stop()


@pytest.fixture
async def engine(server: EmbeddedNats) -> AsyncIterator[NatsEngine]:
    """A connected engine with every stream declared."""
    connected = await connect_nats(server.url, clock=CLOCK, timeout_s=10.0)
    await connected.ensure_streams()
    try:
        yield connected
    finally:
        await connected.close()


async def test_everything_acknowledged_is_there_once_after_kills_under_load(
    server: EmbeddedNats, engine: NatsEngine
) -> None:
    ledger: dict[str, int] = {}
    stop = asyncio.Event()

    async def load(worker: int) -> None:
        n = 0
        while not stop.is_set():
            name = f"{worker}-{n}"
            ack = await engine.log.append("AUDIT", "audit.load", name.encode(), msg_id=name, timeout_s=20)
            ledger[name] = ack.seq
            n += 1

    workers = [asyncio.create_task(load(worker)) for worker in range(16)]
    for _ in range(3):
        await _moment_under_load(ledger, workers)
        await server.kill9()
        await asyncio.sleep(0.1)
        await server.start()
    await _moment_under_load(ledger, workers)
    stop.set()
    await asyncio.gather(*workers)

    stored = await _read_all(engine, "AUDIT")
    assert len(ledger) >= 4 * _ROUND
    assert {name: seq for seq, name in stored} == ledger
    assert len(stored) == len(ledger)


async def test_a_fenced_append_that_was_stored_when_the_server_hung_is_a_success(
    server: EmbeddedNats, engine: NatsEngine
) -> None:
    """The server freezes with the append on its way: the client cannot know, and asks again."""
    first = await engine.log.append("AUDIT", "audit.f", b"1", msg_id="1", expect_last_subject_seq=0)
    server.pause()
    appending = asyncio.create_task(
        engine.log.append(
            "AUDIT", "audit.f", b"2", msg_id="2", expect_last_subject_seq=first.seq, timeout_s=15
        )
    )
    await asyncio.sleep(2.3)  # longer than one attempt: the second is on its way too
    server.resume()
    ack = await appending

    assert ack.seq == first.seq + 1
    assert await _read_all(engine, "AUDIT") == [(first.seq, "1"), (ack.seq, "2")]


async def test_an_outage_longer_than_the_patience_is_unavailable_with_a_delay(
    server: EmbeddedNats, engine: NatsEngine
) -> None:
    await server.kill9()
    began_ns = CLOCK.monotonic_ns()

    with pytest.raises(Unavailable) as caught:
        await engine.log.append("AUDIT", "audit.x", b"x", msg_id="x", timeout_s=0.5)

    assert caught.value.reason == "LOG_UNAVAILABLE"
    assert caught.value.retry_after_s == 1.0
    assert 0.4e9 < CLOCK.monotonic_ns() - began_ns < 3e9
    with pytest.raises(Unavailable):
        await engine.probe()


async def test_an_append_rides_out_a_short_outage_and_a_reader_too(
    server: EmbeddedNats, engine: NatsEngine
) -> None:
    await server.kill9()
    reading = asyncio.create_task(engine.log.read("AUDIT", 1, wait_s=10.0))
    appending = asyncio.create_task(engine.log.append("AUDIT", "audit.x", b"x", msg_id="x", timeout_s=10.0))
    await asyncio.sleep(0.5)
    await server.start()

    assert (await appending).seq == 1
    assert [entry.data for entry in await reading] == [b"x"]
    await engine.probe()


async def test_the_incarnation_and_the_duplicate_window_survive_a_kill(
    server: EmbeddedNats, engine: NatsEngine
) -> None:
    first = await engine.log.append("AUDIT", "audit.x", b"x", msg_id="x")
    before = await engine.log.stream_info("AUDIT")
    await server.kill9()
    await server.start()

    assert (await engine.log.stream_info("AUDIT")).created_ns == before.created_ns
    again = await engine.log.append("AUDIT", "audit.x", b"x", msg_id="x", timeout_s=10)
    assert (again.seq, again.duplicate) == (first.seq, True)


async def test_a_full_stream_says_so_and_leaves_room_for_leases(server: EmbeddedNats) -> None:
    engine = await connect_nats(server.url, clock=CLOCK, timeout_s=10.0)
    try:
        await engine.ensure_streams(StreamsConfig(total_bytes=10 << 20))
        with pytest.raises(Unavailable) as caught:
            await asyncio.gather(
                *(engine.log.append("AUDIT", "audit.x", bytes(40_000), msg_id=f"{n}") for n in range(40))
            )

        assert caught.value.reason == "LOG_FULL"
        assert len(await _read_all(engine, "AUDIT")) > 5  # what was acknowledged is kept
        lease = Lease(engine.kv, CLOCK, name="slicer.0", holder="a")
        assert await lease.acquire()
        assert await lease.renew()
        for _ in range(3):  # the other streams too
            await engine.log.append("APPLIED", "applied.eu", b"x", msg_id=f"{_}")
    finally:
        await engine.close()


async def test_streams_are_declared_by_everybody_at_once_and_as_written(
    server: EmbeddedNats, engine: NatsEngine
) -> None:
    others = [await connect_nats(server.url, clock=CLOCK, timeout_s=10.0) for _ in range(3)]
    try:
        await asyncio.gather(*(other.ensure_streams() for other in others))
    finally:
        await asyncio.gather(*(other.close() for other in others))

    for name in [*(spec.name for spec in STREAMS), *(bucket_stream(bucket) for bucket in BUCKETS)]:
        info = await engine._api.stream_info(name)
        config = info["config"]
        assert config["discard"] == "new", name
        assert config["storage"] == "file", name
        assert config["max_age"] == 0, name
        assert config["max_bytes"] > 0, name
        assert config["allow_direct"], name
        assert config["duplicate_window"] == 120_000_000_000, name
        assert config["retention"] == ("workqueue" if name == "NOTIFY" else "limits"), name


async def test_a_changed_size_is_taken_over_and_keeps_the_data(engine: NatsEngine) -> None:
    await engine.log.append("AUDIT", "audit.x", b"x", msg_id="x")
    await engine.ensure_streams(StreamsConfig(total_bytes=2 << 30))

    assert (await engine._api.stream_info("AUDIT"))["config"]["max_bytes"] == round((2 << 30) * 0.04)
    assert await engine.log.last_seq("AUDIT") == 1

    await engine.ensure_streams()  # by one that does not know the size
    assert (await engine._api.stream_info("AUDIT"))["config"]["max_bytes"] == round((2 << 30) * 0.04)


async def test_streams_larger_than_the_server_are_refused_with_the_next_step(engine: NatsEngine) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await engine.ensure_streams(StreamsConfig(total_bytes=1 << 40))

    assert caught.value.reason == "LOG_NO_ROOM"
    assert caught.value.next_step


async def test_connecting_waits_for_a_server_that_is_not_there_yet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = EmbeddedNats(tmp_path / "nats")
    with caplog.at_level(logging.WARNING, logger="services.common.log"):
        connecting = asyncio.create_task(connect_nats(server.url, clock=CLOCK))
        await asyncio.sleep(0.7)
        assert not connecting.done()
        assert "ConnectionRefusedError" in caplog.text
        assert len(caplog.records) < 3  # the same fault five times a second is one line
    await server.start()
    try:
        engine = await asyncio.wait_for(connecting, 10)
        await engine.probe()
        await engine.close()
    finally:
        await server.stop()


async def test_connecting_gives_up_after_its_timeout() -> None:
    with pytest.raises(Unavailable) as caught:
        await connect_nats(f"nats://secret@127.0.0.1:{free_port()}", clock=CLOCK, timeout_s=0.4)

    assert caught.value.reason == "LOG_UNAVAILABLE"
    assert "secret" not in str(caught.value)


async def test_only_who_has_the_token_gets_in(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "nats", token="a-token-of-our-own")
    await server.start()
    try:
        engine = await connect_nats(server.url, clock=CLOCK, timeout_s=10.0)
        await engine.probe()
        await engine.close()
        with pytest.raises(Unavailable):
            await connect_nats(server.url.replace("a-token", "b-token"), clock=CLOCK, timeout_s=0.5)
    finally:
        await server.stop()


async def test_a_server_that_does_not_sync_every_message_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, free_port(), free_port())
    config = write_config(server)
    config.write_text(config.read_text().replace("sync_interval: always", "sync_interval: 2m"))
    process = await asyncio.create_subprocess_exec(
        *build_argv(server), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        with pytest.raises(FailedPrecondition) as caught:
            await wait_ready(server, CLOCK, timeout_s=10.0)
        assert caught.value.reason == "NATS_NOT_SYNCING"
    finally:
        process.kill()
        await process.wait()


async def test_a_frozen_holder_loses_its_lease_on_its_own_clock_and_cannot_renew(
    server: EmbeddedNats, engine: NatsEngine
) -> None:
    lease = Lease(engine.kv, CLOCK, name="s", holder="a", ttl_s=2, renew_s=0.5, margin_s=1.0)
    assert await lease.acquire()
    server.pause()
    await asyncio.sleep(1.1)
    assert not lease.held
    server.resume()
    other = await connect_nats(server.url, clock=CLOCK, timeout_s=10.0)
    try:
        entry = await other.kv.get("leases", "s")
        while entry is not None:
            await asyncio.sleep(0.1)
            entry = await other.kv.get("leases", "s")
        assert await Lease(other.kv, CLOCK, name="s", holder="b").acquire()
        assert not await lease.renew()
        with pytest.raises(Aborted):
            await engine.kv.update("leases", "s", b"a", revision=lease.token)
    finally:
        await other.close()


async def test_a_queue_outlives_a_kill_with_its_work(server: EmbeddedNats, engine: NatsEngine) -> None:
    queue = await engine.queue("NOTIFY", "worker", ack_wait_s=1.0)
    await queue.publish("notify.acme", b"done", msg_id="1")
    await queue.publish("notify.acme", b"open", msg_id="2")
    (job,) = await queue.fetch(1, wait_s=2.0)
    await job.ack()
    await server.kill9()
    with pytest.raises(Unavailable):
        await queue.publish("notify.acme", b"lost", msg_id="3", timeout_s=0.2)
    await server.start()

    jobs = []
    for _ in range(50):
        try:
            jobs = [*await queue.fetch(10, wait_s=0.5)]
        except Unavailable:
            await asyncio.sleep(0.1)
        if jobs:
            break
    assert [job.data for job in jobs] == [b"open"]


async def _moment_under_load(ledger: dict[str, int], workers: list[asyncio.Task[None]]) -> None:
    """Some moment at which appends are being acknowledged; a worker that failed says why."""
    enough = len(ledger) + _ROUND
    async with asyncio.timeout(60):
        while len(ledger) < enough:
            for worker in workers:
                if worker.done():
                    worker.result()
            await asyncio.sleep(0.01)
    await asyncio.sleep(random.uniform(0, 0.1))


async def _read_all(engine: NatsEngine, stream: str) -> list[tuple[int, str]]:
    stored: list[tuple[int, str]] = []
    while entries := await engine.log.read(stream, stored[-1][0] + 1 if stored else 1):
        stored += [(entry.seq, entry.data.decode(errors="replace")) for entry in entries]
    return stored
