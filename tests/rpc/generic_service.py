"""A tiny service with all four kinds of calls, whose behaviour each test chooses.

Messages are Int32Value, so that a request can also be undecodable. Not a test file: the tests of
the error and authentication interceptors share it.
"""

import contextlib
from collections.abc import AsyncIterator, Callable

import grpc
from google.protobuf.wrappers_pb2 import Int32Value

from services.common.auth import Authenticator, TokenTable
from services.common.clock import SystemClock
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.settings import ServerConfig

NAME = "threenines.test.v1.Probe"
KINDS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")


class ProbeService:
    """Answers n + 1 per message; calls `act` first, and streams call it after one answer."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    async def unary_unary(self, request, _context):
        self._act()
        return Int32Value(value=request.value + 1)

    async def unary_stream(self, request, _context):
        yield Int32Value(value=request.value + 1)
        self._act()
        yield Int32Value(value=request.value + 2)

    async def stream_unary(self, requests, _context):
        total = 0
        async for request in requests:
            total += request.value
        self._act()
        return Int32Value(value=total + 1)

    async def stream_stream(self, requests, context):
        # Writes to the context instead of yielding: both styles are allowed.
        async for request in requests:
            await context.write(Int32Value(value=request.value + 1))
            self._act()

    def handlers(self) -> grpc.GenericRpcHandler:
        codec = {
            "request_deserializer": Int32Value.FromString,
            "response_serializer": Int32Value.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(
            NAME,
            {
                "UnaryUnary": grpc.unary_unary_rpc_method_handler(self.unary_unary, **codec),
                "UnaryStream": grpc.unary_stream_rpc_method_handler(self.unary_stream, **codec),
                "StreamUnary": grpc.stream_unary_rpc_method_handler(self.stream_unary, **codec),
                "StreamStream": grpc.stream_stream_rpc_method_handler(self.stream_stream, **codec),
            },
        )


class ProbeStub:
    """Calls one of the four kinds with one message (or raw bytes) and collects the answers."""

    def __init__(self, channel: grpc.aio.Channel, metadata=()) -> None:
        self.channel = channel
        self.metadata = metadata
        self.answers: list[int] = []

    async def call(self, kind: str, value: int | bytes = 1, *, metadata=None) -> list[int]:
        """The values answered; those that arrived before an error stay in `answers`."""
        self.answers = []
        codec = {"request_serializer": _serialize, "response_deserializer": Int32Value.FromString}
        path = f"/{NAME}/{kind}"
        sent = {"metadata": self.metadata if metadata is None else metadata, "timeout": 10}
        if kind == "UnaryUnary":
            answer = await self.channel.unary_unary(path, **codec)(value, **sent)
            self.answers = [answer.value]
        elif kind == "StreamUnary":
            answer = await self.channel.stream_unary(path, **codec)(iter([value]), **sent)
            self.answers = [answer.value]
        else:
            multi = self.channel.unary_stream if kind == "UnaryStream" else self.channel.stream_stream
            request = value if kind == "UnaryStream" else iter([value])
            async for answer in multi(path, **codec)(request, **sent):
                self.answers.append(answer.value)
        return self.answers


@contextlib.asynccontextmanager
async def probe_server(
    act: Callable[[], None], *, authenticator: Authenticator | None = None, **more
) -> AsyncIterator[ProbeStub]:
    """A real server on a free port and a stub that is connected to it."""
    server = build_server(
        config=ServerConfig("127.0.0.1:0"),
        authenticator=authenticator or Authenticator("none", TokenTable()),
        health=more.pop("health", None) or HealthRegistry(SystemClock()),
        service_names=[NAME],
        **more,
    )
    server.add_generic_rpc_handlers((ProbeService(act).handlers(),))
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{bound_port(server)}") as channel:
            yield ProbeStub(channel)
    finally:
        await server.stop(0)


def _serialize(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else Int32Value(value=value).SerializeToString()
