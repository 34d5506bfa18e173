"""Alerting as a process on real engines: one firing and one resolved, whatever is killed when."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.alerting.clickhouse import ClickHouseHistory
from services.alerting.ports import AttemptRow
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.log import NatsEngine, connect_nats
from tests.engines_given import NATS_URL, clickhouse_server, nats_server, needs_embedded
from tests.scenario.alerting_process import AlertingProcess, Receiver, apply_documents, until, until_async
from tests.unit.alerting.slices_text import message, piece

pytestmark = pytest.mark.engines

SLICE_MS = 1000


class Stream:
    """Publishes slices of one second each, as fast as the test wants: log time is data."""

    def __init__(self, engine: NatsEngine) -> None:
        self._engine = engine
        self._at_ms = SystemClock().now_ns() // 1_000_000 // SLICE_MS * SLICE_MS - 600_000

    async def publish(self, *, good: int, bad: int, slices: int) -> None:
        for _ in range(slices):
            slice_ = piece(start_ms=self._at_ms, length_ms=SLICE_MS, good=good, bad=bad)
            self._at_ms += SLICE_MS
            data = message(slice_, watermark_ms=self._at_ms)
            await self._engine.log.append("SLICES", "slices.0", data, msg_id=uuid.uuid4().hex)


class Place:
    """Engines, configuration, receiver and the process."""

    def __init__(self, engine: NatsEngine, receiver: Receiver, process: AlertingProcess) -> None:
        self.engine = engine
        self.receiver = receiver
        self.process = process
        self.stream = Stream(engine)

    def check(self) -> None:
        """One firing and one resolved, each delivered, repeats only with the same key."""
        assert len(self.receiver.keys("firing")) == 1
        assert len(self.receiver.keys("resolved")) == 1
        assert self.receiver.keys("firing") != self.receiver.keys("resolved")
        order = [post.payload["status"] for post in self.receiver.posts if post.answered]
        assert order.index("firing") < order.index("resolved")


# Nobody listens there: an alert must not need ClickHouse.
NO_CLICKHOUSE = "http://127.0.0.1:9"


@asynccontextmanager
async def a_place(
    tmp_path: Path, *, clickhouse_url: str = NO_CLICKHOUSE, database: str = "threenines"
) -> AsyncIterator[Place]:
    nats = nats_server(tmp_path / "nats")
    await nats.start()
    receiver = Receiver()
    await receiver.open()
    engine = await connect_nats(nats.url, clock=SystemClock(), timeout_s=10)
    await engine.ensure_streams()
    await apply_documents(engine, tmp_path, port=receiver.port)
    process = AlertingProcess(
        nats_url=nats.url, clickhouse_url=clickhouse_url, database=database, directory=tmp_path
    )
    try:
        yield Place(engine, receiver, process)
    finally:
        process.stop()
        await receiver.close()
        await engine.close()
        await nats.stop()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path) as made:
        yield made


async def test_fires_and_resolves_once_each(place: Place) -> None:
    place.process.start()
    await place.stream.publish(good=100, bad=0, slices=20)
    await place.stream.publish(good=0, bad=100, slices=5)
    await until(lambda: bool(place.receiver.keys("firing")), within_s=60, why=place.process.why)
    await place.stream.publish(good=100, bad=0, slices=10)
    await until(lambda: bool(place.receiver.keys("resolved")), within_s=60, why=place.process.why)

    assert [post.payload["status"] for post in place.receiver.posts] == ["firing", "resolved"]
    place.check()


async def test_serves_without_clickhouse_and_stops_when_told(place: Place) -> None:
    place.process.start()
    await until(lambda: place.process.port() is not None, within_s=60, why=place.process.why)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{place.process.port()}") as channel:
        health = health_pb2_grpc.HealthStub(channel)

        async def serving() -> bool:
            answer = await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        await until_async(serving, within_s=10, why=place.process.why)

    assert await asyncio.to_thread(place.process.stop) == 0


async def test_survives_a_kill_while_the_receiver_has_not_answered(place: Place) -> None:
    """The POST arrived and its answer never did: it comes again, with the same key."""
    place.receiver.hanging = True
    place.process.start()
    await place.stream.publish(good=100, bad=0, slices=20)
    await place.stream.publish(good=0, bad=100, slices=5)
    await until(lambda: bool(place.receiver.posts), within_s=60, why=place.process.why)
    place.process.kill9()
    place.receiver.hanging = False
    place.process.start()
    await place.stream.publish(good=100, bad=0, slices=10)
    await until(lambda: bool(place.receiver.answered("resolved")), within_s=60, why=place.process.why)

    assert len(place.receiver.answered("firing")) == 1
    assert len(place.receiver.answered("resolved")) == 1
    place.check()


async def test_survives_a_kill_while_the_receiver_is_down(place: Place) -> None:
    """Evaluated, not sent, killed: the notification is in the queue and goes out afterwards."""
    await place.receiver.close()
    place.process.start()
    await place.stream.publish(good=100, bad=0, slices=20)
    await place.stream.publish(good=0, bad=100, slices=5)
    log = place.engine.log
    await until_async(lambda: log.last_seq("NOTIFY"), within_s=60, why=place.process.why)
    place.process.kill9()
    await place.stream.publish(good=100, bad=0, slices=10)
    await place.receiver.open()
    place.process.start()
    await until(lambda: bool(place.receiver.answered("resolved")), within_s=60, why=place.process.why)

    assert [post.payload["status"] for post in place.receiver.posts] == ["firing", "resolved"]
    place.check()


async def grown(place: Place, stream: str, *, beyond: int) -> None:
    """Return as soon as the stream has more than that."""

    async def grew() -> bool:
        return await place.engine.log.last_seq(stream) > beyond

    await until_async(grew, within_s=60, why=place.process.why)


async def kill_after(place: Place, moment: str, rng: Random) -> None:
    """Kill within milliseconds of a transition being recorded, a notification being queued, or a
    POST arriving; start again."""
    if moment == "posted":
        seen = len(place.receiver.posts)
        await until(lambda: len(place.receiver.posts) > seen, within_s=60, why=place.process.why)
    else:
        await grown(place, moment, beyond=await place.engine.log.last_seq(moment))
    await SystemClock().sleep(rng.choice([0.0, 0.002, 0.01]))
    place.process.kill9()
    place.process.start()


async def _story_with_kills(directory: Path, moments: tuple[str, str], seed: int) -> None:
    rng = Random(seed)
    async with a_place(directory) as place:
        place.process.start()
        await grown(place, "ALERTS", beyond=1)
        await place.stream.publish(good=100, bad=0, slices=20)
        for moment, (good, bad) in zip(moments, ((0, 100), (100, 0)), strict=True):
            killer = asyncio.create_task(kill_after(place, moment, rng))
            await SystemClock().sleep(0.05)
            await place.stream.publish(good=good, bad=bad, slices=12)
            await killer
        await until(lambda: bool(place.receiver.answered("resolved")), within_s=60, why=place.process.why)
        place.check()


async def test_survives_kills_at_the_worst_moments(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Twice in each story, around evaluation, queueing and sending; three stories side by side."""
    needs_embedded(NATS_URL, why="three of them run at the same time")
    stories = (("ALERTS", "NOTIFY"), ("NOTIFY", "posted"), ("posted", "ALERTS"))
    async with asyncio.TaskGroup() as group:
        for seed, moments in enumerate(stories):
            directory = tmp_path_factory.mktemp("story")
            group.create_task(_story_with_kills(directory, moments, seed))


