"""Status: counts that reconcile at any moment, for those who may see them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.collector.model import StatusReport
from services.collector.status import StatusReporter
from services.collector.tallies import Tallies
from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.errors import PermissionDenied
from services.common.telemetry import Counters
from tests.otlp_requests import rows_of
from tests.unit.collector.test_write import until_written, writing
from tests.unit.collector.writer_bench import WriterBench

_PLATFORM = Principal("*", Role.ADMIN, "root")
_ACME = Principal("acme", Role.READER, "token")


@contextmanager
def calling(principal: Principal) -> Iterator[None]:
    """As if this principal called."""
    token = enter_principal(principal)
    try:
        yield
    finally:
        leave_principal(token)


async def report(bench: WriterBench, tenant: str | None = "-", caller: Principal = _PLATFORM) -> StatusReport:
    """The status of the bench."""
    reporter = StatusReporter(
        log=bench.engine.log,
        kv=bench.engine.kv,
        tallies=Tallies(Counters(), since_ns=0),
        clock=bench.clock,
        probe_store=bench.store.probe,
        region="local",
        limit_bytes=1,
    )
    with calling(caller):
        return await reporter.report(tenant)


async def test_an_empty_log() -> None:
    found = await report(WriterBench())

    assert (found.stream.log_last_seq, found.stream.written_seq, found.stream.lag_ns) == (0, 0, 0)
    assert (found.stream.watermark_ns, found.tenants) == (None, ())


async def test_what_is_not_written_yet_is_counted_from_the_log() -> None:
    bench = WriterBench()
    bench.store.set_down(True)
    sent = await bench.send(3)
    await bench.tick()
    found = await report(bench)

    assert found.tenants[0].points.logged == sum(rows_of("acme", raw).points for raw in sent)
    assert (found.tenants[0].points.written, found.store_reachable) == (0, False)
    assert found.stream.lag_ns > found.tenants[0].lag_ns > 0


async def test_when_all_is_written_nothing_lags() -> None:
    bench = WriterBench()
    (raw,) = await bench.send(1)
    await bench.receiver.export("acme", raw)
    await bench.send(1, tenant="beta")
    async with writing(bench.writer()):
        await until_written(bench)
    found = await report(bench)

    points = rows_of("acme", raw).points
    assert [one.tenant for one in found.tenants] == ["acme", "beta"]
    acme = found.tenants[0].points
    assert (acme.logged, acme.written, acme.duplicate) == (2 * points, points, points)
    assert (found.stream.written_seq, found.stream.lag_ns, found.store_reachable) == (3, 0, True)
    assert found.stream.points is not None
    assert found.stream.points.logged == acme.logged + found.tenants[1].points.logged


async def test_a_tenant_sees_only_itself() -> None:
    bench = WriterBench()
    await bench.send(1)
    await bench.send(1, tenant="beta")

    for asked in (None, "acme"):
        found = await report(bench, asked, _ACME)
        assert ([one.tenant for one in found.tenants], found.stream.points) == (["acme"], None)
    for asked in ("beta", "-"):
        with pytest.raises(PermissionDenied):
            await report(bench, asked, _ACME)


async def test_the_platform_without_a_tenant_sees_the_sums() -> None:
    bench = WriterBench()
    await bench.send(1)

    found = await report(bench, None)
    assert found.tenants == ()
    assert found.stream.points is not None
    assert found.stream.points.logged > 0
