"""gRPC health that asks the dependencies instead of claiming to be well.

Each probe runs when somebody asks and its last answer is older than the TTL. A service name is
SERVING only while every probe that it requires succeeds; without any probe it is NOT_SERVING,
since health must never be a constant. The probes themselves belong to the adapters.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.clock import Clock
from services.common.errors import NotFound

_log = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class _Probe:
    name: str
    check: Probe
    required_for: frozenset[str] | None
    lock: asyncio.Lock
    checked_ns: int | None = None
    failure: str | None = None


class HealthRegistry:
    """What this process depends on, and which of its services need what.

    Args:
        clock: judges the age of an answer.
        ttl_s: seconds for which an answer is believed.
        timeout_s: seconds after which a silent probe counts as failed.
    """

    def __init__(self, clock: Clock, ttl_s: float = 2.0, *, timeout_s: float = 1.5) -> None:
        self.clock = clock
        self.ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._probes: list[_Probe] = []
        self._services: frozenset[str] = frozenset({""})
        self._draining = False
        self._on_drain: list[Callable[[], None]] = []

    def add_probe(self, name: str, check: Probe, *, required_for: Iterable[str] | None = None) -> None:
        """Add a dependency: `check` raises, or returns False, while it is unusable.

        `required_for` holds full service names and "" for the process as a whole; None means all
        of them; an empty set means that the probe only shows up in `failures()`.
        """
        names = None if required_for is None else frozenset(required_for)
        self._probes.append(_Probe(name, check, names, asyncio.Lock()))

    def add_services(self, names: Iterable[str]) -> None:
        """Make these full service names known; `build_server` does it."""
        self._services |= frozenset(names)

    def drain(self) -> None:
        """From now on everything is NOT_SERVING: the process is about to stop."""
        self._draining = True
        for tell in self._on_drain:
            tell()

    def on_drain(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the process is about to stop, so that streams can end before they are cut off."""
        self._on_drain.append(tell)

    def knows(self, service: str) -> bool:
        """Whether it is a service of this process ("" always is)."""
        return service in self._services

    async def serving(self, service: str = "") -> bool:
        """Whether every dependency of that service answered lately."""
        required = [p for p in self._probes if p.required_for is None or service in p.required_for]
        if self._draining or not required:
            return False
        await asyncio.gather(*(self._refresh(probe) for probe in required))
        return all(probe.failure is None for probe in required)

    async def failures(self) -> dict[str, str]:
        """The dependencies that fail now, by name, each with one line that says how."""
        await asyncio.gather(*(self._refresh(probe) for probe in self._probes))
        return {probe.name: probe.failure for probe in self._probes if probe.failure is not None}

    async def _refresh(self, probe: _Probe) -> None:
        async with probe.lock:  # callers at the same moment share one question
            now_ns = self.clock.monotonic_ns()
            if probe.checked_ns is not None and now_ns - probe.checked_ns < self.ttl_s * 1e9:
                return
            failure = await self._ask(probe)
            if (failure is None) != (probe.failure is None) or probe.checked_ns is None:
                _log.info("dependency %s: %s", probe.name, failure or "usable")
            probe.failure = failure
            probe.checked_ns = self.clock.monotonic_ns()

    async def _ask(self, probe: _Probe) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await probe.check()
        except TimeoutError:
            return f"no answer within {self._timeout_s:g} s"
        except Exception as err:  # a probe fails in as many ways as its driver knows
            return f"{type(err).__name__}: {err}"[:200]
        return "not ready" if answer is False else None


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # grpcio-health has no types
    """The standard health service over a HealthRegistry."""

    def __init__(self, registry: HealthRegistry) -> None:
        self._registry = registry

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802, ARG002
        """The status of one service; NOT_FOUND for a name that this process does not serve."""
        if not self._registry.knows(request.service):
            raise NotFound(f"no service {request.service!r} here", reason="SERVICE_UNKNOWN")
        return health_pb2.HealthCheckResponse(status=await self._status(request.service))

    async def Watch(  # noqa: N802
        self,
        request: Any,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status now, and again whenever it changes (looked at once every TTL)."""
        last: int | None = None
        while True:
            status = await self._status(request.service)
            if status != last:
                yield health_pb2.HealthCheckResponse(status=status)
            last = status
            await self._registry.clock.sleep(self._registry.ttl_s)

    async def _status(self, service: str) -> Any:
        if not self._registry.knows(service):
            return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        if await self._registry.serving(service):
            return health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse.NOT_SERVING
