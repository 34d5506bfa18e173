"""Point 25 from what is measured and agreed to the bytes: everything is carried, and the same comes again.

October 2026 in Berlin in slices of an hour, the target raised on the 15th: point 19 in one report, too.
"""

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from services.common.clock import ManualClock
from services.sla.credits.model import CreditTerms, Tier
from services.sla.incidents.memory import MemoryIncidents
from services.sla.incidents.model import IncidentEvent, IncidentEventKind
from services.sla.maintenance.model import MaintenanceWindow
from services.sla.memory import MemorySliceStore
from services.sla.model import (
    CompositeTerms,
    Contract,
    Distribution,
    DistributionKind,
    IncidentTerms,
    Objective,
    ObjectiveKind,
    Reading,
    Revision,
    Slice,
)
from services.sla.reports.canonical import canonical_json, content_sha256
from services.sla.reports.ledger import ReportPeriod
from services.sla.reports.pdf import render_pdf
from services.sla.reports.source import FigureReports
from services.sla.windows import Calendar, Period, period_around
from tests.unit.sla.reports.test_point_25_report import pdf_words, squeezed

BERLIN = "Europe/Berlin"
H, DAY = 3_600_000, 86_400_000
SPEED = Distribution(DistributionKind.EXPLICIT, (93, 7, 0), bounds=(1.0, 2.5))
"""Of a hundred requests 93 within a second, and 7 of which nobody can say whether they took two."""
H_NS = H * 10**6


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).timestamp() * 1000)


START, END = period_around(Period.MONTH, at("2026-10-10"), BERLIN)
TURN = at("2026-10-15")
MONTH = ReportPeriod("month", "2026-10", START, END)
OUTAGE, NIGHT, UNANNOUNCED = at("2026-10-20T10:00"), at("2026-10-25T01:00"), at("2026-10-27T01:00")


def contract(tenant: str, version: int, target: Fraction, **when: int | None) -> Contract:
    month = Calendar(Period.MONTH)
    requests = Objective(
        *(tenant, "gold", "requests", ObjectiveKind.AVAILABILITY, target, 30 * DAY, "m"),
        time_zone=BERLIN,
        slice_ms=H,
        window=month,
        contract_version=version,
        notice_ms=72 * H,
    )
    critical = replace(
        requests,
        name="critical",
        kind=ObjectiveKind.INCIDENT_RESOLUTION,
        good_share=Fraction(1),
        incident=IncidentTerms("critical", 4 * H),
    )
    journey = replace(
        requests, name="journey", kind=ObjectiveKind.COMPOSITE, composite=CompositeTerms(("requests", "web"))
    )
    p95 = replace(
        requests,
        name="p95",
        kind=ObjectiveKind.LATENCY,
        good_share=Fraction(19, 20),
        threshold_s=Fraction(2),
        reading=Reading.MERGED,
    )
    objectives = (requests, replace(requests, name="web"), critical, journey, p95)
    terms = CreditTerms(
        "gold/requests", Period.MONTH, (Tier(target, Fraction(1, 10)),), "EUR", Decimal("1000.00")
    )
    since = when.get("since") or 0
    return Contract(
        tenant, "gold", version, BERLIN, since, objectives, credits=terms, until_ms=when.get("until")
    )


class Contracts:
    """Two versions for each tenant."""

    held = tuple(
        one
        for tenant in ("acme", "umbra")
        for one in (
            contract(tenant, 1, Fraction(99, 100), until=TURN),
            contract(tenant, 2, Fraction(9999, 10000), since=TURN),
        )
    )

    def versions(self, tenant: str | None = None) -> list[Contract]:
        return [one for one in self.held if tenant in (None, one.tenant)]

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        return [one for one in self.versions(tenant) if one.until_ms is None]

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        return tuple(
            replace(one, from_ms=held.effective_from_ms, until_ms=held.until_ms)
            for held in self.versions(tenant)
            for one in held.objectives
            if one.key == key
        )


