"""A backup under load, and a writer that goes on from it: every point of the log exactly once."""

import asyncio
import secrets
import time
from pathlib import Path

import pytest

from services.common.auth import enter_principal
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.log import connect_nats
from services.common.settings import ServerConfig
from services.common.telemetry import Telemetry
from services.dr.assembly import assemble
from services.dr.backups import NewBackup
from services.dr.config import DrConfig
from services.dr.model import Backup, BackupState, Restore, RestoreState
from services.dr.restores import NewRestore
from tests.collector_process import CollectorProcess
from tests.collector_rows import comparable, stored_rows
from tests.engines_given import CLICKHOUSE_URL, needs_embedded
from tests.otlp_requests import TABLES, Ledger, RequestMaker, rows_of
from tests.scenario.collector_stack import CollectorStack, collector_stack
from tests.scenario.dr_stack import ADMIN, REGION, working

pytestmark = pytest.mark.engines

_RESTORED = "restored"
_REQUESTS = 150


async def test_a_writer_on_the_restored_database_writes_what_came_after_the_backup(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The backup is taken while requests arrive, so some are in it and the others only in the log."""
    requests = list(RequestMaker(11, now_ns=time.time_ns()).requests(_REQUESTS))
    ledger = Ledger()
    for raw in requests:
        ledger.add(rows_of("default", raw))

    needs_embedded(CLICKHOUSE_URL, why="reads a backup's files from the server's disk")
    async with collector_stack(tmp_path) as stack:
        await _send(stack, requests[:30])
        await stack.until_written(1)
        (backup, restore), _ = await asyncio.gather(
            _back_up_and_restore(stack), _send(stack, requests[30:], pause_s=0.02)
        )
        await stack.until_written(ledger.points)
        assert backup.state is BackupState.VERIFIED, backup
        assert restore.state is RestoreState.SUCCEEDED, restore
        assert "no writer answered" not in caplog.text
        in_backup = sum(each.row_count for each in backup.tables if each.table in TABLES)
        assert 0 < in_backup < sum(len(ledger.rows[table]) for table in TABLES)

        await asyncio.to_thread(stack.collector.stop)
        successor = CollectorProcess(
            stack.nats.url,
            stack.clickhouse.url,
            tmp_path / "successor",
            environ={"THREENINES_CLICKHOUSE_DATABASE": _RESTORED},
        )
        database = Database(ClickHouseConfig.from_url(stack.clickhouse.url, _RESTORED))
        try:
            successor.start()
            await successor.wait_serving()
            await _until_stored(database, ledger)
            for table in TABLES:
                assert comparable(await stored_rows(database, table)) == comparable(ledger.rows[table])
        finally:
            await database.close()
            await asyncio.to_thread(successor.stop)


async def _back_up_and_restore(stack: CollectorStack) -> tuple[Backup, Restore]:
    enter_principal(ADMIN)
    clock = SystemClock()
    database = Database(ClickHouseConfig.from_url(stack.clickhouse.url, "threenines"))
    engine = await connect_nats(stack.nats.url, clock=clock)
    config = DrConfig(
        region=REGION,
        nats_url=stack.nats.url,
        clickhouse=ClickHouseConfig.from_url(stack.clickhouse.url, "threenines"),
        backups_dir=stack.clickhouse.data_dir / "backups",
        server=ServerConfig(listen="127.0.0.1:0"),
    )
    parts = assemble(
        config,
        database=database,
        engine=engine,
        clock=clock,
        rng=secrets.token_bytes,
        telemetry=Telemetry("dr"),
    )
    try:
        async with working(parts):
            started = await parts.backups.create(NewBackup(verify=True))
            await parts.worker.settle()
            restoring = await parts.restores.start(NewRestore(target_database=_RESTORED))
            await parts.worker.settle()
            return (
                await parts.backups.get(REGION, started.backup_id),
                await parts.restores.get(REGION, restoring.restore_id),
            )
    finally:
        await database.close()
        await engine.close()


async def _send(stack: CollectorStack, requests: list[bytes], *, pause_s: float = 0.0) -> None:
    for raw in requests:
        assert await stack.export(raw) == b"", "a full success says nothing"
        await asyncio.sleep(pause_s)


async def _until_stored(database: Database, ledger: Ledger) -> None:
    """Wait until as many rows are there as should be, or for a while."""
    wanted = sum(len(ledger.rows[table]) for table in TABLES)
    counts = " + ".join(f"(SELECT count() FROM {table})" for table in TABLES)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (await database.rows(f"SELECT {counts}"))[0][0] >= wanted:
            return
        await asyncio.sleep(0.1)
