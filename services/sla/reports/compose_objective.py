"""The part of a report that is about one objective, as blocks of a document."""

from collections.abc import Sequence

from services.sla.reports.canonical import decimal_text
from services.sla.reports.compose_rows import (
    MOST_ROWS,
    days_table,
    downtimes_table,
    exclusions_table,
    incidents_table,
    verdict_cell,
)
from services.sla.reports.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Picture,
    Section,
    Steps,
    Table,
    Text,
    Title,
)
from services.sla.reports.model import ObjectiveReport, Period, PolicyVerdict, ProjectionRow
from services.sla.reports.plots import DAY_LEGEND, burn_scene, days_scene
from services.sla.reports.plots_latency import LEGEND, latency_scene
from services.sla.reports.plots_timeline import LEGEND as TIMELINE_LEGEND
from services.sla.reports.plots_timeline import timeline_scene
from services.sla.reports.wording import (
    NONE,
    count_text,
    displayed_text,
    duration_text,
    local_text,
    minutes_text,
    percent_text,
    seconds_text,
    share_text,
    target_percent,
    verdict_tone,
    zone_text,
)

_KINDS = {
    "availability": "Availability",
    "latency": "Response time",
    "incident_resolution": "Incident resolution",
    "data_availability": "Data availability",
    "composite": "Composite",
}
_LOST = {"latency": "slower than the target", "incident_resolution": "too late", "data_availability": "lost"}
_READINGS = {
    "merged": "The quantile of all requests of the period together, never a mean of quantiles.",
    "requests": "The share of requests that took no longer than the target.",
    "slices": "The share of slices whose own quantile is within the target.",
}
_POLICIES = {"exclude": "left out", "count_down": "counted as down", "count_up": "counted as up"}

_VERDICT = Column("Verdict", share=2)


def objective_section(objective: ObjectiveReport, period: Period, *, place: int) -> Section:
    """Everything about one objective; `place` counts from 1 and makes its anchor."""
    blocks: list[Block] = [Text(objective.promise, "lead"), figures_of(objective)]
    if objective.budget.frozen:
        floor = target_percent(objective.coverage_floor)
        since = ""
        if objective.budget.frozen_at_ms is not None:
            then = local_text(objective.budget.frozen_at_ms, period)
            since = f" It is told as of {then}, when enough was known."
        told = f"Less than {floor} of the time is known: the budget is frozen, nothing follows from it."
        blocks.append(Text(told + since, "warning"))
    blocks += _pictures(objective, period)
    blocks += _verdicts(objective, period)
    if objective.downtimes:
        blocks.append(downtimes_table(objective.downtimes, period))
    elif objective.kind != "incident_resolution":
        blocks.append(Text(_never_down(objective), "muted"))
    if objective.incidents:
        blocks.append(incidents_table(objective.incidents, period))
    elif objective.kind == "incident_resolution":
        blocks.append(Text("No incidents.", "muted"))
    if objective.exclusions:
        blocks.append(exclusions_table(objective.exclusions, period))
    blocks += [Title("How it is measured"), Steps(_method(objective))]
    if len(objective.days) > MOST_ROWS:
        blocks.append(Text("CSV and JSON hold the figures of every day.", "muted"))
    elif any(row.total or row.times.covered_ns for row in objective.days):
        blocks.append(days_table(objective))
    return Section(
        anchor=f"objective-{place}",
        title=objective.name,
        kicker=_KINDS.get(objective.kind, objective.kind),
        verdict=objective_verdict(objective, period),
        blocks=tuple(blocks),
        new_page=True,
    )


def objective_verdict(objective: ObjectiveReport, period: Period) -> Cell:
    """Its verdict; of a running period `so far` unless it cannot change any more."""
    projection = objective.projection
    lost = objective.verdict == "FAIL" and projection is not None and projection.projected_verdict == "FAIL"
    return verdict_cell(objective.verdict, running=period.running and not lost)