def window(name: str, start_ms: int, *, ahead_ms: int) -> MaintenanceWindow:
    times = {"start_ms": start_ms, "end_ms": start_ms + 2 * H, "announced_ms": start_ms - ahead_ms}
    return MaintenanceWindow(
        "acme", name, name.title(), (), creator="ops@acme.example", reason="New disks", **times
    )


def hour(start_ms: int) -> Slice:
    """Up, but for one outage of an hour, the night's maintenance, and an hour of silence on the last day."""
    states = {OUTAGE: (0, 100, "down"), NIGHT: (0, 0, "excluded"), NIGHT + H: (0, 0, "excluded")}
    good, total, state = states.get(start_ms, (100, 100, "up"))
    if start_ms == END - 2 * H:
        good, total, state = 0, 0, "no_data"
    return Slice(start_ms, H, good, total, sealed=True, **{f"{state}_ns": H_NS})


def fast(one: Slice) -> Revision:
    return Revision(replace(one, distribution=SPEED), 1, END)


@pytest.fixture
async def stores() -> tuple[MemorySliceStore, MemoryIncidents]:
    slices, incidents = MemorySliceStore(), MemoryIncidents()
    hours = [hour(start) for start in range(START, END + H, H)]
    for tenant, extra in (("acme", 0), ("umbra", 777_777)):
        rows = [
            (f"gold/{name}", Revision(replace(one, good=one.good + extra, total=one.total + extra), 1, END))
            for name in ("requests", "web")
            for one in hours
        ]
        rows += [("gold/p95", fast(one)) for one in hours if one.total]
        await slices.store(tenant, rows, seq=5)
    opened = IncidentEvent(
        "acme", "INC-7", OUTAGE, "1", IncidentEventKind.OPENED, severity="critical", title="Checkout fails"
    )
    solved = replace(opened, at_ms=OUTAGE + 5 * H, id="2", kind=IncidentEventKind.RESOLVED)
    await incidents.store([opened, solved])
    return slices, incidents


async def content_of(
    stores: tuple[MemorySliceStore, MemoryIncidents],
    period: ReportPeriod = MONTH,
    tenant: str = "acme",
    *,
    now_ms: int = END + DAY,
    contracts: Contracts | None = None,
) -> bytes:
    """As a process that just started makes it."""
    announced = [window("disks", NIGHT, ahead_ms=73 * H), window("hurry", UNANNOUNCED, ahead_ms=H)]
    source = FigureReports(
        contracts=contracts or Contracts(),
        slices=stores[0],
        incidents=stores[1],
        windows=lambda of: announced if of == "acme" else [],
        clock=ManualClock(now_ns=now_ms * 10**6),
    )
    return canonical_json(await source.report_input(tenant, "gold", period, progress=lambda _percent: None))


async def test_a_months_report_carries_everything(stores) -> None:
    report = json.loads(await content_of(stores))
    requests, web, critical, journey, p95 = report["objectives"]

    period = report["period"]
    assert (period["local_start"], period["local_end"]) == (
        "2026-10-01T00:00:00+02:00",
        "2026-11-01T00:00:00+01:00",
    )
    assert (period["start_time"], period["end_time"]) == (
        "2026-09-30T22:00:00.000Z",
        "2026-10-31T23:00:00.000Z",
    )
    assert [one["version"] for one in report["versions"]] == ["1", "2"]
    assert requests["method"][0] == "Requests counted from m."
    counted = 745 - 2
    assert requests["coverage"]["exact"] == f"{counted - 1}/{counted}"
    assert [(one["window"], one["counted"], one["reason"]) for one in requests["exclusions"]] == [
        ("disks", True, "New disks"),
        ("hurry", False, "New disks"),
    ]
    assert "asks for 72h" in requests["exclusions"][1]["why_not"]
    assert [(one["start_time"], one["down_ns"]) for one in requests["downtimes"]] == [
        ("2026-10-20T08:00:00.000Z", str(H_NS))
    ]
    # 1 % of 336 h, and 0.01 % of 406 h that count, less the outage.
    assert requests["budget"]["remaining_ns"] == str((12_096 * 100 + 14_616 - 3_600 * 100) * 10**7)
    assert journey["budget"]["remaining_ns"].startswith("-")
    assert [one["incident"] for one in critical["incidents"]] == ["INC-7"]
    assert critical["verdict"] == "FAIL"
    assert critical["exclusions"] == [], "clocks of incidents run through maintenance"
    assert [one["name"] for one in journey["children"]] == ["requests", "web"]
    assert report["provenance"]["watermark_time"] == "2026-11-01T00:00:00.000Z"
    assert web["name"] == "web"
    buckets = p95["latency"]["buckets"]
    assert [int(one["count"]) for one in buckets] == [93 * (counted - 1), 7 * (counted - 1), 0]
    assert (p95["reading"], p95["verdict"]) == ("merged", "INDETERMINATE")


