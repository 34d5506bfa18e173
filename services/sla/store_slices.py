"""Puts the SLICES stream into this region's ClickHouse (`stream_storer.py`)."""

import logging
from collections.abc import Callable, Sequence
from typing import Unpack

from services.common.errors import NotFound, Unavailable
from services.common.log_port import Entry
from services.common.streams import SLICES
from services.sla.model import SliceMessage
from services.sla.payload import message_from_json
from services.sla.ports import SliceStore
from services.sla.stream_storer import StorerParts, StreamStorer

_logger = logging.getLogger(__name__)


class SliceStorer(StreamStorer):
    """Follows SLICES.

    Args:
        stored: told the tenant after each record whose slices can now be read; must not block.
    """

    def __init__(
        self, *, store: SliceStore, stored: Callable[[str], None] | None = None, **parts: Unpack[StorerParts]
    ) -> None:
        super().__init__(SLICES, **parts)
        self._store = store
        self._stored = stored

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

    async def _put(self, entries: Sequence[Entry]) -> None:
        for message, seq in _messages(entries):
            if message.tenant is not None and (message.slices or message.hours):
                await self._store.store(message.tenant, message.slices, seq=seq, hours=message.hours)
                if self._stored is not None:
                    self._stored(message.tenant)


def _messages(entries: Sequence[Entry]) -> list[tuple[SliceMessage, int]]:
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
