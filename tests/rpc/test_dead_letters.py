"""Dead letters over the wire and from the command line: collector, NATS and ClickHouse are real."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.cli.main import app
from services.collector.decode import decode
from services.collector.model import LoggedRequest
from services.collector.record import encode_requests, request_id
from services.common.clock import SystemClock
from services.common.log import connect_nats
from services.common.streams import AUDIT, OTLP
from services.embedded.layout import write_json_atomically
from tests.collector_rows import comparable, stored_rows
from tests.otlp_requests import TABLES, Ledger, RequestMaker, rows_of
from tests.rpc.test_collector_series import refused
from tests.scenario.collector_stack import CollectorStack, collector_stack
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

RAWS = list(RequestMaker(5, now_ns=time.time_ns()).requests(2, points=30))
GOOD, WRONG = RAWS
TENANT = "default"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CollectorStack]:
    """A collector that met a record without sense, and a record with a request whose verdict does not fit."""
    async with collector_stack(tmp_path_factory.mktemp("letters")) as running:
        good, wrong = (LoggedRequest(request_id(TENANT, raw), raw, decode(raw).point_count) for raw in RAWS)
        wrong = LoggedRequest(wrong.request_id, wrong.raw, wrong.point_count + 1)
        engine = await connect_nats(running.nats.url, clock=SystemClock())
        record = encode_requests(TENANT, [good, wrong])
        await engine.log.append(OTLP, f"otlp.0.{TENANT}", b"nonsense", msg_id="nonsense")
        await engine.log.append(OTLP, f"otlp.0.{TENANT}", record, msg_id="record")
        await engine.close()
        counts = await running.until_written(rows_of(TENANT, GOOD).points)
        assert counts.dead_lettered_count == wrong.point_count
        yield running


def stub(channel: grpc.aio.Channel) -> Any:
    """The administration."""
    return collector_service_pb2_grpc.CollectorServiceStub(channel)


async def test_an_operator_looks_and_replays_and_the_points_are_stored_once(
    stack: CollectorStack, tmp_path: Path
) -> None:
    write_json_atomically(tmp_path / "state.json", {"connect": {"collector": stack.collector.admin_address}})

    async def run(*arguments: str) -> str:
        done = await asyncio.to_thread(
            CliRunner().invoke, app, ["dead-letters", *arguments, "--data-dir", str(tmp_path)]
        )
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    listed = json.loads(await run("list", TENANT, "-o", "json"))["dead_letters"]
    assert [one["reason"] for one in listed] == ["LOG_RECORD_CORRUPT", "POINT_COUNT_MISMATCH"]
    assert (listed[1]["request_index"], "request_index" in listed[0]) == (1, False)
    number = listed[1]["name"].rpartition("/")[2]
    assert "2 dead letters" in await run("list")
    shown = await run("show", TENANT, number)
    assert WRONG[:16].hex(" ") in shown

    for _ in range(3):
        assert f"OTLP {listed[1]['sequence']}, request 1" in await run("replay", TENANT, number)
    ledger = Ledger()
    for raw in RAWS:
        ledger.add(rows_of(TENANT, raw))
    counts = await stack.until_written(ledger.points)

    assert counts.written_count == ledger.points
    assert counts.logged_count == counts.written_count + counts.dead_lettered_count + counts.duplicate_count
    for table in TABLES:
        assert comparable(await stored_rows(stack.database, table)) == comparable(ledger.rows[table])
    left = json.loads(await run("list", TENANT, "-o", "json"))["dead_letters"]
    assert [one["name"] for one in left] == [listed[0]["name"]]
    everything = json.loads(await run("list", TENANT, "--replayed", "-o", "json"))["dead_letters"]
    assert int(everything[1]["replay_sequence"]) > int(listed[1]["sequence"])
    engine = await connect_nats(stack.nats.url, clock=SystemClock())
    audit = [json.loads(entry.data) for entry in await engine.log.read(AUDIT, 1)]
    await engine.close()
    assert [one["action"] for one in audit] == ["deadletter", "deadletter", "replay"]


async def test_the_status_says_how_many_there_are_and_refusals_say_why(stack: CollectorStack) -> None:
    async with grpc.aio.insecure_channel(stack.collector.admin_address) as channel:
        status = await stub(channel).GetStatus(collector_service_pb2.GetStatusRequest(), timeout=5)
        assert status.streams[0].dead_letter_count == 2
        for name, code, reason in (
            (f"tenants/{TENANT}/deadLetters/1", grpc.StatusCode.FAILED_PRECONDITION, "STILL_POISON"),
            (f"tenants/{TENANT}/deadLetters/77", grpc.StatusCode.NOT_FOUND, "DEAD_LETTER_UNKNOWN"),
            (f"tenants/{TENANT}/deadLetters/x", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
            ("tenants/acme/deadLetters/1", grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH"),
        ):
            asked = collector_service_pb2.ReplayDeadLetterRequest(name=name)
            assert await refused(stub(channel).ReplayDeadLetter(asked, timeout=5)) == (code, reason)
        page = collector_service_pb2.ListDeadLettersRequest(page_size=1, show_replayed=True)
        names: list[collector_pb2.DeadLetter] = []
        while page.page_token or not names:
            answer = await stub(channel).ListDeadLetters(page, timeout=5)
            names += answer.dead_letters
            page.page_token = answer.next_page_token
        assert [one.name.rpartition("/")[2] for one in names] == ["1", "2"]
