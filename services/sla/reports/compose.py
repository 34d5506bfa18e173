"""A whole report as a document for people: what stands where, in which words.

Takes canonical bytes alone, so what it says is what was hashed.
"""

from decimal import Decimal

from services.sla.credits.model import CreditState
from services.sla.reports.canonical import content_sha256, read_report
from services.sla.reports.compose_objective import (
    budget_text,
    objective_section,
    objective_verdict,
    result_text,
    target_text,
)
from services.sla.reports.compose_rows import credit_blocks, incidents_table, verdict_cell
from services.sla.reports.document import (
    Block,
    Cell,
    Column,
    Document,
    Facts,
    Picture,
    Section,
    Steps,
    Table,
    Text,
    Title,
)
from services.sla.reports.model import SCHEMA, ReportInput
from services.sla.reports.plots import DAY_LEGEND, overview_scene
from services.sla.reports.plots_timeline import LEGEND as TIMELINE_LEGEND
from services.sla.reports.plots_timeline import timeline_scene
from services.sla.reports.wording import (
    NONE,
    cause_text,
    count_text,
    duration_text,
    local_text,
    percent_text,
    period_title,
    utc_text,
    zone_text,
)

_MOST_CHANGES = 50
_HOW = (
    "Verdicts come from integers and exact fractions. Displayed percentages are floored: a printed figure is"
    " never better than the real one; 100 % is printed only where nothing failed, was down or is missing.",
    "Every instant is in exactly one state: up, degraded, down, excluded, without data, or not started. Their"
    " lengths add up to the period, to the nanosecond.",
    "Time without data is a state of its own, never up and never down. Coverage is the share of the counted"
    " time that has data; below the agreed floor budgets freeze.",
    "Calendar periods run from local midnight to local midnight, so days and months in which the clock"
    " changes are as long as they really were.",
    "The files of this report (HTML, PDF, CSV) are made from its canonical JSON (RFC 8785) alone. The content"
    " hash is the SHA-256 of that JSON; made again from the stored content, each file has the same bytes.",
)


def document_of(content: bytes) -> Document:
    """The document of canonical bytes.

    Raises:
        ValueError: they are not the content of a report.
    """
    report = read_report(content)
    sha256 = content_sha256(content)
    period = report.period
    title = period_title(period.label)
    overview = overview_scene(report.objectives, period)
    sections = [
        objective_section(objective, period, place=place)
        for place, objective in enumerate(report.objectives, 1)
    ]
    sections += [section for section in (_credits(report), _incidents(report), _changes(report)) if section]
    sections.append(_appendix(report, sha256))
    return Document(
        title=title,
        client=report.tenant,
        kicker="Service level report",
        verdict=_verdict(report),
        lead=_lead(report),
        facts=_facts(report),
        warnings=_warnings(report),
        summary=_summary(report),
        overview=None if overview is None else Picture(overview, DAY_LEGEND),
        sections=tuple(sections),
        running=f"{report.tenant} · {report.contract} · {title} · revision {report.revision}",
        content_sha256=sha256,
    )


def _verdict(report: ReportInput) -> Cell:
    told = verdict_cell(report.verdict, running=report.period.running)
    same = [
        objective_verdict(one, report.period) for one in report.objectives if one.verdict == report.verdict
    ]
    # One objective that is lost for good settles the whole.
    return min((told, *same), key=lambda cell: len(cell.text))


def _lead(report: ReportInput) -> str:
    words = {"PASS": "met", "FAIL": "missed", "INDETERMINATE": "not decidable", "NO_DATA": "without data"}
    found = [one.verdict for one in report.objectives]
    parts = [f"{found.count(verdict)} {word}" for verdict, word in words.items() if verdict in found]
    noun = "objective" if len(found) == 1 else "objectives"
    return f"{len(found)} {noun}: {', '.join(parts)}." if found else "The contract has no objectives."


def _facts(report: ReportInput) -> tuple[tuple[str, str], ...]:
    period = report.period
    versions = ", ".join(str(row.version) for row in report.versions) or NONE
    local_start, local_end = period.local_start.replace("T", " "), period.local_end.replace("T", " ")
    facts = [
        ("Client", report.tenant),
        ("Contract", f"{report.contract}, version {versions}"),
        ("Period", f"{local_start} to {local_end} ({period.zone})"),
        ("In UTC", f"{utc_text(period.start_ms)} to {utc_text(period.end_ms)}"),
        ("Data until", f"{local_text(period.data_end_ms, period)} ({zone_text(period)})"),
        ("Revision", _revision(report)),
    ]
    if report.credits:
        facts.append(("Credits", _money(report)))
    return tuple(facts)


def _revision(report: ReportInput) -> str:
    replaced = report.replaces
    if not replaced.revision:
        return str(report.revision)
    why = f": {cause_text(replaced.why)}" if replaced.why else ""
    return f"{report.revision}, replaces revision {replaced.revision}{why}"