def result_text(objective: ObjectiveReport) -> str:
    """The figure that the verdict is about, as printed."""
    latency = objective.latency
    if latency is None or objective.reading in ("requests", "slices"):
        return displayed_text(objective.displayed)
    if latency.saturated and latency.lower_s is not None:
        return f"> {seconds_text(latency.lower_s)}"
    return seconds_text(latency.estimate_s)


def target_text(objective: ObjectiveReport) -> str:
    """The target in short."""
    latency = objective.latency
    if latency is None:
        return target_percent(objective.target)
    name = decimal_text(100 * latency.quantile, 6)
    return f"p{name} within {seconds_text(latency.threshold_s)}"


def budget_text(objective: ObjectiveReport) -> str:
    """What is left of the budget, in percent, signed."""
    budget = objective.budget
    if budget.any_failure_breaches:
        return "none allowed"
    return percent_text(budget.remaining_share, 1)


def figures_of(objective: ObjectiveReport) -> Figures:
    """The numbers that matter, first the result."""
    coverage = Figure("Coverage", percent_text(objective.coverage), "of the time that counts has data")
    tone = verdict_tone(objective.verdict)
    shown = [Figure("Result", result_text(objective), f"target {target_text(objective)}", tone)]
    latency = objective.latency
    if latency is not None and latency.lower_s is not None and latency.upper_s is not None:
        between = f"{seconds_text(latency.lower_s)} to {seconds_text(latency.upper_s)}"
        shown.append(Figure("Surely between", between, f"of {count_text(latency.total)} {objective.unit}"))
    if objective.kind != "incident_resolution":
        known = objective.times.covered_ns > 0
        down = duration_text(objective.times.down_ns) if known else NONE
        name = "Any part down" if objective.kind == "composite" else "Down"
        shown.append(Figure(name, down, _excluded(objective)))
    shown.append(_left(objective))
    if objective.unit:
        bad = count_text(objective.total - objective.good)
        word = _LOST.get(objective.kind, "failed")
        shown.append(Figure(objective.unit.capitalize(), count_text(objective.total), f"{bad} {word}"))
    if objective.kind != "incident_resolution":
        shown.append(coverage)
    return Figures(tuple(shown))


def _never_down(objective: ObjectiveReport) -> str:
    if not objective.times.covered_ns:
        return "No time of the period has data."
    if objective.kind == "composite" and objective.times.down_ns:
        return "Each part counts by its weight: the whole has no down intervals of its own."
    return "No down intervals in the time that has data."


def _excluded(objective: ObjectiveReport) -> str:
    times = objective.times
    parts = [f"{duration_text(times.excluded_ns)} excluded"] if times.excluded_ns else []
    if times.degraded_ns:
        parts.append(f"{duration_text(times.degraded_ns)} degraded")
    return ", ".join(parts) or "nothing excluded"


def _left(objective: ObjectiveReport) -> Figure:
    budget = objective.budget
    if budget.any_failure_breaches:
        return Figure("Budget left", budget_text(objective), "any failure breaches")
    notes = []
    if budget.remaining_ns is not None and budget.allowed_ns is not None:
        notes.append(f"{minutes_text(budget.remaining_ns)} of {minutes_text(budget.allowed_ns)}")
    if budget.period_allowed_ns is not None:
        notes.append(f"{minutes_text(budget.period_allowed_ns)} in the whole period")
    if budget.remaining is not None and budget.allowed is not None:
        notes.append(f"{count_text(budget.remaining)} of {count_text(budget.allowed)} {objective.unit}")
    overdrawn = budget.remaining_share is not None and budget.remaining_share < 0
    return Figure("Budget left", budget_text(objective), "; ".join(notes), "bad" if overdrawn else "")


