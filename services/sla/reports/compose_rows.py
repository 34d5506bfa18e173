"""Tables of a report that look the same wherever they stand: stretches of time, incidents, days, credits."""

from collections.abc import Sequence

from services.sla.credits.model import Credit, CreditState
from services.sla.reports.document import Block, Cell, Column, Facts, Steps, Table, Text, Title
from services.sla.reports.model import DayRow, DownRow, ExclusionRow, IncidentRow, ObjectiveReport, Period
from services.sla.reports.wording import (
    NONE,
    count_text,
    displayed_text,
    duration_text,
    local_text,
    percent_text,
    seconds_text,
    target_percent,
    verdict_text,
    verdict_tone,
    zone_text,
)

MOST_ROWS = 100
"""Longer tables are cut in documents for people; CSV and JSON hold all rows."""
_MANY_ROWS = 25
"""Tables of more are shown on demand."""

_CREDIT_STATES = {
    CreditState.DUE: ("Due", "bad"),
    CreditState.NOT_DUE: ("Not due", "good"),
    CreditState.REVIEW_REQUIRED: ("To be reviewed", "unsure"),
    CreditState.RUNNING: ("Running", "none"),
}


def verdict_cell(verdict: str, *, running: bool = False) -> Cell:
    """A verdict as a badge."""
    return Cell(verdict_text(verdict, running=running), verdict_tone(verdict))


def downtimes_table(rows: Sequence[DownRow], period: Period) -> Table:
    """Stretches that were down."""
    shown = rows[:MOST_ROWS]
    return Table(
        caption=f"Down intervals, times in {zone_text(period)}",
        columns=(
            Column("From", share=5),
            Column("To", share=5),
            Column("Down", number=True, share=4),
            Column("Excluded of it", number=True, share=3),
            Column("Failed", number=True, share=2),
            Column("Requests", number=True, share=2),
        ),
        rows=tuple(
            (
                Cell(local_text(row.start_ms, period)),
                Cell(local_text(row.end_ms, period)),
                Cell(duration_text(row.down_ns)),
                Cell(duration_text(row.excluded_ns) if row.excluded_ns else NONE),
                Cell(count_text(row.bad) if row.total else NONE),
                Cell(count_text(row.total) if row.total else NONE),
            )
            for row in shown
        ),
        note=_cut(len(rows), len(shown)),
        folded=len(rows) > _MANY_ROWS,
    )


def exclusions_table(rows: Sequence[ExclusionRow], period: Period) -> Table:
    """Announced maintenance, counted or refused, with the reason."""
    shown = rows[:MOST_ROWS]
    return Table(
        caption=f"Announced maintenance, times in {zone_text(period)}",
        columns=(
            Column("From", share=5),
            Column("To", share=5),
            Column("Maintenance", share=5),
            Column("Excluded", share=2),
            Column("Why", share=7),
        ),
        rows=tuple(
            (
                Cell(local_text(row.start_ms, period)),
                Cell(local_text(row.end_ms, period)),
                Cell(row.title or row.window),
                Cell("Yes" if row.counted else "No", "good" if row.counted else "bad"),
                Cell(_why(row, period)),
            )
            for row in shown
        ),
        note=_cut(len(rows), len(shown)),
    )


def incidents_table(rows: Sequence[IncidentRow], period: Period) -> Table:
    """Incidents against their limit."""
    shown = rows[:MOST_ROWS]
    return Table(
        caption=f"Incidents, times in {zone_text(period)}",
        columns=(
            Column("Incident", share=7),
            Column("Severity", share=3),
            Column("Opened", share=6),
            Column("Stopped", share=6),
            Column("Clock", number=True, share=5),
            Column("Limit", number=True, share=3),
            Column("In time", share=3),
        ),
        rows=tuple(_incident(row, period) for row in shown),
        note=_cut(len(rows), len(shown)),
    )


