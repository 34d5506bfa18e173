"""Point 18: late data and retroactive exclusions create a new revision; what was issued stays byte for byte,
and the difference says who, why, old and new."""

import asyncio
from dataclasses import replace

from services.sla.reports.canonical import content_sha256, read_report
from services.sla.reports.causes import CONTRACT, LATE_DATA, MAINTENANCE, MORE_TIME
from services.sla.reports.html import render_html
from services.sla.reports.ledger import ReportPeriod, ReportRecord, ReportState
from services.sla.reports.model import ExclusionRow, ReportInput, VersionRow
from tests.unit.sla.reports.examples import END_MS, START_MS, rich_month, running_month
from tests.unit.sla.reports.office import Office, office

MONTH = ReportPeriod("month", "2026-10", START_MS, END_MS)
H = 3_600_000


async def issue(running: Office, report: ReportInput, *, after: int) -> ReportRecord:
    """Ask for the month with these figures, and make it."""
    running.figures.now = report
    asked = await running.parts.reports.begin("acme", "gold", MONTH, actor="anna")
    await running.maker_step()
    found = await running.store.report("acme", asked.report)
    assert found is not None
    assert found.revision == after + 1
    return found


def with_late_failures(report: ReportInput, count: int) -> ReportInput:
    """Requests of the first objective that arrived later and had failed."""
    first, *rest = report.objectives
    later = replace(first, total=first.total + count)
    source = replace(report.provenance, data_revision=report.provenance.data_revision + 1)
    return replace(report, objectives=(later, *rest), provenance=source)


async def test_late_data_makes_a_revision_and_leaves_the_issued_one_byte_identical() -> None:
    async with office(working=False) as running:
        first = await issue(running, rich_month(), after=0)
        page = render_html(first.content)

        second = await issue(running, with_late_failures(rich_month(), 5), after=1)

        again = await running.store.report("acme", first.report)
        assert again == first
        assert again is not None
        assert again.facts is not None
        assert content_sha256(again.content) == again.facts.content_sha256
        assert render_html(again.content) == page
        report = read_report(second.content)
        assert (report.revision, report.replaces.revision) == (2, 1)
        assert report.replaces.content_sha256 == again.facts.content_sha256
        assert report.replaces.why == LATE_DATA
        total = rich_month().objectives[0].total
        (change,) = [one for one in report.replaces.changes if one.path.endswith("/total")]
        assert (change.old, change.new) == (f'"{total}"', f'"{total + 5}"')
        assert (change.reason, change.actor) == (LATE_DATA, "threenines")


async def test_a_retroactive_exclusion_names_who_announced_it() -> None:
    row = ExclusionRow(
        start_ms=START_MS + H,
        end_ms=START_MS + 2 * H,
        window="mw-late",
        title="Forgotten",
        effect="drop",
        counted=True,
        announced_ms=END_MS,
        announced_by="7f3a",
        reason="announced afterwards",
    )
    async with office(working=False) as running:
        await issue(running, rich_month(), after=0)
        first, *rest = rich_month().objectives
        excluded = replace(first, exclusions=(*first.exclusions, row), good=first.good - 3)
        second = await issue(running, replace(rich_month(), objectives=(excluded, *rest)), after=1)

        replaces = read_report(second.content).replaces
        assert replaces.why == MAINTENANCE
        assert {one.actor for one in replaces.changes} == {"7f3a"}
        assert any(one.path.endswith("/good") for one in replaces.changes)
        assert any("exclusions" in one.path and not one.old for one in replaces.changes)


async def test_of_a_running_month_only_what_maintenance_did_is_blamed_on_it() -> None:
    before = running_month()
    later = replace(before.period, data_end_ms=before.period.data_end_ms + H)
    first, *rest = before.objectives
    row = ExclusionRow(START_MS, START_MS + H, "mw", "Disks", "drop", counted=True, announced_by="7f3a")
    excluded = replace(
        first,
        exclusions=(*first.exclusions, row),
        times=replace(first.times, excluded_ns=first.times.excluded_ns + 1),
        total=first.total + 9,
    )
    async with office(working=False) as running:
        await issue(running, before, after=0)
        now = replace(before, period=later, objectives=(excluded, *rest))
        second = await issue(running, now, after=1)

    replaces = read_report(second.content).replaces
    causes = {one.path.rsplit("/", 1)[-1]: (one.reason, one.actor) for one in replaces.changes}
    assert replaces.why == f"{MAINTENANCE}, {MORE_TIME}"
    assert causes["excluded_ns"] == (MAINTENANCE, "7f3a")
    assert causes["total"] == (MORE_TIME, "threenines")


async def test_a_retroactive_contract_is_told_as_such() -> None:
    async with office(working=False) as running:
        await issue(running, rich_month(), after=0)
        versions = (VersionRow(99, START_MS, None, START_MS, END_MS),)
        second = await issue(running, replace(rich_month(), versions=versions), after=1)
        assert read_report(second.content).replaces.why == CONTRACT


async def test_nothing_new_issues_nothing_even_when_it_was_computed_from_newer_records() -> None:
    async with office(working=False) as running:
        first = await issue(running, rich_month(), after=0)
        source = replace(rich_month().provenance, data_revision=10**6, watermark_ms=END_MS + H)
        second = await issue(running, replace(rich_month(), provenance=source), after=1)
        assert second.state is ReportState.UNCHANGED
        assert not second.content
        assert await running.store.report("acme", first.report) == first


async def test_a_revision_that_was_decided_elsewhere_meanwhile_is_not_issued() -> None:
    async with office(working=False) as running:
        asked = await running.parts.reports.begin("acme", "gold", MONTH, actor="anna")
        running.figures.gate.clear()
        making = asyncio.create_task(running.maker_step())
        await running.figures.began.wait()
        elsewhere = replace(asked, state=ReportState.FAILED, failure_reason="X", seq=0)
        await running.parts.histories.append(elsewhere, behind=asked.seq)
        running.figures.gate.set()
        await making
        found = await running.store.report("acme", asked.report)
        assert found is not None
        assert found.state is ReportState.FAILED


async def test_the_stream_alone_brings_every_issued_byte_back() -> None:
    async with office(working=False) as running:
        first = await issue(running, rich_month(), after=0)
        second = await issue(running, with_late_failures(rich_month(), 1), after=1)
        async with office(working=False, log=running.log) as elsewhere:
            await elsewhere.parts.storer.wait_for(second.seq)
            assert await elsewhere.store.report("acme", first.report) == first
            assert await elsewhere.store.report("acme", second.report) == second
