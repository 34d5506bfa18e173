"""A report from figures: puts together what the figures' dataclasses hold, and decides nothing anew."""

from collections.abc import Sequence

from services.sla.credits.model import Credit
from services.sla.model import Contract, Verdict
from services.sla.reports.build_objective import ObjectiveParts, objective_report
from services.sla.reports.build_period import period_of
from services.sla.reports.model import IncidentRow, Provenance, ReportInput, VersionRow
from services.sla.verdict import worst
from services.sla.windows import Window

__all__ = ["ObjectiveParts", "report_input"]


def report_input(
    contract: Contract,
    versions: Sequence[Contract],
    *,
    label: str,
    start_ms: int,
    end_ms: int,
    watermark_ms: int,
    parts: Sequence[ObjectiveParts],
    due: Sequence[Credit] = (),
    incidents: Sequence[IncidentRow] = (),
    as_of_ms: int | None = None,
) -> ReportInput:
    """The first revision of a report on [start, end).

    Args:
        contract: its terms at the end of the period, whose zone the period is in.
        versions: all versions of it, in order of time.
        label: the period's name, such as `2026-10`.
        watermark_ms: data of all objectives is complete up to here.
        parts: one for each objective, in the contract's order.
        due: the credits of the period, whatever their state.
        incidents: of the tenant in the period, of objectives or not.
        as_of_ms: what was known then; None: everything.
    """
    used = [one.figures.figures.used for one in parts if one.figures is not None]
    known_ms = max(start_ms, min(end_ms, watermark_ms))
    where = Window(start_ms, end_ms, min((one.window.data_end_ms for one in used), default=known_ms))
    objectives = tuple(objective_report(one, where) for one in parts)
    return ReportInput(
        tenant=contract.tenant,
        contract=contract.name,
        period=period_of(
            label,
            start_ms,
            end_ms,
            data_end_ms=where.data_end_ms,
            zone=contract.time_zone,
            provisional=any(one.provisional for one in used),
            told=_told(versions),
        ),
        versions=_versions(versions, start_ms, end_ms),
        verdict=worst([Verdict[one.verdict] for one in objectives]).name,
        objectives=objectives,
        provenance=Provenance(
            watermark_ms=watermark_ms,
            data_revision=max((one.data_revision for one in used), default=0),
            as_of_ms=as_of_ms,
        ),
        credits=tuple(due),
        incidents=tuple(incidents),
    )


def _told(versions: Sequence[Contract]) -> list[int]:
    """When versions began and ended."""
    begun = [one.effective_from_ms for one in versions]
    return begun + [one.until_ms for one in versions if one.until_ms is not None]


def _versions(versions: Sequence[Contract], start_ms: int, end_ms: int) -> tuple[VersionRow, ...]:
    rows = []
    for one in versions:
        low = max(start_ms, one.effective_from_ms)
        high = end_ms if one.until_ms is None else min(end_ms, one.until_ms)
        if low < high:
            rows.append(VersionRow(one.version, one.effective_from_ms, one.until_ms, low, high))
    return tuple(rows)
