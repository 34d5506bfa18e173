"""What no gRPC client library sends: encodings that the server does not have, as raw frames."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import zstandard

from tests.collector_process import EXPORT_METHOD
from tests.rpc.otlp_doors import Doors, open_doors

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4

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
    return (
        _PREFACE
        + frame(_SETTINGS, 0, 0, b"")
        + frame(_HEADERS, _END_HEADERS, 1, headers)
        + frame(_DATA, _END_STREAM, 1, message)
    )


@pytest.mark.parametrize("encoding", ["zstd", "snappy", "identity"])
async def test_an_encoding_that_grpc_does_not_have_is_refused_for_good(doors: Doors, encoding: str) -> None:
    """gRPC's core answers before any code of ours runs: INTERNAL (13), which clients do not retry."""
    port = int(doors.grpc_address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call_frames(doors.tokens["writer"], encoding, zstandard.compress(b"")))
    answer = b""
    async with asyncio.timeout(10):
        while b"grpc-status" not in answer:
            data = await reader.read(65536)
            assert data, answer
            answer += data
    writer.close()

    assert answer.partition(b"grpc-status\x02")[2].startswith(b"13"), answer
    assert (await doors.send("grpc", b"")).code == "OK", "others are not disturbed"
