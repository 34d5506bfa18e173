"""Puts one stream into this region's ClickHouse. Storing a record again changes nothing.

The position belongs to the database: a restored one has another identity and starts from the beginning. Knows
no record of any stream.
"""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import NotRequired, TypedDict, Unpack

from services.common.clock import Clock
from services.common.errors import NotFound, Unavailable
from services.common.log_port import Entry, KeyValue, Log
from services.common.streams import POSITIONS
from services.common.telemetry import Counters

_logger = logging.getLogger(__name__)
_READ_WAIT_S = 1.0
_RETRY_S = 1.0


class StorerParts(TypedDict):
    """What every storer stands on.

    `database_id` tells the identity of the database; it raises Unavailable or NotFound while there is none.
    """

    log: Log
    kv: KeyValue
    clock: Clock
    database_id: Callable[[], Awaitable[str]]
    region: str
    counters: NotRequired[Counters | None]


class StreamStorer(ABC):
    """Follows a stream from the position of the database."""

    def __init__(self, stream: str, **parts: Unpack[StorerParts]) -> None:
        self._stream = stream
        self._log = parts["log"]
        self._kv = parts["kv"]
        self._clock = parts["clock"]
        self._database_id = parts["database_id"]
        self._region = parts["region"]
        self._counters = parts.get("counters") or Counters()
        self._seq = -1

    async def run(self) -> None:
        """Store until cancelled; while ClickHouse or the log is away, wait."""
        while True:
            try:
                await self._follow()
            except (Unavailable, NotFound) as err:
                _logger.warning("the storer of %s waits: %s", self._stream, err)
                self._seq = -1
                await self._clock.sleep(err.retry_after_s or _RETRY_S)

    @abstractmethod
    async def _put(self, entries: Sequence[Entry]) -> None:
        """Store these records; what cannot be read is logged and skipped."""

    async def _follow(self) -> None:
        """Store from the recorded position on; returns when the name leads to another database."""
        database = await self._database_id()
        key = f"store.{self._region}.{database}.{self._stream}"
        entry = await self._kv.get(POSITIONS, key)
        self._seq = 0 if entry is None else int(json.loads(entry.value)["seq"])
        while True:
            entries = await self._log.read(self._stream, self._seq + 1, wait_s=_READ_WAIT_S)
            if not entries:
                continue
            if await self._database_id() != database:
                # A restored database took the place: it has its own position.
                return
            await self._put(entries)
            await self._kv.put(POSITIONS, key, json.dumps({"seq": entries[-1].seq}).encode())
            self._seq = entries[-1].seq
            self._counters.add("common.records.stored", len(entries), stream=self._stream)
