"""The two ways in, as a client that reads every word of a refusal: gRPC and HTTP/1.1 with keep-alive."""

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
_CHANNELS = 4
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client learns: `delay_s` is 0 where a refusal named none."""

    accepted: bool
    code: str = ""
    reason: str = ""
    delay_s: float = 0.0


class Door(Protocol):
    """A client."""

    async def export(self, raw: bytes) -> Answer:
        """Send one request."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class GrpcDoor:
    """OTLP/gRPC over a few connections."""

    def __init__(self, address: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(address, options) for _ in range(_CHANNELS)]
        self._calls = itertools.cycle([channel.unary_unary(_EXPORT) for channel in self._channels])

    async def export(self, raw: bytes) -> Answer:
        """See `Door.export`."""
        try:
            answer = await next(self._calls)(raw, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as err:
            status = status_pb2.Status()
            for key, value in err.trailing_metadata():
                if key == "grpc-status-details-bin":
                    status.ParseFromString(value)
            return _refused(err.code().name, status)
        return Answer(True) if not answer else Answer(False, "OK", "PARTIAL_SUCCESS")

    async def close(self) -> None:
        """See `Door.close`."""
        for channel in self._channels:
            await channel.close()


class HttpDoor:
    """OTLP/HTTP over as many connections as there are requests under way, each kept."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def export(self, raw: bytes) -> Answer:
        """See `Door.export`."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._export(raw)
        except TimeoutError:
            return Answer(False, "HTTP", "TIMEOUT")
        except (OSError, asyncio.IncompleteReadError):
            return Answer(False, "HTTP", "CONNECTION_LOST")

    async def _export(self, raw: bytes) -> Answer:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        head = (
            f"POST /v1/metrics HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/x-protobuf\r\n"
            f"Content-Length: {len(raw)}\r\n\r\n"
        )
        kept = False
        try:
            writer.write(head.encode())
            writer.write(raw)
            status, headers = _parsed(await reader.readuntil(b"\r\n\r\n"))
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            kept = headers.get("connection") != "close"
        finally:
            if kept:
                self._idle.append((reader, writer))
            else:
                writer.close()
        if status == 200:
            return Answer(True) if not body else Answer(False, "200", "PARTIAL_SUCCESS")
        try:
            refused = _refused(f"HTTP {status}", status_pb2.Status.FromString(body))
        except DecodeError:
            return Answer(False, f"HTTP {status}", body[:60].decode(errors="replace"))
        return Answer(False, refused.code, refused.reason, float(headers.get("retry-after", "0")))

    async def close(self) -> None:
        """See `Door.close`."""
        for _, writer in self._idle:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _parsed(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    fields = (line.split(":", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, value in fields}


def _refused(code: str, status: status_pb2.Status) -> Answer:
    reason, delay_s = "", 0.0
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            delay_s = retry.retry_delay.ToNanoseconds() / 1e9
    return Answer(False, code, reason, delay_s)


DOORS = {"grpc": GrpcDoor, "http": HttpDoor}
