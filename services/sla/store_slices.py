"""Puts the SLICES stream into this region's ClickHouse. Storing a record again changes nothing.

The position belongs to the database: a restored one has another identity and starts from the beginning.
"""

import json
import logging
from collections.abc import Awaitable, Callable

from services.common.clock import Clock
from services.common.errors import NotFound, Unavailable
from services.common.log_port import Entry, KeyValue, Log
from services.common.streams import POSITIONS, SLICES
from services.common.telemetry import Counters
from services.sla.model import SliceMessage
from services.sla.payload import message_from_json
from services.sla.ports import SliceStore

_logger = logging.getLogger(__name__)
_READ_WAIT_S = 1.0
_RETRY_S = 1.0


class SliceStorer:
    """Follows SLICES from the position of the database.

    Args:
        database_id: the identity of the database; raises Unavailable or NotFound while there is none.
        stored: told the tenant after each record whose slices can now be read; must not block.
    """

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        clock: Clock,
        store: SliceStore,
        database_id: Callable[[], Awaitable[str]],
        region: str,
        counters: Counters | None = None,
        stored: Callable[[str], None] | None = None,
    ) -> None:
        self._log = log
        self._kv = kv
        self._clock = clock
        self._store = store
        self._database_id = database_id
        self._region = region
        self._counters = counters or Counters()
        self._stored = stored
        self._seq = -1

    async def run(self) -> None:
        """Store until cancelled; while ClickHouse or the log is away, wait."""
        while True:
            try:
                await self._follow()
            except (Unavailable, NotFound) as err:
                _logger.warning("the slice storer waits: %s", err)
                self._seq = -1
                await self._clock.sleep(err.retry_after_s or _RETRY_S)

    async def probe(self) -> None:
        """Raises Unavailable while the database cannot be used."""
        try:
            await self._database_id()
        except NotFound as err:
            raise Unavailable(err.message, reason="DATABASE_NOT_READY") from err

    async def reached(self, seq: int) -> None:
        """Raises Unavailable while the record at `seq` of SLICES is not stored yet."""
        if self._seq < seq:
            raise Unavailable(
                f"slices are stored up to {self._seq} of {seq}", reason="SLICES_BEHIND", retry_after_s=0.1
            )

    async def _follow(self) -> None:
        """Store from the recorded position on; returns when the name leads to another database."""
        database = await self._database_id()
        key = f"store.{self._region}.{database}.SLICES"
        entry = await self._kv.get(POSITIONS, key)
        self._seq = 0 if entry is None else int(json.loads(entry.value)["seq"])
        while True:
            entries = await self._log.read(SLICES, self._seq + 1, wait_s=_READ_WAIT_S)
            if not entries:
                continue
            if await self._database_id() != database:
                # A restored database took the place: it has its own position.
                return
            for message, seq in _messages(entries):
                if message.tenant is not None and (message.slices or message.hours):
                    await self._store.store(message.tenant, message.slices, seq=seq, hours=message.hours)
                    if self._stored is not None:
                        self._stored(message.tenant)
            await self._kv.put(POSITIONS, key, json.dumps({"seq": entries[-1].seq}).encode())
            self._seq = entries[-1].seq
            self._counters.add("common.records.stored", len(entries), stream=SLICES)


def _messages(entries: list[Entry]) -> list[tuple[SliceMessage, int]]:
    found = []
    for entry in entries:
        try:
            message = message_from_json(entry.data)
        except (ValueError, KeyError, TypeError):
            _logger.exception("SLICES record %d cannot be read and is skipped", entry.seq)
            continue
        if message is not None:
            found.append((message, entry.seq))
    return found
