"""The writer's gate and the catalogue, over the key-value store in memory and on JetStream."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.common.clock import SystemClock
from services.common.kv_memory import MemoryKeyValue
from services.common.log_memory import MemoryLog
from services.common.log_port import KeyValue, Log
from services.common.streams import CONTROL, LEASES, OTLP, POSITIONS
from services.dr.catalogue import KvCatalogue
from services.dr.errors import BackupUnderWay, WriterNotPaused
from services.dr.gate import KvWriterGate
from services.dr.model import (
    Backup,
    BackupState,
    Failure,
    LogPosition,
    Restore,
    RestoreState,
    TableContent,
    TableDifference,
    Trace,
)
from tests.engines_nats import nats_engine

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOCK = SystemClock()
OTHER_UUID = "5d1a0c1e-0000-4000-8000-000000000002"


@dataclass
class Stores:
    """The engine's two ports."""

    kv: KeyValue
    log: Log


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["memory", pytest.param("nats", marks=pytest.mark.engines)],
)
async def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stores]:
    """One engine for the module; every test uses a region of its own."""
    if request.param == "memory":
        yield Stores(MemoryKeyValue(CLOCK), MemoryLog(CLOCK))
        return
    directory: Path = tmp_path_factory.mktemp("nats")
    async with nats_engine(directory) as engine:
        yield Stores(engine.kv, engine.log)


def uuid_of(region: str) -> str:
    """The database of a region; every test has its own."""
    return f"5d1a0c1e-{region}"


def gate_of(stores: Stores, region: str, *, answer_s: float = 0.2, pause_s: float = 30.0) -> KvWriterGate:
    return KvWriterGate(stores.kv, stores.log, CLOCK, region=region, answer_s=answer_s, pause_s=pause_s)


async def put_position(stores: Stores, region: str, *, last: int = 1, state: str = "done") -> None:
    value = {"first": 1, "last": last, "attempt": 1, "state": state, "incarnation": 7, "more": [1]}
    await stores.kv.put(POSITIONS, f"writer.{region}.{uuid_of(region)}.{OTLP}", json.dumps(value).encode())


async def test_a_writer_that_answers_is_held_until_resumed(stores: Stores) -> None:
    ack = await stores.log.append(OTLP, "otlp.0.acme", b"x", msg_id="gate-1")
    await put_position(stores, "held", last=ack.seq)
    await stores.kv.put(LEASES, "writer.held", b"writer")
    gate = gate_of(stores, "held", answer_s=5)

    async def answer() -> None:
        async for change in stores.kv.watch(CONTROL, "pause.held"):
            wish = change
            break
        assert wish.value is not None
        answered = {
            "id": json.loads(wish.value)["id"],
            "position": {OTLP: ack.seq},
            "database": uuid_of("held"),
        }
        await stores.kv.put(CONTROL, "paused.held", json.dumps(answered).encode())

    _, paused = await asyncio.gather(answer(), gate.pause("op", database_uuid=uuid_of("held")))

    assert paused.answered
    assert [(each.stream, each.sequence, each.incarnation) for each in paused.positions] == [
        (OTLP, ack.seq, "7")
    ]
    assert paused.positions[0].append_time_ns is not None
    assert await gate.still_paused(paused, database_uuid=uuid_of("held"))
    await gate.resume("somebody else")
    assert await stores.kv.get(CONTROL, "pause.held") is not None
    await gate.resume("op")
    await gate.resume("op")
    assert await stores.kv.get(CONTROL, "pause.held") is None


async def test_no_writer_at_all_is_enough_when_its_position_stands_still(stores: Stores) -> None:
    await put_position(stores, "idle", last=3)
    gate = gate_of(stores, "idle")
    paused = await gate.pause("op", database_uuid=uuid_of("idle"))

    assert not paused.answered
    assert await gate.still_paused(paused, database_uuid=uuid_of("idle"))
    await put_position(stores, "idle", last=4)
    assert not await gate.still_paused(paused, database_uuid=uuid_of("idle"))
    await gate.resume("op")


async def test_a_database_that_was_never_written_to_has_no_position(stores: Stores) -> None:
    gate = gate_of(stores, "fresh")
    paused = await gate.pause("op", database_uuid=uuid_of("fresh"))

    assert paused.positions == ()
    assert await gate.still_paused(paused, database_uuid=uuid_of("fresh"))
    await gate.resume("op")


