"""How far the log is written into one database, kept by compare-and-set.

The range of a batch is recorded before anything of it is inserted, and only one batch is in
flight. A restored database has another identity and so a position of its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from services.collector.model import PointCounts
from services.common.errors import Aborted, AlreadyExists
from services.common.log_port import KeyValue
from services.common.streams import OTLP, POSITIONS


class BatchState(StrEnum):
    """Whether the recorded range is stored."""

    INFLIGHT = "inflight"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Position:
    """The last recorded range. `log_time_ns` and `counts` are those after the last DONE batch."""

    first: int
    last: int
    attempt: int
    state: BatchState
    incarnation: int
    """The stream's creation time: sequences of another one mean nothing."""
    log_time_ns: int = 0
    counts: Mapping[str, PointCounts] = field(default_factory=dict)
    dead_letters: int = 0
    series_collisions: int = 0

    @property
    def written_seq(self) -> int:
        """Everything up to and including it is stored."""
        return self.last if self.state is BatchState.DONE else self.first - 1

    def begun(self, first: int, last: int) -> "Position":
        """The next batch, on its first attempt."""
        return replace(self, first=first, last=last, attempt=1, state=BatchState.INFLIGHT)

    def again(self) -> "Position":
        """The same batch, on its next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def done(self, log_time_ns: int, counts: Mapping[str, PointCounts]) -> "Position":
        """The batch is stored; `counts` are its own."""
        added = {
            tenant: self.counts.get(tenant, PointCounts()).plus(counts.get(tenant, PointCounts()))
            for tenant in {*self.counts, *counts}
        }
        return replace(self, state=BatchState.DONE, log_time_ns=log_time_ns, counts=added)

    def found(self, *, dead_letters: int, series_collisions: int) -> "Position":
        """With what the batch found besides points added."""
        return replace(
            self,
            dead_letters=self.dead_letters + dead_letters,
            series_collisions=self.series_collisions + series_collisions,
        )

    def to_json(self) -> bytes:
        """As stored."""
        counts = {
            tenant: [one.logged, one.written, one.duplicate, one.dead_lettered]
            for tenant, one in sorted(self.counts.items())
        }
        return json.dumps(
            {
                "version": 1,
                "first": self.first,
                "last": self.last,
                "attempt": self.attempt,
                "state": self.state.value,
                "incarnation": self.incarnation,
                "log_time_ns": self.log_time_ns,
                "counts": counts,
                "dead_letters": self.dead_letters,
                "series_collisions": self.series_collisions,
            }
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Position":
        """As read; a position that a restore wrote may lack log time and counts."""
        kept = json.loads(data)
        return cls(
            first=int(kept["first"]),
            last=int(kept["last"]),
            attempt=int(kept["attempt"]),
            state=BatchState(kept["state"]),
            incarnation=int(kept["incarnation"]),
            log_time_ns=int(kept.get("log_time_ns", 0)),
            counts={
                tenant: PointCounts(logged=logged, written=written, duplicate=duplicate, dead_lettered=dead)
                for tenant, (logged, written, duplicate, dead) in kept.get("counts", {}).items()
            },
            dead_letters=int(kept.get("dead_letters", 0)),
            series_collisions=int(kept.get("series_collisions", 0)),
        )


def position_key(region: str, database: str) -> str:
    """Where the position of a region's database is kept."""
    return f"writer.{region}.{database}.{OTLP}"


class PositionStore:
    """One database's position; `save` fails when somebody else wrote it."""

    def __init__(self, kv: KeyValue, *, region: str, database: str) -> None:
        self._kv = kv
        self._key = position_key(region, database)
        self._revision: int | None = None
        self.database = database

    async def load(self, *, incarnation: int) -> Position:
        """The position; before everything when there is none for this incarnation of the stream.

        Raises:
            Unavailable: the KV store does not answer.
        """
        entry = await self._kv.get(POSITIONS, self._key)
        self._revision = None if entry is None else entry.revision
        start = Position(first=1, last=0, attempt=0, state=BatchState.DONE, incarnation=incarnation)
        if entry is None:
            return start
        kept = Position.from_json(entry.value)
        if kept.incarnation == incarnation:
            return kept
        return replace(
            start,
            counts=kept.counts,
            dead_letters=kept.dead_letters,
            series_collisions=kept.series_collisions,
        )

    async def save(self, position: Position) -> None:
        """Replace the position that was loaded or saved last.

        Raises:
            Aborted: FENCED, another writer was here; load again.
            Unavailable: the outcome is unknown; load again.
        """
        data = position.to_json()
        if self._revision is None:
            self._revision = await self._create(data)
        else:
            self._revision = await self._kv.update(POSITIONS, self._key, data, revision=self._revision)

    async def _create(self, data: bytes) -> int:
        try:
            return await self._kv.create(POSITIONS, self._key, data)
        except AlreadyExists as err:
            raise Aborted("another writer made this position", reason="FENCED") from err
