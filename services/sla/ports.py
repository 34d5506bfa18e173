"""What the SLA service needs of its stores. Adapters: `clickhouse.py` and `memory.py`, one contract suite."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.sla.model import (
    Exports,
    Head,
    Heartbeats,
    Numbers,
    PointKind,
    Revision,
    Rows,
    Series,
    SliceColumns,
)


class NumberReader(Protocol):
    """Reads gauges and sums of one metric. Points flagged "no recorded value" MUST NOT appear."""

    async def number_series(self, tenant: str, metric: str) -> Sequence[Series]:
        """Every gauge and sum series of the metric, each once, in no order."""
        ...

    async def numbers(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Numbers:
        """The points with low < ts <= high, and what their intervals begin and end with.

        MUST hold for each (series, start) the last point with ts <= low where it lies in the ten minutes
        before, and wherever it lies for each (series, start) among the points of the range; for each series
        the first point with ts > high. May hold more, also the same point twice; no order.
        """
        ...

    async def last_number(self, tenant: str, metric: str, *, before_ms: int) -> int | None:
        """Time of the last point of any series until `before`, however far back; None: there is none."""
        ...

    async def witnesses(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """When the tenant reported other metrics in (low, high], and each sender's next such report after.

        Gauges and cumulative sums of any sender; a sample of them that is a function of what is stored
        suffices. A report MAY come twice; no order.
        """
        ...

    async def number_extent(self, tenant: str, metric: str) -> tuple[int, int] | None:
        """(first, last) time of any number point, ms; None when there is none."""
        ...


class PointReader(NumberReader, Protocol):
    """Reads histogram points of one metric. Points flagged "no recorded value" MUST NOT appear."""

    async def series(self, tenant: str, metric: str) -> Sequence[Series]:
        """Every histogram series of the metric, each once, in no order."""
        ...

    async def rows(self, tenant: str, metric: str, kind: PointKind, *, low_ms: int, high_ms: int) -> Rows:
        """Every point whose interval may overlap (low, high].

        MUST hold all points with low < ts <= high, for each (series, start) of cumulative series among
        them the last point with ts <= low wherever it is, and for each (series, start < high) the
        first point with ts > high. May hold more, also the same point twice; no order.
        """
        ...

    async def exports(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Exports:
        """When the series of the metric reported in (low, high], and each one's first report after high."""
        ...

    async def heartbeats(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """When the metric's senders reported other metrics in (low, high], and each one's next after high.

        Only gauges and cumulative sums, which report with or without traffic; not all of them need be
        read. A report MAY come twice; no order.
        """
        ...

    async def extent(self, tenant: str, metric: str) -> tuple[int, int] | None:
        """(first, last) time of any point, ms; None when there is none. What back-filling has to cover."""
        ...


@dataclass(frozen=True, slots=True)
class Extract:
    """Which rows of one objective are read: sums of the hours that lie in `hours`, [low, high), and slices
    that start in any of `pieces`. Without `distributions` none of them has one."""

    objective: str
    hours: tuple[int, int] = (0, 0)
    pieces: tuple[tuple[int, int], ...] = ()
    distributions: bool = True


class SliceStore(Protocol):
    """Keeps every revision of every slice; the current one of a start is that of the highest revision.

    `as_of_ms` shows what was known then: revisions with known_at <= as_of_ms.
    """

    async def store(
        self,
        tenant: str,
        slices: Sequence[tuple[str, Revision]],
        *,
        seq: int,
        hours: Sequence[tuple[str, Revision]] = (),
    ) -> None:
        """Keep these revisions, which came at `seq` of the stream. Storing again MUST change nothing.

        The objectives' heads MUST move last, when everything else can be read.
        """
        ...

    async def current(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> list[Revision]:
        """Current slices with low <= start < high, ordered by start; as known at `as_of_ms` if given."""
        ...

    async def columns(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> SliceColumns:
        """The same slices by column."""
        ...

    async def pieces(
        self,
        tenant: str,
        objective: str,
        ranges: Sequence[tuple[int, int]],
        *,
        as_of_ms: int | None = None,
        distributions: bool = True,
    ) -> SliceColumns:
        """Current slices whose start lies in any of [low, high), by column, ordered by start.

        Without `distributions` none of them has one: good, total, durations and revisions only.
        """
        ...

    async def hours(
        self,
        tenant: str,
        objective: str,
        *,
        low_ms: int,
        high_ms: int,
        as_of_ms: int | None = None,
        distributions: bool = True,
    ) -> SliceColumns:
        """Current sums of whole UTC hours that lie in [low, high), by column, ordered by start."""
        ...

    async def extracts(
        self, tenant: str, wanted: Sequence[Extract], *, as_of_ms: int | None = None
    ) -> list[tuple[SliceColumns, SliceColumns]]:
        """(sums of hours, slices) of each objective, current ones by column, ordered by start.

        No objective is there twice. All is read at once: one question to the store.
        """
        ...

    async def heads(self, tenants: Sequence[str]) -> dict[tuple[str, str], Head]:
        """(tenant, objective) of these tenants with how far each is; those without slices are not there."""
        ...

    async def span(
        self, tenant: str, objective: str, *, as_of_ms: int | None = None
    ) -> tuple[int, int, int] | None:
        """(start of the first slice, end of the last, end of the last sealed or 0), ms; None: no slice."""
        ...