async def test_the_target_of_each_half_holds_in_its_half(stores) -> None:
    """The outage is after the 15th: 99 % was kept, 99.99 % was not, and both versions have a credit."""
    report = json.loads(await content_of(stores))

    for name in ("requests", "journey"):
        (one,) = [found for found in report["objectives"] if found["name"] == name]
        assert [(row["contract_version"], row["verdict"]) for row in one["segments"]] == [
            ("1", "PASS"),
            ("2", "FAIL"),
        ]
        assert one["verdict"] == "FAIL"
    old, new = report["credits"]
    assert (old["state"], old["amount"]) == ("NOT_DUE", "0.00")
    assert (new["state"], new["amount"]) == ("REVIEW_REQUIRED", "100.00")
    assert any("2026-10-15 00:00+02:00 to 2026-11-01 00:00+01:00" in one for one in new["trace"])


async def test_what_is_stored_gives_the_same_hash_again(stores) -> None:
    first = await content_of(stores)

    assert content_sha256(await content_of(stores, now_ms=END + 400 * DAY)) == content_sha256(first)


async def test_a_running_month_has_what_it_is_and_what_it_can_come_to(stores) -> None:
    half = MemorySliceStore()
    rows = [
        (f"gold/{name}", Revision(hour(start), 1, start + H))
        for name in ("requests", "web")
        for start in range(START, OUTAGE + 4 * H, H)
    ]
    rows += [("gold/p95", fast(hour(start))) for start in range(START, OUTAGE, H)]
    await half.store("acme", rows, seq=5)
    content = await content_of((half, stores[1]), now_ms=OUTAGE + 4 * H)

    for one in json.loads(content)["objectives"]:
        if one["kind"] != "incident_resolution":
            shares = [Fraction(one["projection"][name]["exact"]) for name in ("worst", "so_far", "projected")]
            assert shares == sorted(shares)
            assert len(set(shares)) == 3
    assert squeezed("The period is not over") in pdf_words(render_pdf(content))


async def test_any_range_of_any_tenant_is_its_own(stores) -> None:
    day = ReportPeriod("range", "a-day", at("2026-10-25"), at("2026-10-26"))

    content = await content_of(stores, day, "umbra")

    report = json.loads(content)
    assert report["objectives"][0]["total"] == str(25 * 777_777 + 23 * 100)
    assert report["objectives"][0]["exclusions"] == report["credits"] == report["incidents"] == []
    assert not [one for one in (b"acme", b"INC-7", b"disks") if one in content]


async def test_when_a_version_began_is_told_in_its_own_local_time(stores) -> None:
    """Winter time in January of a year before, whatever the offset of the period is."""
    held = Contracts()
    since = at("2025-01-01")
    first, *others = held.held
    held.held = (replace(first, effective_from_ms=since), *others)

    content = await content_of(stores, contracts=held)

    text = pdf_words(render_pdf(content))
    assert squeezed("2025-01-01 00:00 +01:00") in text
