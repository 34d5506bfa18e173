"""kill -9 of the SLA service while it makes reports and while it delivers one, on the real engines.

What was issued stays byte for byte, what was asked for is issued once, and who was being told is told again
under the same key, so that the receiver can tell; nobody who had it gets it twice.
"""

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial

import pytest

from services.common.clock import SystemClock
from services.common.config_feed import put_document
from services.common.documents import document_from_json
from services.common.log import NatsEngine, connect_nats
from services.common.streams import REPORTS
from services.sla.reports.canonical import content_sha256
from services.sla.reports.ledger import (
    DeliveryRecord,
    Outcome,
    Recipients,
    ReportPeriod,
    ReportRecord,
    ReportState,
)
from services.sla.reports.records import AnyRecord, decode, encode
from tests.rpc.test_sla_process import BAD, GOOD, Suite, bearer, eventually, requests, suite
from tests.unit.sla.reports.receivers import Hook, MailServer, listening
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

__all__ = ["suite"]

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

HOUR_MS = 3_600_000
MANY = 16
WAIT_S = 120.0
_TRIES = 3


@dataclass
class SlowHook(Hook):
    """Takes a request and answers only when it is told to."""

    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode().split("\r\n")[1:-2]]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        self.requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
        await self.answering.wait()
        writer.write(b"HTTP/1.1 204 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        writer.close()


async def records(engine: NatsEngine) -> list[AnyRecord]:
    entries = await engine.log.read(REPORTS, 1, max_messages=10_000)
    return [decode(entry.data, seq=entry.seq) for entry in entries]


async def issued(engine: NatsEngine) -> dict[str, list[ReportRecord]]:
    """Issued records by report."""
    found: dict[str, list[ReportRecord]] = {}
    for one in await records(engine):
        if isinstance(one, ReportRecord) and one.state is ReportState.ISSUED:
            found.setdefault(one.report, []).append(one)
    return found


async def attempts(engine: NatsEngine) -> list[DeliveryRecord]:
    return [one for one in await records(engine) if isinstance(one, DeliveryRecord)]


async def ask_for_delivery(engine: NatsEngine, start_ms: int) -> ReportRecord:
    """As the schedule asks when a period is over."""
    period = ReportPeriod("range", "20260101t000000-now", start_ms - HOUR_MS, start_ms + HOUR_MS)
    to = Recipients(("json",), ("sla@acme.example",), "billing")
    now_ms = SystemClock().now_ns() // 10**6
    record = ReportRecord(
        *("acme", "gold", period, 1, ReportState.GENERATING, now_ms, now_ms), scheduled=True, recipients=to
    )
    await engine.log.append(
        REPORTS, record.subject, encode(record), msg_id="asked-by-the-test", expect_last_subject_seq=0
    )
    return record


async def ask_for_many(suite: Suite, start_ms: int, first: int) -> None:
    """Reports of as many ranges, from the `first` on, of nobody's but the operator's."""
    async with suite.channel() as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)
        asked = []
        for k in range(first, first + MANY):
            request = sla_service_pb2.GenerateSlaReportRequest(contract="tenants/acme/contracts/gold")
            request.custom_window.start_time.FromMilliseconds(start_ms - (k + 1) * HOUR_MS)
            request.custom_window.end_time.FromMilliseconds(start_ms + HOUR_MS)
            asked.append(stub.GenerateSlaReport(request, metadata=bearer(suite.admin)))
        # Together: they are in the log long before the first of them is made. The kill ends the late ones.
        await asyncio.gather(*asked, return_exceptions=True)


async def prepared(suite: Suite, hook: Hook, engine: NatsEngine) -> int:
    """A service with a contract, a receiver and some minutes of requests; when these began, Unix ms."""
    await suite.configure("acme")
    receiver = {"type": "webhook", "url": f"http://127.0.0.1:{hook.port}/reports"}
    document = {"kind": "Receiver", "tenant": "acme", "name": "billing", "spec": receiver}
    await put_document(engine.log, document_from_json(document), actor="test", clock=SystemClock())
    suite.start()
    start_ms = int(time.time()) // 3600 * HOUR_MS - HOUR_MS
    ts = start_ms + 10_000
    await suite.write("acme", [requests(GOOD, ts, start_ms, 99), requests(BAD, ts, start_ms, 1)], ts + 500)

    await eventually(lambda: _measured(suite), seconds=WAIT_S)
    return start_ms


