"""From a question to figures: reads what they follow from, computes beside the event loop.

Who may ask, which window is meant and what is kept is decided before (`serve.py`, `kept_figures.py`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from services.sla.figures import anchor_of
from services.sla.figures_composite import Child, composite_over, composite_segments, composite_uptime
from services.sla.figures_days import day_edges, days_of, downtimes_of
from services.sla.figures_incident import resolution_over
from services.sla.figures_model import (
    Downtime,
    Figures,
    Latency,
    Segment,
    Uptime,
    UsedWindow,
    WindowFigures,
)
from services.sla.figures_segments import Basis, Terms, figures_of, promised_since, split
from services.sla.incidents.ports import IncidentStore
from services.sla.methods.model import MeanErrorRate, RequestRatio
from services.sla.methods.model import Uptime as ByState
from services.sla.model import NS_PER_MS, Head, Objective, ObjectiveKind, Reading, SliceColumns
from services.sla.ports import SliceStore
from services.sla.read_window import HOUR_MS, Detail, Wanted, read_window, read_windows
from services.sla.windows import Window

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Question:
    """One objective in one window.

    objective: the terms that stand for the whole. timeline: all versions. windows_ms: of burn rates.
    children: of composites, the same question about each child that has data.
    """

    objective: Objective
    timeline: tuple[Objective, ...]
    window: Window
    head: Head
    windows_ms: tuple[int, ...] = ()
    quantile: Fraction | None = None
    as_of_ms: int | None = None
    children: tuple["Question", ...] = ()

    @property
    def parts(self) -> tuple[Terms, ...]:
        """The window by version."""
        return split(self.timeline, self.window)


class FigureSource:
    """Computes figures from the stores; a bounded number at a time."""

    def __init__(self, slices: SliceStore, incidents: IncidentStore | None) -> None:
        self._slices = slices
        self._incidents = incidents
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def figures(self, questions: Sequence[Question]) -> list[Uptime | Latency]:
        """What a status shows, of objectives with slices; what is not a composite is read together.

        Args:
            questions: of one tenant, at one as_of_time, each objective once.

        Raises:
            Unavailable: the store is down.
        """
        found: dict[int, Uptime | Latency] = {}
        plain = [one for one in questions if one.objective.kind is not ObjectiveKind.COMPOSITE]
        if plain:
            async with self._free:
                rows = await read_windows(
                    self._slices, [_wanted(one, _detail(one), _cuts(one)) for one in plain]
                )
                computed = await asyncio.to_thread(_all_figures, plain, rows)
            found = {id(one): figures for one, figures in zip(plain, computed, strict=True)}
        for one in questions:
            if id(one) not in found:
                found[id(one)] = (await self._composite(one))[0]
        return [found[id(one)] for one in questions]

    async def incidents(self, question: Question) -> tuple[Figures, tuple[Segment, ...]]:
        """Incident objectives: what a status shows."""
        objective, where = question.objective, question.window
        events = []
        if self._incidents is not None:
            events = await self._incidents.events(
                objective.tenant, low_ms=where.start_ms, high_ms=where.data_end_ms
            )
        used = UsedWindow(where, objective.time_zone, False, 0)
        return resolution_over(objective, question.parts, events, used)

    async def window(self, question: Question) -> WindowFigures:
        """Everything about an objective in a window: days and downtimes as well."""
        objective, where = question.objective, question.window
        if objective.kind is ObjectiveKind.INCIDENT_RESOLUTION:
            found, segments = await self.incidents(question)
            return WindowFigures(objective, found, segments, (), ())
        if objective.kind is ObjectiveKind.COMPOSITE:
            figures, children = await self._composite(question)
            return await asyncio.to_thread(_composite_window, question, figures, children)
        midnights = [
            edge
            for part in question.parts
            for edge in day_edges(
                part.objective.time_zone, part.window.start_ms, max(part.window.start_ms, where.data_end_ms)
            )
        ]
        detail = _detail(question)
        async with self._free:
            columns = await self._read(
                question, Detail.STATES if detail is Detail.HOURS else detail, [*_cuts(question), *midnights]
            )
            return await asyncio.to_thread(_window, question, columns)

    async def _composite(self, question: Question) -> tuple[Uptime, dict[str, Child]]:
        found = [await self._child(one) for one in question.children]
        children = {one.name: one for one in found}
        where = question.window
        revision = max((one.head.seq for one in question.children), default=0)
        provisional = any(one.head.sealed_ms < where.data_end_ms for one in question.children)
        used = UsedWindow(where, question.objective.time_zone, provisional, revision)
        figures = await asyncio.to_thread(
            composite_uptime, question.objective, question.parts, children, used
        )
        return figures, children

    async def _child(self, question: Question) -> Child:
        detail = _detail(question)
        async with self._free:
            columns = await self._read(
                question, Detail.STATES if detail is Detail.HOURS else detail, _cuts(question)
            )
            segments = await asyncio.to_thread(lambda: _figures(question, columns)[1])
        return Child(question.objective.name, columns, question.head.first_ms, segments)

    async def _read(self, question: Question, detail: Detail, cuts: Sequence[int]) -> SliceColumns:
        return await read_window(self._slices, _wanted(question, detail, cuts))


def _wanted(question: Question, detail: Detail, cuts: Sequence[int]) -> Wanted:
    objective, where = question.objective, question.window
    longest = max(question.windows_ms, default=0)
    return Wanted(
        tenant=objective.tenant,
        key=objective.key,
        low_ms=min(where.start_ms, where.data_end_ms - longest),
        high_ms=where.data_end_ms,
        first_ms=question.head.first_ms,
        sealed_ms=question.head.sealed_ms,
        cuts=cuts,
        detail=detail,
        distributions=objective.kind is ObjectiveKind.LATENCY,
        as_of_ms=question.as_of_ms,
    )


def _all_figures(questions: Sequence[Question], rows: Sequence[SliceColumns]) -> list[Uptime | Latency]:
    return [_figures(one, columns)[0] for one, columns in zip(questions, rows, strict=True)]


def _figures(question: Question, columns: SliceColumns) -> tuple[Uptime | Latency, tuple[Segment, ...]]:
    return figures_of(question.objective, question.parts, _basis(question, columns), question.window)


def _window(question: Question, columns: SliceColumns) -> WindowFigures:
    figures, segments = _figures(question, columns)
    return WindowFigures(
        objective=question.objective,
        figures=figures,
        segments=segments,
        days=days_of(question.parts, _basis(question, columns), question.window),
        downtimes=downtimes_of(segments, columns),
    )


def _composite_window(question: Question, figures: Uptime, children: dict[str, Child]) -> WindowFigures:
    downs = () if figures.measured is None else figures.measured.downtimes
    return WindowFigures(
        objective=question.objective,
        figures=figures,
        segments=composite_segments(question.parts, children, figures.used),
        days=(),
        downtimes=tuple(Downtime(a, b, (b - a) * NS_PER_MS, 0, 0, 0, 0) for a, b in downs),
        composite=composite_over(question.objective, children, question.window),
    )


def _basis(question: Question, columns: SliceColumns) -> Basis:
    since_ms = promised_since(question.timeline, question.window.data_end_ms)
    return Basis(columns, question.head.first_ms, question.windows_ms, question.quantile, since_ms)


def _cuts(question: Question) -> list[int]:
    where = question.window
    bounds = [edge for part in question.parts for edge in (part.window.start_ms, part.window.end_ms)]
    burns = [where.data_end_ms - length for length in question.windows_ms]
    return [where.start_ms, where.end_ms, where.data_end_ms, *bounds, *burns]


def _detail(question: Question) -> Detail:
    """Whether sums of hours suffice for what the versions measure."""
    fine = any(_needs_slices(one.objective, one.window.start_ms) for one in question.parts)
    return Detail.SLICES if fine else Detail.HOURS


def _needs_slices(objective: Objective, start_ms: int) -> bool:
    if objective.kind is ObjectiveKind.LATENCY:
        return objective.reading is Reading.SLICES
    match objective.method:
        case RequestRatio() | ByState():
            return False
        case MeanErrorRate(interval_ms):
            return bool(interval_ms % HOUR_MS or anchor_of(objective, start_ms) % HOUR_MS)
        case _:
            return True
