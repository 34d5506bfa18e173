"""The same request, the same answer: OTLP's rules over gRPC, HTTP/protobuf and HTTP/JSON.

One table for what must be equal at all three doors; `test_otlp_http.py` has what only HTTP has.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from services.collector.tallies import Tallies
from services.collector.turns import Turns
from services.common.telemetry import Counters
from tests.otlp_requests import RequestMaker
from tests.rpc.otlp_doors import COMPRESS, MAX_REQUEST_BYTES, MEMORY_BYTES, Doors, open_doors

DOORS = ("grpc", "protobuf", "json")
HTTP_OF = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 413,
    "UNAVAILABLE": 503,
}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("door", DOORS)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors() -> AsyncIterator[Doors]:
    """One receiver for the module."""
    async with open_doors() as opened:
        yield opened


def request_of(seed: int, metrics: int = 3) -> ExportMetricsServiceRequest:
    """A request that is accepted."""
    return RequestMaker(seed, now_ns=time.time_ns()).request(metrics)


def oversized(size: int = MAX_REQUEST_BYTES) -> ExportMetricsServiceRequest:
    """A request of `size` bytes and a little more, of which compression leaves next to nothing."""
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add(schema_url="x" * size)
    return request


async def test_a_full_success_says_nothing_and_the_log_has_the_same_bytes(doors: Doors, door: str) -> None:
    request = request_of(1)

    answer = await doors.send(door, request)

    assert answer.code == "OK"
    assert answer.response == ExportMetricsServiceResponse()
    assert not answer.response.HasField("partial_success")
    assert (await doors.logged())[-1] == request.SerializeToString(deterministic=True)


async def test_an_empty_request_is_a_success(doors: Doors, door: str) -> None:
    request = ExportMetricsServiceRequest()
    assert (await doors.send(door, request)).response == ExportMetricsServiceResponse()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="no.data")
    assert (await doors.send(door, request)).response == ExportMetricsServiceResponse()


@pytest.mark.parametrize("encoding", list(COMPRESS))
async def test_compressed_requests_are_taken(doors: Doors, door: str, encoding: str) -> None:
    """gRPC's core has no zstd, in client and server alike: `test_otlp_grpc_wire.py`."""
    if (door, encoding) == ("grpc", "zstd"):
        encoding = "gzip"
    request = request_of(2, metrics=50)

    answer = await doors.send(door, request, encoding=encoding)

    assert answer.response == ExportMetricsServiceResponse()
    assert (await doors.logged())[-1] == request.SerializeToString(deterministic=True)


async def test_refused_points_are_counted_and_the_others_are_kept(doors: Doors, door: str) -> None:
    request = request_of(3)
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="wrong")
    metric.gauge.data_points.add(time_unix_nano=1, as_int=1)
    metric.gauge.data_points.add(time_unix_nano=time.time_ns())

    answer = await doors.send(door, request)

    assert answer.code == "OK"
    assert answer.response is not None
    assert answer.response.partial_success.rejected_data_points == 2
    assert "POINT_TOO_OLD: 1, POINT_WITHOUT_VALUE: 1" in answer.response.partial_success.error_message
    assert (await doors.logged())[-1] == request.SerializeToString(deterministic=True)


@pytest.mark.parametrize("body", [b"\x0a\x05\x01", b"junk", b"\x0a\x04\x1a\x02\xff\xfe", b"[", b"\xff"])
async def test_bad_data_is_an_invalid_argument_that_says_where(doors: Doors, door: str, body: bytes) -> None:
    answer = await doors.send(door, body)

    assert answer.code == "INVALID_ARGUMENT"
    assert answer.reason == ("OTLP_JSON_UNDECODABLE" if door == "json" else "OTLP_UNDECODABLE")
    (violation,) = answer.detail(error_details_pb2.BadRequest).field_violations
    assert violation.field == ("$" if door == "json" else "body")
    assert answer.retry_s is None
    assert answer.http in (0, 400)


@pytest.mark.parametrize("encoding", [None, *COMPRESS])
async def test_a_request_over_the_limit_is_refused_for_good(
    doors: Doors, door: str, encoding: str | None
) -> None:
    if (door, encoding) == ("grpc", "zstd"):
        encoding = "deflate"

    answer = await doors.send(door, oversized(), encoding=encoding)

    assert answer.code == "RESOURCE_EXHAUSTED"
    assert answer.retry_s is None, "a retry could not help"
    assert "retry-after" not in answer.headers
    assert answer.http in (0, 413)
    assert doors.admission.held_bytes == 0


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        (None, "UNAUTHENTICATED", "TOKEN_MISSING"),
        ("junk", "UNAUTHENTICATED", "TOKEN_UNKNOWN"),
        ("revoked", "UNAUTHENTICATED", "TOKEN_REVOKED"),
        ("reader", "PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
        ("platform", "PERMISSION_DENIED", "TENANT_REQUIRED"),
    ],
)
async def test_who_may_not_send_is_told_why(
    doors: Doors, door: str, token: str | None, code: str, reason: str
) -> None:
    before = len(await doors.logged())
    answer = await doors.send(door, request_of(4), token=token)

    assert (answer.code, answer.reason, answer.retry_s) == (code, reason, None)
    assert answer.http in (0, HTTP_OF[code])
    assert ("www-authenticate" in answer.headers) == (answer.http == 401)
    assert len(await doors.logged()) == before


