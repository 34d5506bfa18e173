"""How far the objectives of a tenant are in the database, asked on every request and read together.

A request never gets a head that was read before it came: those that come while a reading is under way share
the next one. So a figure that was kept under a head may be given away for as long as the head is the same,
and one query serves however many callers there are.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.sla.model import Head
from services.sla.ports import SliceStore

Found = Mapping[tuple[str, str], Head]


@dataclass(slots=True)
class _Batch:
    answer: "asyncio.Future[Found]"
    tenants: set[str] = field(default_factory=set)


class Heads:
    """Reads heads for everyone who asks at the same time."""

    def __init__(self, store: SliceStore) -> None:
        self._store = store
        self._next: _Batch | None = None
        self._reader: asyncio.Task[None] | None = None

    async def of(self, tenant: str) -> Found:
        """(tenant, objective) with its head, of this tenant and maybe of others.

        Raises:
            Unavailable: the store is down.
        """
        if self._next is None:
            self._next = _Batch(asyncio.get_running_loop().create_future())
        batch = self._next
        batch.tenants.add(tenant)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        return await asyncio.shield(batch.answer)

    async def _read(self) -> None:
        try:
            while (batch := self._next) is not None:
                self._next = None
                try:
                    found = await self._store.heads(sorted(batch.tenants))
                except Exception as err:  # whatever it is, it belongs to those who asked
                    if not batch.answer.done():
                        batch.answer.set_exception(err)
                    # Nobody may be left who asks: the error has been told all the same.
                    with contextlib.suppress(Exception):
                        batch.answer.exception()
                else:
                    batch.answer.set_result(found)
        finally:
            self._reader = None
