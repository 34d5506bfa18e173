"""A server that dies between its deduplication log and the rename of the part.

MergeTree logs an insert's token first and renames the part into its place afterwards. A crash between
the two leaves a token without rows: the same insert, sent again, is acknowledged and stores nothing.
ALTER TABLE ... DROP or DETACH PART would take the token away as well, so the state is made on disk, shown
to be the trap that it is, and left to the writer.
"""

import asyncio
from pathlib import Path

import pytest

from tests.scenario.insert_relay import TABLES, Held, HoldAt, table_of
from tests.scenario.kill_stack import KillStack, kill_stack
from tests.scenario.ledger import seeded

pytestmark = pytest.mark.engines


async def test_a_token_without_its_part_costs_no_row(tmp_path: Path) -> None:
    with seeded() as rng:
        async with kill_stack(tmp_path) as stack:
            async with stack.load(rng) as load:
                await load.more()
                await stack.caught_up()
                await _stop_merges(stack)
                held = stack.relay.hold(HoldAt.ANSWER, skip=rng.randrange(len(TABLES)))
                await asyncio.wait_for(held.begun.wait(), 30)
                # Dead before the answer: the batch stays in flight, its part and token are there.
                await asyncio.to_thread(stack.collector.kill9)
                table, part, rows = await _newest_part(stack, held)
                await asyncio.to_thread(stack.clickhouse.kill9)
                _undo_rename(part)
                await asyncio.to_thread(stack.clickhouse.start)

                assert await _rows_of(stack, table) == rows, "the part's rows are gone"
                await _send_again(stack, held)
                assert await _rows_of(stack, table) == rows, "and its token is in the way"

                await stack.drop_leases()
                stack.collector.start()
            await stack.caught_up()
            await load.ledger.check(stack.database)


async def _stop_merges(stack: KillStack) -> None:
    """So that the part to be taken away holds that one insert and nothing else."""
    for table in TABLES:
        await stack.database.command(f"SYSTEM STOP MERGES {table}")


async def _newest_part(stack: KillStack, held: Held) -> tuple[str, Path, int]:
    """Table and directory of the held insert's part, and the rows that the table has without it."""
    table = table_of(held.request)
    assert table is not None
    [(place, rows)] = await stack.database.rows(
        "SELECT argMax(path, min_block_number), sum(rows) - argMax(rows, min_block_number)"
        " FROM system.parts WHERE active AND database = currentDatabase() AND table = {table:String}",
        {"table": table},
    )
    return table, Path(place), int(rows)


def _undo_rename(part: Path) -> None:
    """Give the part the name that it had before the rename; the deduplication log stays."""
    part.rename(part.with_name(f"tmp_insert_{part.name}"))


async def _rows_of(stack: KillStack, table: str) -> int:
    [(rows,)] = await stack.database.rows(f"SELECT count() FROM {table}")
    return int(rows)


async def _send_again(stack: KillStack, held: Held) -> None:
    """The bytes of the held insert, token included, straight to the server."""
    reader, writer = await asyncio.open_connection(stack.clickhouse.host, stack.clickhouse.port)
    writer.write(held.request)
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert b" 200 " in status, status
