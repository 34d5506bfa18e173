"""What only OTLP/HTTP has: paths, methods, types, encodings, connections, and clients that misbehave."""

import asyncio
import contextlib
import gzip
import json
import random
import time
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
import zstandard
from google.protobuf import json_format
from google.rpc import status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.otlp_http_protocol import HttpLimits
from tests.otlp_json_writer import otlp_json
from tests.otlp_requests import RequestMaker
from tests.rpc.otlp_doors import (
    COMPRESS,
    JSON,
    MAX_REQUEST_BYTES,
    MEMORY_BYTES,
    PROTOBUF,
    Doors,
    open_doors,
    read_http,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors() -> AsyncIterator[Doors]:
    """One receiver for the module."""
    async with open_doors() as opened:
        yield opened


def raw_request(seed: int, metrics: int = 3) -> bytes:
    """The bytes of a request that is accepted."""
    request = RequestMaker(seed, now_ns=time.time_ns()).request(metrics)
    return request.SerializeToString(deterministic=True)


def head_of(doors: Doors, *lines: str, method: str = "POST", path: str = "/v1/metrics") -> bytes:
    """The head of a raw request with a good token."""
    token = f"Authorization: Bearer {doors.tokens['writer']}"
    fields = (f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Type: {PROTOBUF}", token, *lines)
    return "\r\n".join((*fields, "", "")).encode()


@contextlib.asynccontextmanager
async def connection(doors: Doors) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain connection to the HTTP door."""
    reader, writer = await asyncio.open_connection("127.0.0.1", doors.server.port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def until(reached: Callable[[], bool]) -> None:
    """Return when something holds."""
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
async def test_another_method_is_405_and_says_which_is_allowed(doors: Doors, method: str) -> None:
    response = await doors.http.request(method, doors.url, headers={"content-type": PROTOBUF})

    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"] == PROTOBUF


@pytest.mark.parametrize(
    "path", ["/", "/v1/traces", "/v1/logs", "/v1/metrics/", "/V1/METRICS", "/v1/metrics/x", "/%00"]
)
async def test_another_path_is_404(doors: Doors, path: str) -> None:
    response = await doors.http.post(
        doors.url.removesuffix("/v1/metrics") + path, content=b"", headers={"content-type": JSON}
    )

    assert (response.status_code, read_http(response).reason) == (404, "PATH_UNKNOWN")


async def test_a_query_does_not_change_the_path(doors: Doors) -> None:
    headers = {"content-type": PROTOBUF, "authorization": f"Bearer {doors.tokens['writer']}"}

    assert (await doors.http.post(doors.url + "?a=b", content=b"", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "media",
    [None, "", "text/plain", "application/grpc", "application/octet-stream", "json", "multipart/form-data"],
)
async def test_another_type_is_415_in_json(doors: Doors, media: str | None) -> None:
    answer = await doors.post(b"", media, doors.tokens["writer"])

    assert (answer.http, answer.reason) == (415, "CONTENT_TYPE_UNSUPPORTED")
    assert answer.headers["content-type"] == JSON


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;x"]
)
async def test_parameters_and_case_of_the_type_do_not_matter(doors: Doors, media: str) -> None:
    answer = await doors.post(b"{}", media, doors.tokens["writer"])

    assert (answer.http, answer.headers["content-type"]) == (200, JSON)


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
async def test_an_error_has_the_encoding_of_its_request(doors: Doors, media: str) -> None:
    headers = {"content-type": media, "authorization": f"Bearer {doors.tokens['writer']}"}
    response = await doors.http.post(doors.url, content=b"junk", headers=headers)

    assert (response.status_code, response.headers["content-type"]) == (400, media)
    status = status_pb2.Status()
    if media == PROTOBUF:
        status.ParseFromString(response.content)
    else:
        assert json.loads(response.content)["code"] == 3
        json_format.Parse(response.content, status)
    assert {detail.type_url.rpartition(".")[2] for detail in status.details} == {
        "ErrorInfo",
        "BadRequest",
        "LocalizedMessage",
    }


async def test_partial_success_over_json_is_otlps_json(doors: Doors) -> None:
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [{"asInt": 1}]}}]}]}]}
    headers = {"content-type": JSON, "authorization": f"Bearer {doors.tokens['writer']}"}

    response = await doors.http.post(doors.url, json=body, headers=headers)

    assert response.status_code == 200
    (partial,) = response.json().values()
    assert list(response.json()) == ["partialSuccess"]
    assert partial["rejectedDataPoints"] == "1"
    assert "POINT_TIME_MISSING" in partial["errorMessage"]
    assert (await doors.http.post(doors.url, content=b"{}", headers=headers)).json() == {}


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress", "identity, gzip", "snappy", "*"])
async def test_another_encoding_is_415_and_says_which_are_taken(doors: Doors, encoding: str) -> None:
    answer = await doors.post(b"", PROTOBUF, doors.tokens["writer"], content_encoding=encoding)

    assert (answer.http, answer.reason) == (415, "CONTENT_ENCODING_UNSUPPORTED")
    assert answer.headers["accept-encoding"] == "gzip, deflate, zstd"


@pytest.mark.parametrize("encoding", ["GZIP", "x-gzip"])
async def test_gzip_has_more_than_one_spelling(doors: Doors, encoding: str) -> None:
    answer = await doors.post(
        gzip.compress(raw_request(1)), PROTOBUF, doors.tokens["writer"], content_encoding=encoding
    )

    assert answer.http == 200


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
@pytest.mark.parametrize("encoding", list(COMPRESS))
async def test_damaged_compression_is_400(doors: Doors, media: str, encoding: str) -> None:
    raw = raw_request(2) if media == PROTOBUF else b'{"resourceMetrics": []}' + b" " * 100
    good = COMPRESS[encoding](raw)
    for body in (good[:-1], good[: len(good) // 2], good + b"more", b"junk", b"", good[:5]):
        answer = await doors.post(body, media, doors.tokens["writer"], content_encoding=encoding)
        assert (answer.http, answer.reason) == (400, "BODY_DAMAGED"), body[:20]


async def test_a_bomb_is_cut_off_at_the_limit(doors: Doors) -> None:
    """64 MiB in a few kilobytes: refused, with next to nothing of it ever in memory."""
    for encoding, compress in COMPRESS.items():
        body = compress(bytes(64 << 20))
        assert len(body) < MAX_REQUEST_BYTES // 10
        for media in (PROTOBUF, JSON):
            answer = await doors.post(body, media, doors.tokens["writer"], content_encoding=encoding)
            assert (answer.http, answer.reason) == (413, "REQUEST_TOO_LARGE"), encoding
    assert doors.admission.held_bytes == 0


async def test_many_bombs_at_once_stay_within_the_memory_for_requests(doors: Doors) -> None:
    """Each may grow to the limit of one request; together they may not pass the budget."""
    body = zstandard.compress(raw_request(3) + bytes(MAX_REQUEST_BYTES))
    answers = await asyncio.gather(
        *(doors.post(body, PROTOBUF, doors.tokens["writer"], content_encoding="zstd") for _ in range(30))
    )

    assert {answer.http for answer in answers} <= {413, 503}
    assert doors.admission.held_bytes == doors.admission.requests == 0


async def test_a_request_is_refused_for_its_length_before_it_is_read(doors: Doors) -> None:
    async with connection(doors) as (reader, writer):
        writer.write(head_of(doors, f"Content-Length: {MAX_REQUEST_BYTES + 1}", "Expect: 100-continue"))
        status, headers, _ = await read_answer(reader)

        assert (status, headers["connection"]) == (413, "close")
        assert await reader.read() == b"", "and the connection ends, since no body will come"


@pytest.mark.parametrize("spare", [0, 99])
async def test_without_memory_a_request_is_refused_before_it_is_read(doors: Doors, spare: int) -> None:
    with doors.admission.enter("test", MEMORY_BYTES - spare, arriving=True):
        async with connection(doors) as (reader, writer):
            writer.write(head_of(doors, "Content-Length: 100", "Expect: 100-continue"))
            status, headers, _ = await read_answer(reader)

    assert status == 503
    assert headers["retry-after"] in ("1", "2", "3"), "1.0 to 3.0 s, rounded up"


async def test_who_may_not_send_is_refused_before_the_body_is_read(doors: Doors) -> None:
    async with connection(doors) as (reader, writer):
        head = head_of(doors, "Content-Length: 100", "Expect: 100-continue")
        writer.write(head.replace(b"Bearer ", b"Bearer x"))

        assert (await read_answer(reader))[0] == 401


async def test_a_client_that_waits_is_told_to_go_on(doors: Doors) -> None:
    raw = raw_request(4)
    async with connection(doors) as (reader, writer):
        writer.write(head_of(doors, f"Content-Length: {len(raw)}", "Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(raw)

        assert (await read_answer(reader))[0] == 200


async def test_a_connection_is_kept_whatever_the_answers(doors: Doors) -> None:
    async with connection(doors) as (reader, writer):
        for body, expected in ((b"", 200), (b"junk", 400), (bytes(MAX_REQUEST_BYTES + 1), 413), (b"", 200)):
            writer.write(head_of(doors, f"Content-Length: {len(body)}") + body)
            await writer.drain()
            assert (await read_answer(reader))[0] == expected


async def test_requests_that_come_in_one_go_are_answered_in_order(doors: Doors) -> None:
    async with connection(doors) as (reader, writer):
        bodies = [raw_request(5), b"junk", raw_request(6)]
        writer.write(b"".join(head_of(doors, f"Content-Length: {len(body)}") + body for body in bodies))

        assert [(await read_answer(reader))[0] for _ in bodies] == [200, 400, 200]


async def test_the_end_of_a_large_body_is_not_taken_for_a_head(doors: Doors) -> None:
    body = raw_request(8, 6000)
    assert len(body) > 1 << 17, "its last piece is larger than a head may be"
    async with connection(doors) as (reader, writer):
        for _ in range(2):
            writer.write(head_of(doors, f"Content-Length: {len(body)}"))
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(body)
            assert (await read_answer(reader))[0] == 200


async def test_a_body_may_come_in_chunks_and_is_cut_off_at_the_limit(doors: Doors) -> None:
    async def parts(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    token = doors.tokens["writer"]
    assert (await doors.post(parts(raw_request(7, 300)), PROTOBUF, token)).http == 200
    assert (await doors.post(parts(bytes(MAX_REQUEST_BYTES + 1)), PROTOBUF, token)).http == 413
    assert doors.admission.held_bytes == 0


async def test_a_client_that_hangs_up_leaves_nothing_behind(doors: Doors) -> None:
    before = len(await doors.logged())
    async with connection(doors) as (_, writer):
        writer.write(head_of(doors, "Content-Length: 1000") + b"x" * 10)
        await writer.drain()
        await until(lambda: doors.admission.requests == 1)
    await until(lambda: doors.admission.requests == 0)

    assert doors.admission.held_bytes == 0
    assert len(await doors.logged()) == before


async def test_a_body_that_takes_too_long_is_a_504_that_may_be_sent_again() -> None:
    async with open_doors(body_timeout_s=0.2) as doors, connection(doors) as (reader, writer):
        writer.write(head_of(doors, "Content-Length: 1000") + b"x" * 10)
        status, headers, _ = await read_answer(reader)

        assert (status, headers["retry-after"], headers["connection"]) == (504, "1", "close")
        assert await reader.read() == b""


@pytest.mark.parametrize("start", [b"", b"POST /v1/met", b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_never_ends_ends_the_connection(start: bytes) -> None:
    async with (
        open_doors(limits=HttpLimits(request_timeout_s=0.2)) as doors,
        connection(doors) as (reader, writer),
    ):
        writer.write(start)

        assert await reader.read() == b""


async def test_a_body_that_dribbles_after_its_refusal_ends_the_connection() -> None:
    async with (
        open_doors(limits=HttpLimits(request_timeout_s=0.3)) as doors,
        connection(doors) as (reader, writer),
    ):
        writer.write(head_of(doors, "Content-Length: 1000", path="/nowhere"))
        assert (await read_answer(reader))[0] == 404
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                writer.write(b"x")
                await asyncio.sleep(0.02)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        assert writer.transport.is_closing()


async def test_an_idle_connection_is_kept_for_its_time() -> None:
    async with open_doors(limits=HttpLimits(keep_alive_s=1)) as doors, connection(doors) as (reader, writer):
        started = time.monotonic()
        writer.write(head_of(doors, "Content-Length: 0"))
        assert (await read_answer(reader))[0] == 200

        assert await reader.read() == b""
        assert 0.8 < time.monotonic() - started < 5


async def test_more_connections_than_allowed_are_closed_at_once() -> None:
    async with (
        open_doors(limits=HttpLimits(max_connections=1)) as doors,
        connection(doors) as (first, writer),
    ):
        async with connection(doors) as (second, _):
            assert await second.read() == b""
        writer.write(head_of(doors, "Content-Length: 0"))

        assert (await read_answer(first))[0] == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"junk\r\n\r\n",
        b"POST\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nLarge: " + b"x" * 70_000 + b"\r\n\r\n",
        b"POST /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nEndless: " + b"x" * 300_000,
        b"POST http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_400_or_less(doors: Doors, raw: bytes) -> None:
    async with connection(doors) as (reader, writer):
        writer.write(raw)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
            assert answer == b"" or 400 <= int(answer.split(b" ", 2)[1]) < 500, answer


@pytest.mark.parametrize("cut", [0, 1, 100])
async def test_an_offer_of_another_protocol_is_not_taken_up(doors: Doors, cut: int) -> None:
    """As Java's HTTP client sends by itself: each request is served as it stands, and those behind it."""
    raw = raw_request(8)
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")
    async with connection(doors) as (reader, writer):
        head = head_of(doors, f"Content-Length: {len(raw)}", *offer)
        writer.write(head + raw[:cut])
        await asyncio.sleep(0.05)
        writer.write(raw[cut:] + head_of(doors, *offer) + head + raw)

        assert [(await read_answer(reader))[0] for _ in range(3)] == [200, 200, 200]
    assert (await doors.logged())[-1] == raw


async def test_such_an_offer_with_a_body_in_chunks_is_refused_and_never_taken_as_empty(doors: Doors) -> None:
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")
    async with connection(doors) as (reader, writer):
        writer.write(head_of(doors, "Transfer-Encoding: chunked", *offer) + b"4\r\njunk\r\n0\r\n\r\n")

        assert (await read_answer(reader))[0] == 400
        assert await reader.read() == b""


async def test_nothing_that_a_client_sends_is_a_500(doors: Doors) -> None:
    rng = random.Random(7)
    seeds = [raw_request(9), otlp_json(ExportMetricsServiceRequest.FromString(raw_request(9)))]
    seen: set[int] = set()
    for _ in range(400):
        body = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(0, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        sent = bytes(body[: rng.randint(0, len(body))] if rng.random() < 0.3 else body)
        encoding = rng.choice([None, *COMPRESS])
        if encoding is not None and rng.random() < 0.7:
            sent = COMPRESS[encoding](sent)
        headers: dict[str, Any] = {} if encoding is None else {"content_encoding": encoding}
        answer = await doors.post(sent, rng.choice([PROTOBUF, JSON]), doors.tokens["writer"], **headers)
        seen.add(answer.http)

    assert seen == {200, 400}


async def test_requests_under_way_end_before_the_server_does() -> None:
    raw = raw_request(10)
    async with open_doors() as doors, connection(doors) as (reader, writer):
        writer.write(head_of(doors, f"Content-Length: {len(raw)}") + raw[:10])
        await until(lambda: doors.admission.requests == 1)
        stopping = asyncio.create_task(doors.stop_http())
        await asyncio.sleep(0.3)
        with pytest.raises(httpx.ConnectError):
            await doors.http.post(doors.url, content=b"")
        writer.write(raw[10:])
        status, headers, _ = await read_answer(reader)

        assert (status, headers["connection"]) == (200, "close")
        await stopping
        assert await doors.logged() == [raw]


async def test_a_request_that_outlasts_the_drain_is_told_to_come_back() -> None:
    async with open_doors(drain_s=1) as doors, connection(doors) as (reader, writer):
        writer.write(head_of(doors, "Content-Length: 1000") + b"x")
        await until(lambda: doors.admission.requests == 1)
        stopping = asyncio.create_task(doors.stop_http())
        status, headers, _ = await read_answer(reader)

        assert (status, headers["retry-after"]) == (503, "1")
        await stopping


async def test_deflate_without_its_wrapping_is_taken_too(doors: Doors) -> None:
    compressor = zlib.compressobj(wbits=-15)
    body = compressor.compress(raw_request(11)) + compressor.flush()

    assert (await doors.post(body, PROTOBUF, doors.tokens["writer"], content_encoding="deflate")).http == 200
