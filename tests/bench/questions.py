"""Questions that benchmarks ask of what they stored, and how long the answers take."""

import time
from collections.abc import Awaitable, Callable
from statistics import median

import grpc

from tests.scenario.collector_stack import CollectorStack
from threenines.collector.v1 import collector_service_pb2, collector_service_pb2_grpc

_ASKED = 9
_BACK_S = 6 * 3600


async def asked_ms(ask: Callable[[], Awaitable[object]]) -> float:
    """Median milliseconds of a question, asked again and again."""
    spent = []
    for _ in range(_ASKED):
        begun = time.perf_counter()
        await ask()
        spent.append(1000 * (time.perf_counter() - begun))
    return median(spent)


async def values_ms(stack: CollectorStack, attribute: str, *, metric: str = "") -> float:
    """What ListAttributeValues takes, of all series of the tenant's last hours or those of one metric."""
    request = collector_service_pb2.ListAttributeValuesRequest(
        parent="tenants/default", attribute=attribute, metric=metric
    )
    request.start_time.FromSeconds(int(time.time()) - _BACK_S)
    async with grpc.aio.insecure_channel(stack.collector.admin_address) as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        assert (await stub.ListAttributeValues(request, timeout=60)).values
        return await asked_ms(lambda: stub.ListAttributeValues(request, timeout=60))
