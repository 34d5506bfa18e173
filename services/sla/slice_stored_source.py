"""The source of slices that reads what the collector counts of itself; what follows is in `slice_stored`."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.sla.model import Ints, Objective, Slice
from services.sla.ports import NumberReader
from services.sla.slice_compute import Grid
from services.sla.slice_coverage import LOOKBACK_MS, Covered
from services.sla.slice_numbers import KnownSeries
from services.sla.slice_source import Feed, Loaded
from services.sla.slice_stored import (
    BALANCED,
    METRICS,
    OWN_TENANT,
    SETTLE_MS,
    STORED,
    WINDOW_MS,
    Counted,
    stored_cover,
    stored_slices,
)

_BACK_MS = WINDOW_MS + 2 * SETTLE_MS


@dataclass(frozen=True, slots=True)
class _Stored:
    low_ms: int
    high_ms: int
    counted: Mapping[str, Mapping[str, Counted]]
    covers: Mapping[str, Covered]

    def cover(self, objective: Objective) -> Covered:
        return self.covers[objective.tenant]

    def spans(self, objective: Objective) -> Iterable[tuple[Ints, Ints]]:
        cover = self.covers[objective.tenant]
        found = [(cover.start, cover.ts)]
        for name, one in self.counted[objective.tenant].items():
            added = one.increments()
            found.append((added.start, added.ts))
            if name in BALANCED:
                # A late report moves the balance that reports up to a window behind it are judged by.
                last = int(added.ts.max(initial=0))
                found.append((added.ts, np.minimum(added.ts + _BACK_MS, last)))
        return found

    def slices(self, objective: Objective, *, grid: Grid, first_ms: int, excluded: Ints) -> list[Slice]:
        return stored_slices(
            objective,
            self.counted[objective.tenant],
            self.covers[objective.tenant],
            grid=grid,
            first_ms=first_ms,
            excluded=excluded,
        )


class StoredSource:
    """`Source` over what the collector counts about itself."""

    def __init__(self, reader: NumberReader) -> None:
        self._reader = reader
        self._known = KnownSeries(reader)

    def feed(self, objective: Objective) -> Feed:  # noqa: ARG002
        """See `Source.feed`; all tenants share it."""
        return Feed(OWN_TENANT, STORED, "stored")

    async def extent(self, objective: Objective) -> tuple[int, int] | None:  # noqa: ARG002
        """See `Source.extent`."""
        return await self._reader.number_extent(OWN_TENANT, STORED)

    async def load(
        self,
        objectives: Sequence[Objective],
        low_ms: int,
        high_ms: int,
        *,
        rows: bool = True,  # noqa: ARG002
    ) -> Loaded:
        """See `Source.load`; all of it takes part in what is covered, so `rows` makes no difference."""
        all_counted = {}
        for name in METRICS:
            # Later reports are read as well: those up to a window behind a late one are judged by it.
            around = _BACK_MS if name in BALANCED else 2 * LOOKBACK_MS
            numbers = await self._reader.numbers(
                OWN_TENANT, name, low_ms=low_ms - around, high_ms=high_ms + around
            )
            all_counted[name] = Counted(numbers, await self._known.of(OWN_TENANT, name, numbers))
        return await asyncio.to_thread(self._of_tenants, objectives, all_counted, low_ms, high_ms)

    @staticmethod
    def _of_tenants(
        objectives: Sequence[Objective], found: Mapping[str, Counted], low_ms: int, high_ms: int
    ) -> Loaded:
        tenants = {one.tenant for one in objectives}
        counted = {tenant: {name: one.of_tenant(tenant) for name, one in found.items()} for tenant in tenants}
        covers = {tenant: stored_cover(one) for tenant, one in counted.items()}
        return _Stored(low_ms, high_ms, counted, covers)
