"""Counts of points by tenant, as `receive` sees them; they survive restarts through the KV store.

One process of a region owns the key: what it counts, and what its workers tell it that they counted
(`worker_reports.py`), is added to what was kept before. A kill -9 loses at most the counts since the
last `keep`, a quarter of a second; the counts of what is stored are exact, because the writer keeps
those with its position.
"""

import json
from collections.abc import Mapping

from services.collector.model import PointCounts, Tally
from services.common.log_port import KeyValue
from services.common.streams import POSITIONS
from services.common.telemetry import Counters


class Tallies:
    """Received, rejected and acknowledged points by tenant."""

    def __init__(self, counters: Counters, *, since_ns: int) -> None:
        self._counters = counters
        self._tenants: dict[str, Tally] = {}
        self.since_ns = since_ns

    def of(self, tenant: str) -> Tally:
        """The tally of one tenant, to read."""
        return self._tenants.get(tenant) or Tally()

    def tenants(self) -> list[str]:
        """Tenants that sent anything, sorted."""
        return sorted(self._tenants)

    def received(self, tenant: str, points: int) -> None:
        """Count points that arrived."""
        self._own(tenant).points.received += points
        self._counters.add("collector.points.received", points, tenant=tenant)

    def rejected(self, tenant: str, reasons: Mapping[str, int]) -> None:
        """Count points refused, by reason."""
        self._own(tenant).reject(reasons)
        for reason, count in reasons.items():
            self._counters.add("collector.points.rejected", count, tenant=tenant, reason=reason)

    def failed(self, tenant: str, points: int, reason: str) -> None:
        """Count points of a request that failed as a whole, whatever of it the log has."""
        self._counters.add("collector.points.failed", points, tenant=tenant, reason=reason)

    def acknowledged(self, tenant: str, points: int, append_ns: int) -> None:
        """Count points that the log has; `append_ns` is about when, Unix nanoseconds."""
        tally = self._own(tenant)
        tally.points.acknowledged += points
        tally.last_append_ns = max(append_ns, tally.last_append_ns or 0)
        self._counters.add("collector.points.acknowledged", points, tenant=tenant)

    def _own(self, tenant: str) -> Tally:
        return self._tenants.setdefault(tenant, Tally())

    def to_json(self) -> bytes:
        """All counts."""
        tenants = {
            name: [
                tally.points.received,
                tally.points.rejected,
                tally.points.acknowledged,
                tally.last_append_ns,
                tally.rejections,
            ]
            for name, tally in self._tenants.items()
        }
        return json.dumps({"version": 1, "since_ns": self.since_ns, "tenants": tenants}).encode()

    def add_json(self, data: bytes) -> None:
        """Add counts kept earlier."""
        kept = json.loads(data)
        self.since_ns = min(self.since_ns, kept["since_ns"])
        for name, (received, rejected, acknowledged, append_ns, rejections) in kept["tenants"].items():
            points = PointCounts(received=received, rejected=rejected, acknowledged=acknowledged)
            self.add(name, Tally(points, rejections, append_ns))

    def add(self, tenant: str, counted: Tally) -> None:
        """Add what was counted elsewhere: by an earlier process, or by another one of this collector."""
        tally = self._own(tenant)
        tally.points = tally.points.plus(counted.points)
        tally.last_append_ns = max(counted.last_append_ns or 0, tally.last_append_ns or 0) or None
        for reason, count in counted.rejections.items():
            tally.rejections[reason] = tally.rejections.get(reason, 0) + count


class TallyKeeper:
    """Loads the tallies once and keeps them under `received.<region>`."""

    def __init__(self, kv: KeyValue, tallies: Tallies, *, region: str) -> None:
        self._kv = kv
        self._tallies = tallies
        self._key = f"received.{region}"
        self._loaded = False
        self._kept = b""

    async def keep(self) -> None:
        """Write what changed; the first call adds what an earlier process kept.

        Raises:
            Unavailable: the KV store does not answer; nothing is lost, call again.
        """
        if not self._loaded:
            entry = await self._kv.get(POSITIONS, self._key)
            if entry is not None:
                self._tallies.add_json(entry.value)
            self._loaded = True
        data = self._tallies.to_json()
        if data != self._kept:
            await self._kv.put(POSITIONS, self._key, data)
            self._kept = data
