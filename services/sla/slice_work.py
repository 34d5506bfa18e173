"""What is still to be sliced of one objective besides what comes in, as a record that outlives the process.

Two kinds of work: the back-fill of a new objective, from now back to the oldest raw data, and repairs, which
are ranges to compute again. Both are done in bounded pieces between live batches. The record also says under
which terms the published slices were computed, so that a change made while nobody was slicing is seen.
No I/O but the store at the end.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from services.common.log_port import KeyValue
from services.common.streams import POSITIONS
from services.sla.slice_hours import hour_of
from services.sla.slice_range import Range
from services.sla.slice_terms import Footing

PROBE_MS = 6 * 3_600_000
"""How much time one look for older data covers."""

_VERSION = 1
_PREFIX = "sliced."


@dataclass(frozen=True, slots=True)
class Work:
    """One objective's record. Times are Unix milliseconds.

    until_ms: slices that start before it were filled in afterwards from raw data; 0: none were.
    reach_ms: as far back as there can be data.
    probed_ms: before this nobody has looked for data yet; at or below `reach_ms` everybody has.
    found_ms: data is known to begin at or before it; None before any was found.
    filled_ms: the filling has come down to here; None: it begins where the live slices do.
    repairs: ranges to compute again.
    footing: terms and maintenance that the published slices were computed with; None: not looked at yet.
    left_out: why series that report now are in no slice, for people.
    """

    until_ms: int = 0
    reach_ms: int = 0
    probed_ms: int = 0
    found_ms: int | None = None
    filled_ms: int | None = None
    repairs: tuple[Range, ...] = ()
    footing: Footing | None = None
    left_out: tuple[str, ...] = ()

    @property
    def filling(self) -> bool:
        """Whether the past is not all there yet."""
        return self.probed_ms > self.reach_ms or self.to_fill is not None

    @property
    def to_fill(self) -> Range | None:
        """The next hour to fill in, the latest first; None when nothing that was found is missing."""
        if self.found_ms is None or self.filled_ms is None or self.found_ms >= self.filled_ms:
            return None
        return Range(max(self.found_ms, hour_of(self.filled_ms - 1)), self.filled_ms)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return self.filling or bool(self.repairs)

    @property
    def remaining_ms(self) -> int:
        """Time that is still to be looked at or computed."""
        ranges = sum(one.high_ms - one.low_ms for one in self.repairs)
        fill = self.to_fill
        lowest = min(self.found_ms or self.probed_ms, self.probed_ms)
        unfilled = 0 if fill is None else fill.high_ms - lowest
        return ranges + unfilled + max(0, lowest - self.reach_ms if self.probed_ms > self.reach_ms else 0)

    @property
    def to_probe(self) -> Range:
        """Where to look for older data next; down to a whole hour, so that no slice is divided."""
        return Range(max(self.reach_ms, hour_of(self.probed_ms - PROBE_MS)), self.probed_ms)

    def probed(self, low_ms: int, first_ms: int | None) -> "Work":
        """Somebody looked down to `low_ms`; first_ms: where data begins there, None without any."""
        found = self.found_ms
        if first_ms is not None:
            found = max(first_ms, low_ms) if found is None else min(found, max(first_ms, low_ms))
        return replace(self, probed_ms=low_ms, found_ms=found)

    def looking(self, low_ms: int, high_ms: int, *, live_ms: int) -> "Work":
        """There may be data that nobody found in [low, high); what begins at `live_ms` is there already."""
        filled = live_ms if self.filled_ms is None else self.filled_ms
        return replace(
            self,
            reach_ms=min(self.reach_ms, low_ms) if self.filling else low_ms,
            probed_ms=max(self.probed_ms, min(high_ms, filled)),
            filled_ms=filled,
        )

    def with_repair(self, *ranges: Range) -> "Work":
        """More to compute again."""
        return replace(self, repairs=_joined([*self.repairs, *ranges]))

    def next_repair(self) -> Range:
        """The latest hour of the latest range."""
        last = self.repairs[-1]
        return Range(max(last.low_ms, hour_of(last.high_ms - 1)), last.high_ms)

    def without_repair(self, done: Range) -> "Work":
        """`next_repair` was computed."""
        last = self.repairs[-1]
        rest = (Range(last.low_ms, done.low_ms),) if done.low_ms > last.low_ms else ()
        return replace(self, repairs=(*self.repairs[:-1], *rest))


def _joined(ranges: Sequence[Range]) -> tuple[Range, ...]:
    out: list[Range] = []
    for one in sorted(ranges, key=lambda r: (r.low_ms, r.high_ms)):
        if one.low_ms >= one.high_ms:
            one = Range(one.low_ms, one.low_ms + 1)
        if out and one.low_ms <= out[-1].high_ms:
            out[-1] = Range(out[-1].low_ms, max(out[-1].high_ms, one.high_ms))
        else:
            out.append(one)
    return tuple(out)


class WorkStore(Protocol):
    """Keeps the records."""

    async def load(self, tenant: str, objective: str) -> Work | None:
        """The record of an objective; None before it has one."""
        ...

    async def save(self, tenant: str, objective: str, work: Work) -> None:
        """Replace it."""
        ...


class MemoryWorkStore:
    """`WorkStore` in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], bytes] = {}

    async def load(self, tenant: str, objective: str) -> Work | None:
        """See `WorkStore.load`."""
        found = self.held.get((tenant, objective))
        return None if found is None else work_from_json(found)

    async def save(self, tenant: str, objective: str, work: Work) -> None:
        """See `WorkStore.save`."""
        self.held[tenant, objective] = work_to_json(work)