async def kill_while_making(
    suite: Suite, hook: Hook, engine: NatsEngine, start_ms: int
) -> tuple[dict[str, list[ReportRecord]], set[str], int]:
    """Kill the service while reports wait to be made, with the webhook in flight.

    What was issued by then, the names of those that were not, and the number of kills: one that came when all
    were made, because this process got no turn, proves nothing and is tried again, with other ranges.
    """
    for kills in range(1, _TRIES + 1):
        await eventually(partial(_in_flight, hook, kills), seconds=WAIT_S)
        enough = len(await issued(engine)) + 1
        asking = asyncio.create_task(ask_for_many(suite, start_ms, first=(kills - 1) * MANY))
        await eventually(partial(_some, engine, enough), seconds=WAIT_S)
        suite.kill()
        await asking
        before = await issued(engine)
        waiting = {
            one.report
            for one in await records(engine)
            if isinstance(one, ReportRecord) and one.report not in before
        }
        if waiting:
            return before, waiting, kills
        suite.start()
        await eventually(lambda: _measured(suite), seconds=WAIT_S)
    raise AssertionError(f"{_TRIES} kills came too late to hit a report that was being made")


async def test_a_kill_while_reports_are_made_and_delivered_loses_and_repeats_nothing(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail, hook = MailServer(), SlowHook()
    engine = await connect_nats(suite.nats.url, clock=SystemClock())
    await engine.ensure_streams()
    async with listening(mail), listening(hook):
        monkeypatch.setenv("THREENINES_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("THREENINES_SMTP_PORT", str(mail.port))
        monkeypatch.setenv("THREENINES_SMTP_TLS", "none")
        monkeypatch.setenv("THREENINES_SMTP_FROM", "sla@threenines.example")
        start_ms = await prepared(suite, hook, engine)

        told = await ask_for_delivery(engine, start_ms)
        before, waiting, kills = await kill_while_making(suite, hook, engine, start_ms)

        hook.answering.set()
        suite.start()
        everything = {*before, *waiting}
        after = await eventually(lambda: _all(engine, everything), seconds=WAIT_S)
        await eventually(lambda: _delivered(engine, 2), seconds=WAIT_S)

    assert {name: len(found) for name, found in after.items()} == dict.fromkeys(everything, 1)
    for name, (record,) in before.items():
        assert after[name] == [record], "an issued report has changed"
    assert all(
        one.facts.content_sha256 == content_sha256(one.content) for (one,) in after.values() if one.facts
    )
    _check_delivery(told, mail, hook, await attempts(engine), kills=kills)
    await _check_answers(suite, after)
    await engine.close()


def _check_delivery(
    told: ReportRecord, mail: MailServer, hook: Hook, found: list[DeliveryRecord], *, kills: int
) -> None:
    """The mail had been taken: once. The webhook was in flight at each kill: again after it, the same message
    under the same id."""
    assert [(one.report, one.recipient, one.attempt, one.outcome) for one in found] == [
        (told.report, "email:sla@acme.example", 1, Outcome.DELIVERED),
        (told.report, "webhook:billing", 1, Outcome.DELIVERED),
    ]
    assert len(mail.messages) == 1
    assert len(hook.requests) == kills + 1
    (first, body), *repeats = hook.requests
    assert first["webhook-id"] == first["idempotency-key"]
    assert all((again["webhook-id"], same) == (first["webhook-id"], body) for again, same in repeats)


async def _check_answers(suite: Suite, after: dict[str, list[ReportRecord]]) -> None:
    issued_now = {sla_pb2.SLA_REPORT_STATE_ISSUED}
    async with suite.channel() as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)
        request = sla_service_pb2.ListSlaReportsRequest(parent="tenants/acme", page_size=1000)

        async def listed() -> dict[str, str] | None:
            # The log is ahead of the store, from which this is answered.
            answer = await stub.ListSlaReports(request, metadata=bearer(suite.tokens["acme"].text))
            found = {one.name.rsplit("/", 1)[-1]: one.content_sha256 for one in answer.sla_reports}
            return found if {one.state for one in answer.sla_reports} == issued_now else None

        found = await eventually(listed, seconds=WAIT_S)
    assert found == {name: record.facts.content_sha256 for name, (record,) in after.items() if record.facts}


async def _measured(suite: Suite) -> bool | None:
    async with suite.channel() as channel:
        answer = await sla_service_pb2_grpc.SlaServiceStub(channel).GetSlaStatus(
            sla_service_pb2.GetSlaStatusRequest(), metadata=bearer(suite.tokens["acme"].text)
        )
    return answer.objectives[0].uptime.total_count == 100 or None


async def _in_flight(hook: Hook, times: int) -> bool | None:
    return len(hook.requests) == times or None


async def _some(engine: NatsEngine, least: int) -> bool | None:
    return len(await issued(engine)) >= least or None


async def _all(engine: NatsEngine, names: set[str]) -> dict[str, list[ReportRecord]] | None:
    found = await issued(engine)
    return found if names <= {*found} else None


async def _delivered(engine: NatsEngine, many: int) -> bool | None:
    return sum(one.outcome is Outcome.DELIVERED for one in await attempts(engine)) == many or None
