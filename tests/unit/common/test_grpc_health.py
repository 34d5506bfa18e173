"""Health is what the dependencies answer, remembered no longer than the TTL."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.auth import Authenticator, TokenTable
from services.common.clock import ManualClock, SystemClock
from services.common.grpc_details import read_details
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.settings import ServerConfig

SLA = "threenines.sla.v1.SlaService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Dependency:
    """A probe that can be broken, and counts how often it was asked."""

    def __init__(self):
        self.broken = False
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        if self.broken:
            raise ConnectionError("refused")


async def test_without_probes_nothing_serves():
    assert not await HealthRegistry(ManualClock()).serving("")


async def test_an_answer_is_believed_for_the_ttl_and_no_longer():
    clock, log = ManualClock(), Dependency()
    health = HealthRegistry(clock, ttl_s=2.0)
    health.add_probe("log", log)

    assert await health.serving("")
    log.broken = True
    clock.advance(1.9)
    assert await health.serving("")
    clock.advance(0.2)
    assert not await health.serving("")
    log.broken = False
    clock.advance(2.1)
    assert await health.serving("")
    assert log.asked == 3


async def test_a_service_needs_only_its_own_dependencies():
    log, store = Dependency(), Dependency()
    health = HealthRegistry(ManualClock())
    health.add_probe("log", log)
    health.add_probe("clickhouse", store, required_for={SLA})
    store.broken = True

    assert await health.serving("")
    assert not await health.serving(SLA)
    assert await health.failures() == {"clickhouse": "ConnectionError: refused"}


async def test_a_probe_that_hangs_or_says_no_has_failed():
    async def hang():
        await asyncio.Event().wait()

    async def refuse():
        return False

    health = HealthRegistry(ManualClock(), timeout_s=0.05)
    health.add_probe("hanging", hang, required_for=())
    health.add_probe("refusing", refuse, required_for=())

    assert await health.failures() == {"hanging": "no answer within 0.05 s", "refusing": "not ready"}


async def test_callers_at_the_same_moment_share_one_question():
    log = Dependency()
    health = HealthRegistry(ManualClock())
    health.add_probe("log", log)
    await asyncio.gather(*(health.serving("") for _ in range(50)))

    assert log.asked == 1


async def test_a_draining_process_serves_nothing():
    health = HealthRegistry(ManualClock())
    health.add_probe("log", Dependency())
    health.drain()

    assert not await health.serving("")


@pytest.fixture
async def served():
    """A real server whose one dependency can be broken; health looks every 50 ms."""
    log = Dependency()
    health = HealthRegistry(SystemClock(), ttl_s=0.05)
    health.add_probe("log", log)
    server = build_server(
        config=ServerConfig("127.0.0.1:0"),
        authenticator=Authenticator("none", TokenTable()),
        health=health,
        service_names=[SLA],
    )
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{bound_port(server)}") as channel:
        yield health_pb2_grpc.HealthStub(channel), log
    await server.stop(0)


@pytest.mark.parametrize("name", ["", SLA])
async def test_check_answers_for_the_process_and_for_each_service(served, name):
    stub, log = served

    assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
    log.broken = True
    await asyncio.sleep(0.06)
    assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == NOT_SERVING


async def test_check_does_not_know_other_services(served):
    stub, _ = served

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="threenines.dr.v1.BackupService"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert read_details(caught.value).reason == "SERVICE_UNKNOWN"


async def test_watch_tells_each_change_once(served):
    stub, log = served
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=SLA))

    seen = [(await watch.read()).status]
    log.broken = True
    seen.append((await watch.read()).status)
    log.broken = False
    seen.append((await watch.read()).status)
    watch.cancel()

    assert seen == [SERVING, NOT_SERVING, SERVING]