async def test_history_tells_what_was_decided_and_sent(tmp_path: Path) -> None:
    """The same with ClickHouse: every transition, decision and attempt is there, each once."""
    with clickhouse_server(tmp_path / "clickhouse") as clickhouse:
        name = clickhouse.database("threenines")
        async with a_place(tmp_path, clickhouse_url=clickhouse.url, database=name) as place:
            place.process.start()
            await place.stream.publish(good=100, bad=0, slices=20)
            await place.stream.publish(good=0, bad=100, slices=5)
            await until(lambda: bool(place.receiver.keys("firing")), within_s=60, why=place.process.why)
            await place.stream.publish(good=100, bad=0, slices=10)
            await until(lambda: bool(place.receiver.keys("resolved")), within_s=60, why=place.process.why)

            database = Database(ClickHouseConfig.from_url(clickhouse.url, name))
            history = ClickHouseHistory(database, SystemClock())

            async def sends() -> list[AttemptRow]:
                rows = await history.attempts("acme", from_ns=0, to_ns=2**62)
                return [row for row in rows if row.attempt > 0]

            async def all_sent() -> bool:
                return len(await sends()) == 2

            async def events() -> list[tuple[str, str]]:
                rows = await database.rows("SELECT from_state, to_state FROM alert_events FINAL ORDER BY seq")
                return [(str(before), str(after)) for before, after in rows]

            async def all_recorded() -> bool:
                return len(await events()) == 3

            await until_async(all_sent, within_s=60, why=place.process.why)
            # Decisions and sends are recorded each on their own way.
            await until_async(all_recorded, within_s=60, why=place.process.why)
            keys = place.receiver.keys("firing") | place.receiver.keys("resolved")
            assert {row.id for row in await sends()} == keys
            assert {row.outcome for row in await sends()} == {"accepted"}
            assert await events() == [
                ("normal", "firing"),
                ("firing", "recovering"),
                ("recovering", "normal"),
            ]
            await database.close()
