"""Which slicer slices which tenant: shards, how many the system has, and how many of them one process takes.

A tenant's shard is a hash of its name modulo the number of shards, so every process agrees without asking.
The number belongs to the system and is recorded: with two numbers at a time, two slicers of different shards
would publish for one tenant and no fence would be between them. It changes by starting every process with
the new one: processes of the new number wait until none of the old one is left, fence all old subjects, and
go on from the earliest place that any old shard had reached. What was published already is found in the
store and not published again.
"""

import json
import logging
import uuid
from dataclasses import dataclass
from typing import Any

from services.common.clock import Clock
from services.common.errors import Aborted, AlreadyExists
from services.common.lease import FencedWriter, Lease
from services.common.log_port import KeyValue, Log
from services.common.shards import shard_of
from services.common.streams import LEASES, POSITIONS, SLICES

_logger = logging.getLogger(__name__)

_LAYOUT = "slicer.layout"
_VERSION = 1
MEMBER = "slicer-member."


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `number` of `shards`; numbers begin at 0."""

    number: int
    shards: int

    @property
    def lease(self) -> str:
        """Its lease, and its key in the bucket of positions."""
        return f"slicer.{self.number}"

    @property
    def subject(self) -> str:
        """Where its slices are published."""
        return f"slices.{self.number}"

    def owns(self, tenant: str) -> bool:
        """Whether it slices the tenant."""
        return shard_of(tenant, self.shards) == self.number


def member_key(shards: int, holder: str) -> str:
    """The lease by which a process says that it is there, with the number of shards that it knows."""
    digest = uuid.uuid5(uuid.NAMESPACE_OID, holder).hex
    return f"{MEMBER}{shards}.{digest}"


def lease_for(kv: KeyValue, clock: Clock, *, name: str, holder: str, ttl_s: int) -> Lease:
    """A lease that another process gets `ttl_s` after its holder died."""
    return Lease(kv, clock, name=name, holder=holder, ttl_s=ttl_s, renew_s=ttl_s * 0.3, margin_s=ttl_s * 0.2)


class ShardLayout:
    """The recorded number of shards, as a process that was configured with `shards` sees it."""

    def __init__(self, log: Log, kv: KeyValue, *, shards: int) -> None:
        self._log = log
        self._kv = kv
        self._shards = shards

    async def settle(self) -> None:
        """Make the recorded number ours if nobody works with another one.

        Raises:
            Aborted: SHARDS_DIFFER; processes with the recorded number are still there.
            Unavailable: the log is away.
        """
        entry = await self._kv.get(POSITIONS, _LAYOUT)
        if entry is None:
            await self._record(None, {"shards": self._shards, "start": 0, "region": "", "fence": 0})
            return
        layout = json.loads(entry.value)
        if layout["shards"] != self._shards:
            others = await self._kv.keys(LEASES, f"{MEMBER}{layout['shards']}.")
            if others:
                raise self._differ(layout["shards"])
            region, start = await self._earliest(layout["shards"])
            _logger.warning(
                "slices are divided into %d shards from now on, %d before", self._shards, layout["shards"]
            )
            fence = max(int(layout["fence"]), int(layout["shards"]))
            layout = {"shards": self._shards, "start": start, "region": region, "fence": fence}
            await self._record(entry.revision, layout)
        if layout["fence"]:
            await self._fence(layout)

    async def check(self) -> None:
        """Raises Aborted (SHARDS_DIFFER) unless the recorded number is ours, and nothing is to be fenced."""
        entry = await self._kv.get(POSITIONS, _LAYOUT)
        layout = {"shards": 0, "fence": 0} if entry is None else json.loads(entry.value)
        if layout["shards"] != self._shards or layout["fence"]:
            raise self._differ(layout["shards"])

    async def start(self, region: str) -> int:
        """Where in APPLIED a shard without a place of its own begins, in that region."""
        entry = await self._kv.get(POSITIONS, _LAYOUT)
        layout: dict[str, Any] = {} if entry is None else json.loads(entry.value)
        return int(layout["start"]) if layout.get("region") == region else 0

    async def _earliest(self, shards: int) -> tuple[str, int]:
        """The region of the old shards and the earliest of their places; ("", 0) when they do not agree."""
        regions, places = set(), []
        for number in range(shards):
            entry = await self._kv.get(POSITIONS, Shard(number, shards).lease)
            place: dict[str, Any] = {"region": "", "seq": 0}
            if entry is not None:
                place = json.loads(entry.value)
            regions.add(str(place["region"]))
            places.append(int(place["seq"]))
        return (regions.pop(), min(places)) if len(regions) == 1 else ("", 0)

    async def _fence(self, layout: dict[str, Any]) -> None:
        """Stop every writer of the old number, and forget the old places; then the new ones may begin."""
        entry = await self._kv.get(POSITIONS, _LAYOUT)
        if entry is None or not json.loads(entry.value)["fence"]:
            return
        for number in range(max(layout["fence"], self._shards)):
            shard = Shard(number, self._shards)
            await FencedWriter(self._log, SLICES, shard.subject).open(_epoch())
            await self._kv.delete(POSITIONS, shard.lease)
        await self._record(entry.revision, {**layout, "fence": 0})

    async def _record(self, revision: int | None, layout: dict[str, Any]) -> None:
        data = json.dumps({"version": _VERSION, **layout}).encode()
        try:
            if revision is None:
                await self._kv.create(POSITIONS, _LAYOUT, data)
            else:
                await self._kv.update(POSITIONS, _LAYOUT, data, revision=revision)
        except (AlreadyExists, Aborted) as err:
            raise Aborted("another process records the shards", reason="SHARDS_MOVING") from err

    def _differ(self, recorded: int) -> Aborted:
        return Aborted(
            f"this process is configured with {self._shards} shards, the system works with {recorded}",
            reason="SHARDS_DIFFER",
            next_step="Start every process of the service with the same THREENINES_SLA_SHARDS.",
        )


def _epoch() -> bytes:
    return json.dumps({"version": 1, "type": "epoch", "token": 0}).encode()
