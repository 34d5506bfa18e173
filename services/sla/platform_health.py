"""The use case behind GetPlatformHealth: every part of threenines beside what it usually is.

The figures are our own metrics, which the services send to their own collector as tenant `threenines`; where
nothing reports them, components say that they are not known instead of that they are well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.common.auth import Role, require_platform
from services.common.clock import Clock
from services.common.errors import ThreeninesError, Unavailable
from services.sla.model import NS_PER_MS
from services.sla.platform_health_model import (
    Component,
    Indicator,
    Measure,
    PlatformHealth,
    component_of,
    judged,
)

STEP_MS = 300_000
_WEEK_MS = 7 * 86_400_000
_SILENT_MS = 180_000
_PROBE_S = 2.0
_FAILED_CODES = frozenset({"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"})
_SERVICES = ("alerting", "collector", "dr", "sla")
_PER_MILLION = 1_000_000
_MINUTES = STEP_MS // 60_000


@dataclass(frozen=True, slots=True)
class Durations:
    """What one step added for one service and label: how many, and how long together in seconds."""

    service: str
    label: str
    step: int
    number: int
    seconds: float


Steps = Mapping[int, int]


class OwnMetrics(Protocol):
    """Our own metrics as they are stored, in steps of STEP_MS. Steps are numbered from the epoch."""

    async def durations(self, metric: str, label: str, *, low_ms: int, high_ms: int) -> list[Durations]:
        """What a histogram of seconds grew by, by an attribute. Raises Unavailable."""
        ...

    async def counts(self, metric: str, *, low_ms: int, high_ms: int) -> Steps:
        """What a counter grew by."""
        ...

    async def levels(self, metric: str, *, low_ms: int, high_ms: int) -> Steps:
        """The highest value of a gauge, in thousandths."""
        ...

    async def reported(self, *, low_ms: int) -> Mapping[str, int]:
        """When each service reported last, ms, by `service.name`; those that did not since are not there."""
        ...


class HealthOfPlatform:
    """Answers GetPlatformHealth for the caller of the current RPC.

    Args:
        probes: by component, what raises while it does not answer.
    """

    def __init__(
        self,
        *,
        metrics: OwnMetrics,
        probes: Mapping[str, Callable[[], Awaitable[object]]],
        clock: Clock,
        region: str,
    ) -> None:
        self._metrics = metrics
        self._probes = probes
        self._clock = clock
        self._region = region

    async def read(self) -> PlatformHealth:
        """All components. Raises PermissionDenied: not an ADMIN or OPERATOR of the platform."""
        require_platform(Role.OPERATOR)
        found_out = await asyncio.gather(*map(_failure, self._probes.values()))
        failures = dict(zip(self._probes, found_out, strict=True))
        try:
            found = await self._measured(failures)
        except Unavailable as err:
            # Without the store of metrics only the probes can tell.
            failures["clickhouse"] = failures.get("clickhouse") or err.message
            found = [self._part(name, failures.get(name, ""), (), known=name in failures) for name in _NAMES]
        return PlatformHealth(tuple(sorted(found, key=lambda one: one.name)), self._region)

    async def _measured(self, failures: Mapping[str, str]) -> list[Component]:
        now_ms = self._clock.now_ns() // NS_PER_MS
        high = now_ms // STEP_MS * STEP_MS
        low = high - _WEEK_MS
        last = high // STEP_MS - 1
        metrics = self._metrics
        calls = await metrics.durations("common.rpc.duration", "code", low_ms=low, high_ms=high)
        statements = await metrics.durations("common.clickhouse.duration", "kind", low_ms=low, high_ms=high)
        points = await metrics.counts("collector.points.acknowledged", low_ms=low, high_ms=high)
        received = await metrics.counts("collector.points.received", low_ms=low, high_ms=high)
        failed = await metrics.counts("collector.points.failed", low_ms=low, high_ms=high)
        age = await metrics.levels("collector.watermark.age", low_ms=low, high_ms=high)
        seen = await metrics.reported(low_ms=now_ms - 86_400_000)
        of_service = {name: _of_calls(name, calls, last) for name in _SERVICES}
        of_service["collector"] += [
            _indicator("points.acknowledged", Measure.THROUGHPUT, _per_minute(points), last, zero=True),
            _indicator("points.failed", Measure.ERROR_RATE, _shares(failed, received), last),
            _indicator("watermark.age", Measure.LAG, age, last),
        ]
        found = [
            self._part(
                name,
                failures.get(name, "") or _silence(name, seen, now_ms),
                of_service[name],
                known=f"threenines-{name}" in seen,
            )
            for name in _SERVICES
        ]
        found.append(
            self._part("clickhouse", failures.get("clickhouse", ""), _of_statements(statements, last))
        )
        others = failures.keys() - {one.name for one in found}
        return found + [self._part(name, failures[name], ()) for name in others]

    def _part(
        self, name: str, down: str, indicators: Iterable[Indicator], *, known: bool = True
    ) -> Component:
        return component_of(
            name, down=down, probed_ns=self._clock.now_ns(), indicators=tuple(indicators), known=known
        )


_NAMES = (*_SERVICES, "clickhouse", "log")


async def _failure(probe: Callable[[], Awaitable[object]]) -> str:
    """Why a component does not answer; empty when it does."""
    try:
        async with asyncio.timeout(_PROBE_S):
            await probe()
    except TimeoutError:
        return f"no answer within {_PROBE_S:g} s"
    except ThreeninesError as err:
        return err.message
    return ""


def _silence(name: str, seen: Mapping[str, int], now_ms: int) -> str:
    last = seen.get(f"threenines-{name}")
    if last is None or now_ms - last <= _SILENT_MS:
        return ""
    return f"has not reported for {(now_ms - last) // 1000} s"


def _of_calls(service: str, calls: list[Durations], last: int) -> list[Indicator]:
    mine = [one for one in calls if one.service == f"threenines-{service}"]
    if not mine:
        return []
    number = _sums(mine)
    bad = _sums([one for one in mine if one.label in _FAILED_CODES])
    return [
        _indicator("rpc.duration", Measure.RESPONSE_TIME, _means(mine), last),
        _indicator("rpc.errors", Measure.ERROR_RATE, _shares(bad, number), last),
        _indicator("rpc.calls", Measure.THROUGHPUT, _per_minute(number), last),
    ]


def _of_statements(statements: list[Durations], last: int) -> list[Indicator]:
    kinds = sorted({one.label for one in statements} & {"read", "insert"})
    return [
        _indicator(
            f"{kind}.duration",
            Measure.DATABASE_TIME,
            _means([one for one in statements if one.label == kind]),
            last,
        )
        for kind in kinds
    ]


def _indicator(name: str, measure: Measure, steps: Steps, last: int, *, zero: bool = False) -> Indicator:
    """The last complete step beside those before. zero: a step without a count is a count of nothing."""
    current = steps.get(last, 0 if zero and steps else None)
    return judged(name, measure, current, [value for step, value in steps.items() if step < last])


def _sums(found: list[Durations]) -> dict[int, int]:
    out: dict[int, int] = {}
    for one in found:
        out[one.step] = out.get(one.step, 0) + one.number
    return out


def _means(found: list[Durations]) -> dict[int, int]:
    """Microseconds, of steps in which anything happened."""
    number, micros = _sums(found), dict[int, float]()
    for one in found:
        micros[one.step] = micros.get(one.step, 0.0) + one.seconds * 1e6
    return {step: int(micros[step]) // count for step, count in number.items() if count > 0}


def _shares(part: Steps, whole: Steps) -> dict[int, int]:
    """Parts per million, of steps in which anything happened."""
    return {
        step: min(part.get(step, 0), count) * _PER_MILLION // count
        for step, count in whole.items()
        if count > 0
    }


def _per_minute(counts: Steps) -> dict[int, int]:
    return {step: count // _MINUTES for step, count in counts.items()}