def days_table(objective: ObjectiveReport) -> Table:
    """Every day with its figures."""
    latency = objective.latency is not None
    last = "Quantile" if latency else "Result"
    return Table(
        caption=f"{objective.name}, day by day",
        columns=(
            Column("Day", share=3),
            Column(last, number=True, share=3),
            Column("Down", number=True, share=3),
            Column("Excluded", number=True, share=3),
            Column("No data", number=True, share=3),
            Column("Good", number=True, share=3),
            Column("Total", number=True, share=3),
            Column("Verdict", share=3),
        ),
        rows=tuple(
            (
                Cell(row.date),
                Cell(seconds_text(row.quantile_s) if latency else displayed_text(row.displayed)),
                Cell(duration_text(row.times.down_ns) if row.times.down_ns else NONE),
                Cell(duration_text(row.times.excluded_ns) if row.times.excluded_ns else NONE),
                Cell(duration_text(row.times.no_data_ns) if row.times.no_data_ns else NONE),
                Cell(count_text(row.good)),
                Cell(count_text(row.total)),
                _day_verdict(row),
            )
            for row in objective.days
        ),
        folded=True,
    )


def _day_verdict(row: DayRow) -> Cell:
    """A day before the first data was in no figure, so it is not without data either."""
    times = row.times
    begun = times.covered_ns + times.no_data_ns + times.excluded_ns
    return verdict_cell(row.verdict) if begun or not times.not_started_ns else Cell("not begun", "muted")


def credit_blocks(credit: Credit, period: Period) -> tuple[Block, ...]:
    """One credit: what it comes to, and the sentences that lead there."""
    text, _ = _CREDIT_STATES[credit.state]
    facts = [("State", text), ("Measured", percent_text(credit.measured, 6))]
    if credit.projected is not None:
        facts.append(("Projected", percent_text(credit.projected, 6)))
    if credit.tier is not None:
        tier = f"below {target_percent(credit.tier.below)}: {target_percent(credit.tier.credit)} of the fee"
        facts.append(("Tier", tier))
    facts.append(("Credit", f"{credit.amount:f} {credit.currency}"))
    if credit.claim_by_ms is not None:
        facts.append(("Claim before", local_text(credit.claim_by_ms, period)))
    if credit.name:
        facts.append(("Name", credit.name))
    blocks: list[Block] = [Title(credit.objective), Facts(tuple(facts))]
    if credit.trace:
        blocks += [Text("How the rules lead there:", "muted"), Steps(credit.trace, numbered=True)]
    return tuple(blocks)


def credit_cell(credit: Credit) -> Cell:
    """A credit's state as a badge."""
    return Cell(*_CREDIT_STATES[credit.state])


def _incident(row: IncidentRow, period: Period) -> tuple[Cell, ...]:
    if row.in_time is None:
        decided = Cell("Open" if row.state != "STOPPED" else NONE, "none" if row.state != "STOPPED" else "")
    else:
        decided = Cell("Yes", "good") if row.in_time else Cell("No", "bad")
    clock = duration_text(row.elapsed_ns)
    if row.state != "STOPPED":
        clock += f" so far; worst case {duration_text(row.worst_ns)}"
    return (
        Cell(f"{row.title} ({row.incident})" if row.title else row.incident),
        Cell(row.severity or NONE),
        Cell(local_text(row.opened_ms, period)),
        Cell(local_text(row.stopped_ms, period)),
        Cell(clock),
        Cell(NONE if row.limit_ns is None else duration_text(row.limit_ns)),
        decided,
    )


def _why(row: ExclusionRow, period: Period) -> str:
    parts = [row.why_not] if row.why_not else []
    if row.counted:
        left = "its time leaves the denominator" if row.effect == "drop" else "its time counts as up"
        parts.append(left[0].upper() + left[1:])
    if row.reason:
        parts.append(row.reason)
    if row.announced_ms is not None:
        by = f" by {row.announced_by}" if row.announced_by else ""
        parts.append(f"Announced on {local_text(row.announced_ms, period)}{by}")
    return ". ".join(part.rstrip(".") for part in parts) + "." if parts else NONE


def _cut(rows: int, shown: int) -> str:
    if rows <= shown:
        return ""
    return f"The first {shown} of {count_text(rows)}; CSV and JSON hold all of them."
