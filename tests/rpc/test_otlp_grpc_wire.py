"""What no gRPC client library sends, as raw frames: encodings that the server does not have; and a crowd."""

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
import pytest_asyncio
import zstandard

from tests.collector_process import EXPORT_METHOD
from tests.rpc.otlp_doors import Doors, open_doors

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_FRAME_BYTES = 16_384

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors() -> AsyncIterator[Doors]:
    """One receiver for the module."""
    async with open_doors() as opened:
        yield opened


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def literal(name: str, value: str) -> bytes:
    """A header field without indexing (RFC 7541 6.2.2); up to 126 bytes each."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def call_frames(token: str, encoding: str, body: bytes) -> bytes:
    """A call of Export whose message is marked as compressed."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": EXPORT_METHOD,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-encoding": encoding,
        "authorization": f"Bearer {token}",
    }
    headers = b"".join(literal(name, value) for name, value in fields.items())
    message = b"\x01" + len(body).to_bytes(4, "big") + body
    parts = [message[start : start + _FRAME_BYTES] for start in range(0, len(message), _FRAME_BYTES)]
    data = [frame(_DATA, 0, 1, part) for part in parts] + [frame(_DATA, _END_STREAM, 1, b"")]
    head = frame(_SETTINGS, 0, 0, b"") + frame(_HEADERS, _END_HEADERS, 1, headers)
    return _PREFACE + head + b"".join(data)


async def status_of(doors: Doors, encoding: str, body: bytes) -> int:
    """The number of the status with which such a call ends."""
    host, _, port = doors.grpc_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(call_frames(doors.tokens["writer"], encoding, body))
    answer = b""
    async with asyncio.timeout(10):
        while not (found := re.search(rb"grpc-status[\x01\x02](\d+)", answer)):
            data = await reader.read(65536)
            assert data, answer
            answer += data
    writer.close()
    return int(found[1])


@pytest.mark.parametrize("encoding", ["zstd", "snappy", "identity"])
async def test_an_encoding_that_grpc_does_not_have_is_refused_for_good(doors: Doors, encoding: str) -> None:
    """gRPC's core answers before any code of ours runs: INTERNAL (13), which clients do not retry."""
    assert await status_of(doors, encoding, zstandard.compress(b"")) == grpc.StatusCode.INTERNAL.value[0]
    assert (await doors.send("grpc", b"")).code == "OK", "others are not disturbed"


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_bomb_is_cut_off_at_the_limit(
    doors: Doors, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(bytes(40 << 20))
    assert len(body) < 60_000

    assert await status_of(doors, encoding, body) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert await status_of(doors, encoding, compress(b"")) == 0


async def test_thousands_of_calls_at_once_all_hear_an_answer_of_ours(doors: Doors) -> None:
    """They wait unseen; gRPC's core would drop some from the thousandth on, as CANCELLED without a delay."""
    answers = await asyncio.gather(*(doors.send("grpc", b"") for _ in range(3000)))

    refused = [answer for answer in answers if answer.code != "OK"]
    assert {answer.code for answer in refused} <= {"UNAVAILABLE"}
    assert all(answer.reason.startswith("RECEIVER_") and answer.retry_s for answer in refused)