class KvWorkStore:
    """`WorkStore` in the bucket of positions. Written by the holder of the tenant's shard only."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv

    async def load(self, tenant: str, objective: str) -> Work | None:
        """See `WorkStore.load`."""
        entry = await self._kv.get(POSITIONS, work_key(tenant, objective))
        return None if entry is None else work_from_json(entry.value)

    async def save(self, tenant: str, objective: str, work: Work) -> None:
        """See `WorkStore.save`."""
        await self._kv.put(POSITIONS, work_key(tenant, objective), work_to_json(work))


def work_key(tenant: str, objective: str) -> str:
    """Where the record of an objective is in the bucket of positions."""
    return f"{_PREFIX}{tenant}.{objective}"


def work_to_json(work: Work) -> bytes:
    """The record as it is kept."""
    record = {
        "version": _VERSION,
        "until_ms": work.until_ms,
        "reach_ms": work.reach_ms,
        "probed_ms": work.probed_ms,
        "found_ms": work.found_ms,
        "filled_ms": work.filled_ms,
        "repairs": [[one.low_ms, one.high_ms] for one in work.repairs],
        "footing": None if work.footing is None else _footing_to_dict(work.footing),
        "left_out": list(work.left_out),
    }
    return json.dumps(record, separators=(",", ":")).encode()


def work_from_json(data: bytes) -> Work:
    """Inverse of `work_to_json`.

    Raises:
        ValueError: written by a release that this one does not know.
    """
    record: dict[str, Any] = json.loads(data)
    if record.get("version") != _VERSION:
        raise ValueError(f"record of version {record.get('version')!r}; this release knows {_VERSION}")
    return Work(
        until_ms=int(record["until_ms"]),
        reach_ms=int(record["reach_ms"]),
        probed_ms=int(record["probed_ms"]),
        found_ms=_optional(record["found_ms"]),
        filled_ms=_optional(record["filled_ms"]),
        repairs=tuple(Range(int(low), int(high)) for low, high in record["repairs"]),
        footing=None if record["footing"] is None else _footing_from_dict(record["footing"]),
        left_out=tuple(str(one) for one in record.get("left_out", ())),
    )


def _optional(value: Any) -> int | None:
    return None if value is None else int(value)


def _footing_to_dict(footing: Footing) -> dict[str, Any]:
    return {
        "terms": [list(one) for one in footing.terms],
        "excluded": [list(one) for one in footing.excluded],
        "low_ms": footing.low_ms,
        "high_ms": footing.high_ms,
    }


def _footing_from_dict(record: dict[str, Any]) -> Footing:
    return Footing(
        terms=tuple((int(a), _optional(b), str(digest)) for a, b, digest in record["terms"]),
        excluded=tuple((int(low), int(high)) for low, high in record["excluded"]),
        low_ms=int(record["low_ms"]),
        high_ms=int(record["high_ms"]),
    )
