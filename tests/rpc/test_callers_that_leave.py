"""A caller that hangs up is no error of ours: handlers end, and nothing is logged as failed."""

import asyncio
import logging

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int32Value

from services.common.auth import Authenticator, TokenTable
from services.common.clock import SystemClock
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.settings import ServerConfig

NAME = "threenines.test.v1.Endless"


class EndlessService:
    """Streams for ever, or answers after a while; remembers that it was told to end."""

    def __init__(self):
        self.ended = asyncio.Event()

    async def stream(self, _request, _context):
        try:
            while True:
                yield Int32Value(value=1)
                await asyncio.sleep(0.001)
        finally:
            self.ended.set()

    async def answer(self, request, _context):
        try:
            await asyncio.sleep(30)
            return request
        finally:
            self.ended.set()

    def handlers(self):
        codec = {
            "request_deserializer": Int32Value.FromString,
            "response_serializer": Int32Value.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(
            NAME,
            {
                "Stream": grpc.unary_stream_rpc_method_handler(self.stream, **codec),
                "Answer": grpc.unary_unary_rpc_method_handler(self.answer, **codec),
            },
        )


@pytest.fixture
async def endless():
    service = EndlessService()
    server = build_server(
        config=ServerConfig("127.0.0.1:0"),
        authenticator=Authenticator("none", TokenTable()),
        health=HealthRegistry(SystemClock()),
        service_names=[NAME],
    )
    server.add_generic_rpc_handlers((service.handlers(),))
    await server.start()
    yield service, f"127.0.0.1:{bound_port(server)}"
    await server.stop(0)


def complaints(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_stream_that_its_reader_cancels_ends(endless, caplog):
    service, address = endless
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_stream(f"/{NAME}/Stream")(b"")
        await call.read()
        call.cancel()
        await asyncio.wait_for(service.ended.wait(), 5)

    assert complaints(caplog) == []


async def test_a_stream_whose_connection_breaks_ends(endless, caplog):
    service, address = endless
    channel = grpc.aio.insecure_channel(address)
    call = channel.unary_stream(f"/{NAME}/Stream")(b"")
    await call.read()
    await channel.close()
    await asyncio.wait_for(service.ended.wait(), 5)

    assert complaints(caplog) == []


async def test_a_call_ends_when_its_deadline_does(endless, caplog):
    service, address = endless
    async with grpc.aio.insecure_channel(address) as channel:
        # The deadline is for the handler: connecting may take longer on a busy machine.
        await asyncio.wait_for(channel.channel_ready(), 20)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{NAME}/Answer")(b"", timeout=1.0)
        await asyncio.wait_for(service.ended.wait(), 20)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert complaints(caplog) == []