async def test_a_batch_in_flight_without_an_answer_is_refused(stores: Stores) -> None:
    await put_position(stores, "busy", state="inflight")
    await stores.kv.put(LEASES, "writer.busy", b"writer")
    gate = gate_of(stores, "busy")

    with pytest.raises(WriterNotPaused, match="in flight"):
        await gate.pause("op", database_uuid=uuid_of("busy"))
    await gate.resume("op")


async def test_two_operations_cannot_hold_it(stores: Stores) -> None:
    gate = gate_of(stores, "two")
    await gate.pause("first", database_uuid=uuid_of("two"))

    with pytest.raises(BackupUnderWay):
        await gate.pause("second", database_uuid=uuid_of("two"))
    await gate.pause("first", database_uuid=uuid_of("two"))
    await gate.resume("first")


async def test_a_pause_whose_owner_died_ends_by_itself(stores: Stores) -> None:
    await gate_of(stores, "dead", answer_s=0, pause_s=0.4).pause("dead", database_uuid=uuid_of("dead"))
    left = True
    for _ in range(100):
        left = await stores.kv.get(CONTROL, "pause.dead") is not None
        if not left:
            break
        await asyncio.sleep(0.05)
    assert not left


async def test_positions_are_handed_to_a_new_database_and_forgotten_with_it(stores: Stores) -> None:
    await put_position(stores, "moved", last=9)
    gate = gate_of(stores, "moved")
    paused = await gate.pause("op", database_uuid=uuid_of("moved"))
    await gate.resume("op")
    await gate.hand_over(paused.stored_positions, database_uuid=OTHER_UUID)
    entry = await stores.kv.get(POSITIONS, f"writer.moved.{OTHER_UUID}.{OTLP}")

    assert entry is not None
    assert json.loads(entry.value) == {
        "first": 1,
        "last": 9,
        "attempt": 1,
        "state": "done",
        "incarnation": 7,
        "more": [1],
    }
    await gate.forget(OTHER_UUID)
    assert await stores.kv.get(POSITIONS, f"writer.moved.{OTHER_UUID}.{OTLP}") is None
    assert await stores.kv.get(POSITIONS, f"writer.moved.{uuid_of('moved')}.{OTLP}") is not None


CONTENT = TableContent("points", 2, 100, "x:00")
BACKUP = Backup(
    backup_id="20261123t000000000_0001",
    region="r",
    database="threenines",
    state=BackupState.BROKEN,
    created_ns=1,
    comment="before",
    creator="t",
    request_id="q",
    verify=True,
    completed_ns=2,
    verified_ns=3,
    positions=(LogPosition(OTLP, "7", 41, 5), LogPosition("SLICES", "", 0)),
    tables=(CONTENT,),
    size_bytes=10,
    schema_version=30,
    writer_pause_ns=6,
    manifest_sha256="ab",
    differences=(TableDifference("points", "other", CONTENT, None),),
    failure=Failure("CONTENT_DIFFERS", "m", "r"),
    progress_percent=50,
    traces=(Trace.CLONES,),
)
RESTORE = Restore(
    restore_id="20261123t000000000_0002",
    region="r",
    backup_id=BACKUP.backup_id,
    target_database="second",
    state=RestoreState.VERIFYING,
    created_ns=1,
    reached=BACKUP.positions,
    tables=(CONTENT,),
    traces=(Trace.TARGET,),
)


async def test_the_catalogue_gives_back_what_it_was_given(stores: Stores) -> None:
    catalogue = KvCatalogue(stores.kv, "whole")
    await catalogue.save_backup(BACKUP)
    await catalogue.save_restore(RESTORE)

    assert await catalogue.backup(BACKUP.backup_id) == BACKUP
    assert await catalogue.restore(RESTORE.restore_id) == RESTORE
    assert await catalogue.restores() == (RESTORE,)
    assert await catalogue.backup("unknown") is None
    assert await KvCatalogue(stores.kv, "whol").backups() == ()


async def test_the_catalogue_lists_the_newest_first(stores: Stores) -> None:
    catalogue = KvCatalogue(stores.kv, "many")
    ids = [f"2026112{day}t000000000_0001" for day in (4, 3, 5)]
    for backup_id in ids:
        await catalogue.save_backup(replace(BACKUP, backup_id=backup_id))

    assert [each.backup_id for each in await catalogue.backups()] == sorted(ids, reverse=True)