@pytest.mark.parametrize("stored", [False, True])
async def test_without_the_log_the_answer_is_to_come_back(doors: Doors, door: str, stored: bool) -> None:
    doors.log.fail_next_appends(1, stored=stored)

    answer = await doors.send(door, request_of(5))

    assert (answer.code, answer.reason) == ("UNAVAILABLE", "LOG_UNAVAILABLE")
    assert answer.retry_s is not None
    assert answer.retry_s > 0
    if answer.http:
        assert answer.http == 503
        assert int(answer.headers["retry-after"]) >= answer.retry_s
    assert (await doors.send(door, request_of(5))).code == "OK"


async def test_a_full_log_names_its_own_delay(doors: Doors, door: str) -> None:
    doors.log.set_full(True)
    try:
        answer = await doors.send(door, request_of(6))
    finally:
        doors.log.set_full(False)

    assert (answer.code, answer.reason, answer.retry_s) == ("UNAVAILABLE", "LOG_FULL", 5.0)
    assert answer.headers.get("retry-after", "5") == "5"


async def test_beyond_the_memory_for_requests_clients_are_asked_to_come_back(doors: Doors, door: str) -> None:
    transport = "grpc" if door == "grpc" else "http"
    name = "collector.requests.refused"
    refused = doors.counters.value(name, transport=transport, reason="RECEIVER_MEMORY_FULL")
    request = request_of(7)
    for spare in (0, 10):
        with doors.admission.enter("test", MEMORY_BYTES - spare, arriving=True):
            answer = await doors.send(door, request)
        assert (answer.code, answer.reason) == ("UNAVAILABLE", "RECEIVER_MEMORY_FULL")
        assert answer.retry_s is not None
        assert 1.0 <= answer.retry_s <= 3.0
        if answer.http:
            # Whole seconds, rounded up.
            assert answer.headers["retry-after"] == str(math.ceil(answer.retry_s))

    assert doors.counters.value(name, transport=transport, reason="RECEIVER_MEMORY_FULL") == refused + 2
    assert doors.admission.held_bytes == doors.admission.requests == 0
    assert (await doors.send(door, request)).code == "OK"


async def test_calls_that_find_no_memory_are_all_told_when_to_come_back(doors: Doors, door: str) -> None:
    raw = bytes(MAX_REQUEST_BYTES - 1)  # far more than gRPC lets a client send before it is read
    with doors.admission.enter("test", MEMORY_BYTES, arriving=True):
        answers = await asyncio.gather(*(doors.send(door, raw) for _ in range(40)))
    assert {(answer.code, answer.reason) for answer in answers} == {("UNAVAILABLE", "RECEIVER_MEMORY_FULL")}
    assert all(1.0 <= (answer.retry_s or 0) <= 3.0 for answer in answers)


async def test_work_on_a_request_waits_for_its_turn(doors: Doors, door: str) -> None:
    """So that the loop hears of the next requests while there is much to do."""
    asked, turn = asyncio.Event(), asyncio.Event()

    class Held(Turns):
        async def take(self, size: int) -> None:
            asked.set()
            await turn.wait()

    free, doors.admission._turns = doors.admission._turns, Held()
    try:
        before = len(await doors.logged())
        sending = asyncio.create_task(doors.send(door, request_of(10)))
        await asyncio.wait_for(asked.wait(), 60)
        await asyncio.sleep(0.05)
        assert (len(await doors.logged()), sending.done()) == (before, False)
        turn.set()
        assert (await sending).code == "OK"
    finally:
        doors.admission._turns = free


async def test_what_a_document_becomes_takes_memory_too(doors: Doors, door: str) -> None:
    request, size = oversized(100_000), 100_000
    room = 2 * size if door == "json" else size
    for spare, code in ((room + 2000, "OK"), (room - 2000, "UNAVAILABLE")):
        with doors.admission.enter("test", MEMORY_BYTES - spare, arriving=True):
            assert (await doors.send(door, request)).code == code
    assert doors.admission.held_bytes == 0


async def test_beyond_the_requests_at_once_clients_are_asked_to_come_back(door: str) -> None:
    async with open_doors(max_requests=2) as doors:
        with doors.admission.enter("test"), doors.admission.enter("test"):
            answer = await doors.send(door, request_of(8))
        assert (answer.code, answer.reason) == ("UNAVAILABLE", "RECEIVER_BUSY")
        assert 1.0 <= (answer.retry_s or 0) <= 3.0
        assert (await doors.send(door, request_of(8))).code == "OK"


async def test_a_hundred_calls_at_once_all_succeed(doors: Doors, door: str) -> None:
    requests = [request_of(100 + n) for n in range(100)]
    before = len(await doors.logged())
    pending = asyncio.Semaphore(50)

    async def send(request: ExportMetricsServiceRequest) -> str:
        async with pending:
            return (await doors.send(door, request)).code

    assert set(await asyncio.gather(*map(send, requests))) == {"OK"}
    sent = sorted(request.SerializeToString(deterministic=True) for request in requests)
    assert sorted((await doors.logged())[before:]) == sent


class BrokenTallies(Tallies):
    """Counts that fail as nothing should: a defect of ours."""

    def received(self, tenant: str, points: int) -> None:
        """Fail."""
        raise ZeroDivisionError("a defect")


async def test_after_a_defect_of_ours_the_sender_keeps_its_data(door: str) -> None:
    async with open_doors(tallies=BrokenTallies(Counters(), since_ns=0)) as doors:
        answer = await doors.send(door, request_of(9))

    assert (answer.code, answer.reason, answer.retry_s) == ("UNAVAILABLE", "INTERNAL", 5.0)
    assert (answer.http, answer.headers.get("retry-after")) in ((0, None), (503, "5"))
    assert "ZeroDivision" not in str(answer.status)