def _pictures(objective: ObjectiveReport, period: Period) -> list[Block]:
    blocks: list[Block] = []
    if objective.days:
        blocks += [Title("Day by day"), Picture(days_scene(objective, period), DAY_LEGEND)]
    scene = latency_scene(objective, objective.latency) if objective.latency else None
    if scene is not None:
        blocks += [Title("Response times against the target"), Picture(scene, LEGEND)]
    happened = timeline_scene(objective.incidents, objective.exclusions, period)
    if objective.incidents and happened is not None:
        blocks += [Title("Incidents over the period"), Picture(happened, TIMELINE_LEGEND)]
    if objective.burn:
        blocks += [Title("Budget over the period"), Picture(burn_scene(objective, period))]
    return blocks


def _verdicts(objective: ObjectiveReport, period: Period) -> list[Block]:
    blocks: list[Block] = []
    if objective.projection is not None:
        blocks.append(_projected(objective.projection, flawless=objective.displayed == "100"))
    if len(objective.segments) > 1:
        blocks.append(_segments(objective, period))
    if objective.children:
        blocks.append(_children(objective))
    if objective.policies:
        blocks.append(_policies(objective.policies))
    return blocks


def _projected(projection: ProjectionRow, *, flawless: bool) -> Table:
    rows = (
        ("So far", "the part that is over", projection.so_far, projection.so_far_verdict),
        ("Projected", "the rest is good", projection.projected, projection.projected_verdict),
        ("Worst case", "the rest is bad", projection.worst, projection.worst_verdict),
    )
    return Table(
        f"The period is not over: {duration_text(projection.rest_ns)} are to come",
        (Column("Figure", share=2), Column("If", share=3), Column("Result", number=True, share=2), _VERDICT),
        tuple(
            (Cell(name), Cell(when), Cell(share_text(share, flawless=flawless)), verdict_cell(verdict))
            for name, when, share, verdict in rows
        ),
    )


def _policies(policies: Sequence[PolicyVerdict]) -> Table:
    return Table(
        "The verdict by what time without data counts as",
        (Column("Time without data is", share=4), Column("Contract", share=3), _VERDICT),
        tuple(
            (
                Cell(_POLICIES.get(one.policy, one.policy)),
                Cell("as agreed" if one.chosen else NONE, "" if one.chosen else "muted"),
                verdict_cell(one.verdict),
            )
            for one in policies
        ),
    )


def _segments(objective: ObjectiveReport, period: Period) -> Table:
    return Table(
        f"By version of the contract, times in {zone_text(period)}",
        (
            Column("Version", share=3),
            Column("From", share=8),
            Column("To", share=8),
            Column("Terms", share=9),
            Column("Result", number=True, share=5),
            Column("Verdict", share=6),
        ),
        tuple(
            (
                Cell(str(row.contract_version)),
                Cell(local_text(row.start_ms, period)),
                Cell(local_text(row.end_ms, period)),
                Cell(row.terms),
                Cell(row.displayed or NONE),
                verdict_cell(row.verdict),
            )
            for row in objective.segments
        ),
    )


def _children(objective: ObjectiveReport) -> Table:
    return Table(
        "What it is made of",
        (
            Column("Objective", share=4),
            Column("Weight", number=True, share=2),
            Column("Down", number=True, share=3),
            Column("No data", number=True, share=3),
            Column("Share", number=True, share=2),
        ),
        tuple(
            (
                Cell(child.name),
                Cell(_weight(child.weight.numerator, child.weight.denominator)),
                Cell(duration_text(child.down_ns)),
                Cell(duration_text(child.no_data_ns)),
                Cell(share_text(child.share, flawless=not child.down_ns + child.no_data_ns)),
            )
            for child in objective.children
        ),
    )


def _weight(numerator: int, denominator: int) -> str:
    return str(numerator) if denominator == 1 else f"{numerator}/{denominator}"


def _method(objective: ObjectiveReport) -> tuple[str, ...]:
    reading = _READINGS.get(objective.reading)
    told = (*objective.method, f"Window: {objective.window}.")
    return (*told, f"Reading of the quantile: {objective.reading}. {reading}") if reading else told
