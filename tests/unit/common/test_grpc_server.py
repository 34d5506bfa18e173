"""The server binds before it serves, drains before it stops, and never shares a port."""

import asyncio
import contextlib
import socket

import grpc
import pytest

from services.common.auth import Authenticator, TokenTable
from services.common.clock import SystemClock
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server, run_until_signal, serve
from services.common.settings import ConfigurationError, PortUse, ServerConfig


def make(listen="127.0.0.1:0", **config):
    return build_server(
        config=ServerConfig(listen, **config),
        authenticator=Authenticator("none", TokenTable()),
        health=HealthRegistry(SystemClock()),
        service_names=[],
    )


def slow_handler(started, finish):
    async def slow(request, _context):
        started.set()
        await finish.wait()
        return request

    handlers = {"Slow": grpc.unary_unary_rpc_method_handler(slow)}
    return grpc.method_handlers_generic_handler("threenines.test.v1.Slow", handlers)


async def test_a_taken_port_is_named():
    first = make()
    try:
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{bound_port(first)}"):
            make(f"127.0.0.1:{bound_port(first)}")
    finally:
        await first.stop(0)


async def test_a_port_that_is_to_be_shared_must_be_free_of_others_that_share_it():
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        listen = f"127.0.0.1:{foreign.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=f"{listen}: Address already in use"):
            make(listen, port_use=PortUse.SHARED)


async def test_a_shared_port_is_joined_by_further_servers_and_taken_for_all_others():
    first = make(port_use=PortUse.SHARED)
    listen = f"127.0.0.1:{bound_port(first)}"
    second = make(listen, port_use=PortUse.JOINED)
    try:
        assert bound_port(second) == bound_port(first)
        for port_use in (PortUse.SHARED, PortUse.ALONE):
            with pytest.raises(ConfigurationError, match=listen):
                make(listen, port_use=port_use)
    finally:
        await asyncio.gather(first.stop(0), second.stop(0))


def test_a_certificate_that_is_gone_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"gone\.pem"):
        make(tls_cert_file=tmp_path / "gone.pem", tls_key_file=tmp_path / "gone.pem")


async def test_a_running_call_ends_before_the_server_does():
    started, finish = asyncio.Event(), asyncio.Event()
    server = make()
    server.add_generic_rpc_handlers((slow_handler(started, finish),))
    health = HealthRegistry(SystemClock())
    running = asyncio.create_task(run_until_signal(server, drain_s=5, health=health))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{bound_port(server)}") as channel:
        call = asyncio.ensure_future(channel.unary_unary("/threenines.test.v1.Slow/Slow")(b"kept"))
        await started.wait()
        running.cancel()
        await asyncio.sleep(0.05)
        assert not running.done()
        finish.set()

        assert await call == b"kept"
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not await health.serving("")


async def test_background_tasks_stop_with_the_server():
    ended = []

    async def tick():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("tick")

    running = asyncio.create_task(
        serve(make(), drain_s=0, health=HealthRegistry(SystemClock()), background={"tick": tick})
    )
    await asyncio.sleep(0.05)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    assert ended == ["tick"]


@pytest.mark.parametrize("error", [None, OSError("disk gone")])
async def test_a_background_task_that_ends_ends_the_process(error):
    async def end():
        if error is not None:
            raise error

    with pytest.raises(ExceptionGroup) as caught:
        await serve(make(), drain_s=0, health=HealthRegistry(SystemClock()), background={"writer": end})

    assert str(error or "writer ended") in str(caught.value.exceptions[0])