def _money(report: ReportInput) -> str:
    named = {
        CreditState.DUE: "due",
        CreditState.REVIEW_REQUIRED: "to be reviewed",
        CreditState.RUNNING: "projected",
    }
    sums: dict[tuple[str, str], Decimal] = {}
    for credit in report.credits:
        if credit.state in named:
            key = (credit.currency, named[credit.state])
            sums[key] = sums.get(key, Decimal(0)) + credit.amount
    return (
        ", ".join(f"{amount:f} {currency} {word}" for (currency, word), amount in sums.items()) or "none due"
    )


def _warnings(report: ReportInput) -> tuple[str, ...]:
    period = report.period
    warnings = []
    if period.running:
        until = local_text(period.data_end_ms, period)
        warnings.append(
            f"The period is not over. Figures are so far, until {until}; projections are marked as such."
        )
    if period.provisional:
        warnings.append("Some data of the period is not final yet. A later revision may differ.")
    return tuple(warnings)


def _summary(report: ReportInput) -> Table:
    return Table(
        caption="Objectives",
        columns=(
            Column("Objective", share=6),
            Column("Target", number=True, share=3),
            Column("Result", number=True, share=3),
            Column("Coverage", number=True, share=3),
            Column("Budget left", number=True, share=3),
            Column("Verdict", share=4),
        ),
        rows=tuple(
            (
                Cell(one.name),
                Cell(target_text(one)),
                Cell(result_text(one)),
                Cell(percent_text(one.coverage)),
                Cell(budget_text(one)),
                objective_verdict(one, report.period),
            )
            for one in report.objectives
        ),
    )


def _credits(report: ReportInput) -> Section | None:
    if not report.credits:
        return None
    blocks: list[Block] = []
    for credit in report.credits:
        blocks += credit_blocks(credit, report.period)
    return Section("credits", "Credits", tuple(blocks), kicker="Service credits", new_page=True)


def _incidents(report: ReportInput) -> Section | None:
    """All incidents and all maintenance of the period in one picture, and the incidents as a table."""
    exclusions = tuple(dict.fromkeys(row for one in report.objectives for row in one.exclusions))
    scene = timeline_scene(report.incidents, exclusions, report.period)
    if scene is None:
        return None
    blocks: list[Block] = [Picture(scene, TIMELINE_LEGEND)]
    if report.incidents:
        blocks.append(incidents_table(report.incidents, report.period))
    return Section("incidents", "Incidents and maintenance", tuple(blocks), kicker="What happened")


def _changes(report: ReportInput) -> Section | None:
    replaced = report.replaces
    if not replaced.revision:
        return None
    shown = replaced.changes[:_MOST_CHANGES]
    facts = (("Replaces", f"revision {replaced.revision}"), ("Its content", replaced.content_sha256 or NONE))
    rows = tuple(
        (
            Cell(one.path),
            Cell(one.old or NONE),
            Cell(one.new or NONE),
            Cell(cause_text(one.reason)),
            Cell(one.actor or NONE),
        )
        for one in shown
    )
    columns = (Column("Value", share=7), Column("Before", share=4), Column("Now", share=4))
    note = (
        ""
        if len(shown) == len(replaced.changes)
        else f"The first {len(shown)} of {len(replaced.changes)}; CSV and JSON hold all of them."
    )
    table = Table(
        f"{count_text(len(replaced.changes))} values changed",
        (*columns, Column("Why", share=3), Column("Who", share=3)),
        rows,
        note,
    )
    return Section("changes", "Changes to the revision before", (Facts(facts), table), kicker="Revision")


def _appendix(report: ReportInput, sha256: str) -> Section:
    period, source = report.period, report.provenance
    facts = [
        ("Data complete until", utc_text(source.watermark_ms)),
        ("Data revision", str(source.data_revision)),
        ("As of", "everything known" if source.as_of_ms is None else utc_text(source.as_of_ms)),
        ("Length of the period", duration_text((period.end_ms - period.start_ms) * 1_000_000)),
        ("Schema", SCHEMA),
        ("Report revision", str(report.revision)),
        ("Content SHA-256", sha256),
    ]
    versions = Table(
        f"Versions of the contract in the period, times in {zone_text(period)}",
        (
            Column("Version", share=2),
            Column("In force from", share=4),
            Column("Until", share=4),
            Column("Here from", share=4),
            Column("Here to", share=4),
        ),
        tuple(
            (
                Cell(str(row.version)),
                Cell(local_text(row.effective_from_ms, period)),
                Cell(local_text(row.until_ms, period)),
                Cell(local_text(row.start_ms, period)),
                Cell(local_text(row.end_ms, period)),
            )
            for row in report.versions
        ),
    )
    blocks: tuple[Block, ...] = (
        Text("How this report is made", "lead"),
        Steps(_HOW),
        versions,
        Title("Origin"),
        Facts(tuple(facts), code=True),
    )
    return Section("appendix", "Origin and method", blocks, kicker="Appendix", new_page=True)
