"""Reports to test with: a month with everything in it, a running one, one without any data, hostile names."""

import dataclasses
from decimal import Decimal
from fractions import Fraction

from services.sla.credits.model import Credit, CreditState, Tier
from services.sla.reports.model import (
    Bucket,
    BudgetRow,
    BurnPoint,
    Change,
    ChildRow,
    DayRow,
    DownRow,
    ExclusionRow,
    IncidentRow,
    LatencyReport,
    ObjectiveReport,
    Offset,
    Period,
    PolicyVerdict,
    ProjectionRow,
    Provenance,
    Replaced,
    ReportInput,
    SegmentRow,
    VersionRow,
)
from services.sla.verdict import Times, displayed_percent

HOUR_MS, DAY_MS, NS = 3_600_000, 86_400_000, 1_000_000
START_MS = 1_790_805_600_000
"""2026-10-01 00:00 in Berlin; the month has 745 hours."""
END_MS = START_MS + 745 * HOUR_MS
CLOCK_BACK_MS = 1_792_890_000_000
TARGET = Fraction(999, 1000)
OUTAGE_MS = START_MS + 11 * DAY_MS + 14 * HOUR_MS
MAINTENANCE_MS = START_MS + 17 * DAY_MS + 2 * HOUR_MS
SILENT_DAY, RUNNING_DAYS = 21, 12
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}]]>\u202egnp\x00=cmd|'/C calc'!A0" + "long" * 40


def period(*, until_ms: int = END_MS, label: str = "2026-10") -> Period:
    """October 2026 in Berlin with data up to an instant."""
    return Period(
        label=label,
        start_ms=START_MS,
        end_ms=END_MS,
        data_end_ms=until_ms,
        zone="Europe/Berlin",
        local_start="2026-10-01T00:00:00+02:00",
        local_end="2026-11-01T00:00:00+01:00",
        offsets=(Offset(START_MS, 7200), Offset(CLOCK_BACK_MS, 3600)),
        running=until_ms < END_MS,
        provisional=until_ms < END_MS,
    )


def times(span_ms: int, *, down: int = 0, degraded: int = 0, excluded: int = 0, no_data: int = 0) -> Times:
    """A span in which what is not named was up, all in milliseconds."""
    up = span_ms - down - degraded - excluded - no_data
    return Times(*(n * NS for n in (up, degraded, down, excluded, no_data, 0)))


def day_rows(days: int, *, outage: bool = True, quantile: bool = False) -> tuple[DayRow, ...]:
    """Days with an outage on the 12th, maintenance on the 18th and no data on the 22nd."""
    rows = []
    at = START_MS
    for day in range(days):
        span = DAY_MS + (HOUR_MS if day == 24 else 0)
        down = {11: 47 * 60_000 + 30_000, 4: 20_000, 26: 100_000}.get(day, 0) if outage else 0
        excluded = 2 * HOUR_MS if day == 17 else 0
        no_data = span if day == SILENT_DAY else 0
        total = 0 if no_data else 412_345 + 7919 * (day % 7)
        bad = down * total // span + (day * 37 % 11 if total else 0)
        share = Fraction(total - bad, total) if total else None
        verdict = "NO_DATA" if share is None else "PASS" if share >= TARGET else "FAIL"
        p95 = Decimal("0.843") + Decimal(day % 5) / 20 + (Decimal("1.9") if day == 11 and outage else 0)
        rows.append(
            DayRow(
                date=f"2026-10-{day + 1:02d}",
                start_ms=at,
                end_ms=at + span,
                good=total - bad,
                total=total,
                times=times(span, down=down, excluded=excluded, no_data=no_data),
                share=share,
                displayed=displayed_percent(share, flawless=bad == 0 and down == 0),
                verdict=verdict,
                quantile_s=p95 if quantile and total else None,
            )
        )
        at += span
    return tuple(rows)


def availability(name: str = "requests", days: int = 31, *, outage: bool = True) -> ObjectiveReport:
    """A request ratio with everything that a report can say of it."""
    rows = day_rows(days, outage=outage)
    good, total = sum(row.good for row in rows), sum(row.total for row in rows)
    share = Fraction(good, total)
    all_times = Times(*(sum(getattr(row.times, one) for row in rows) for one in Times.__slots__))
    allowed_ns = (rows[-1].end_ms - START_MS - 2 * HOUR_MS) * NS // 1000
    allowed = total // 1000
    bad = total - good
    burn, so_far = [], 0
    for row in rows:
        so_far += row.total - row.good
        burn.append(BurnPoint(row.end_ms, Fraction(so_far * 1000, total * 31 // days)))
    verdict = "PASS" if share >= TARGET else "FAIL"
    return ObjectiveReport(
        name=name,
        kind="availability",
        promise="At least 99.9 % of requests in each calendar month succeed.",
        method=(
            "Good requests of all requests, counted from http.server.request.duration.",
            "Failed: http.response.status_code of 500 and above.",
            "Announced maintenance leaves the denominator; it must be announced 72 h ahead.",
        ),
        window="calendar month, Europe/Berlin",
        target=TARGET,
        verdict=verdict,
        share=share,
        displayed=displayed_percent(share, flawless=False),
        times=all_times,
        coverage=all_times.coverage,
        coverage_floor=Fraction(9, 10),
        good=good,
        total=total,
        unit="requests",
        budget=BudgetRow(
            allowed_ns=allowed_ns,
            consumed_ns=all_times.down_ns,
            remaining_ns=allowed_ns - all_times.down_ns,
            allowed=allowed,
            consumed=bad,
            remaining=allowed - bad,
            remaining_share=1 - Fraction(bad * 1000, total),
        ),
        policies=(
            PolicyVerdict("exclude", verdict, chosen=True),
            PolicyVerdict("count_down", "FAIL", chosen=False),
            PolicyVerdict("count_up", verdict, chosen=False),
        ),
        days=rows,
        downtimes=downtimes(rows) if outage else (),
        exclusions=exclusions(),
        burn=tuple(burn),
        segments=segments(share) if days == 31 else (),
    )


def downtimes(rows: tuple[DayRow, ...]) -> tuple[DownRow, ...]:
    """One for each day that was down."""
    found = []
    for row in rows:
        if row.times.down_ns:
            at, length = row.start_ms + 14 * HOUR_MS, row.times.down_ns // NS
            bad = row.total - row.good
            found.append(DownRow(at, at + length, row.times.down_ns, 0, 0, bad, row.total // 20))
    return tuple(found)


def exclusions() -> tuple[ExclusionRow, ...]:
    """One that counts, one that was announced too late."""
    return (
        ExclusionRow(
            start_ms=MAINTENANCE_MS,
            end_ms=MAINTENANCE_MS + 2 * HOUR_MS,
            window="db-upgrade",
            title="Database upgrade",
            effect="drop",
            counted=True,
            announced_ms=MAINTENANCE_MS - 6 * DAY_MS,
            announced_by="ops@example.com",
            reason="Major version of the database",
        ),
        ExclusionRow(
            start_ms=OUTAGE_MS,
            end_ms=OUTAGE_MS + HOUR_MS,
            window="hotfix",
            title="Hotfix of the load balancer",
            effect="drop",
            counted=False,
            why_not="Announced 20 min before its start; the contract asks for 72 h",
            announced_ms=OUTAGE_MS - 20 * 60_000,
            announced_by="ops@example.com",
        ),
    )


def segments(share: Fraction) -> tuple[SegmentRow, ...]:
    """Two versions of the terms."""
    middle = START_MS + 14 * DAY_MS
    return (
        SegmentRow(
            3, START_MS, middle, "99.5 % of requests", Fraction(199, 200), share, "99.841 %", 5, 5, "PASS"
        ),
        SegmentRow(4, middle, END_MS, "99.9 % of requests", TARGET, share, "99.991 %", 5, 5, "PASS"),
    )


def latency(name: str = "p95", days: int = 31, *, verdict: str = "PASS") -> ObjectiveReport:
    """A 95th percentile from exponential buckets of scale 3."""
    buckets, total = [], 0
    for index in range(-40, 26):
        upper = Decimal(repr(2.0 ** ((index + 1) / 8)))
        count = max(0, 40_000 - (index + 12) ** 2 * 61) + max(0, 900 - (index - 14) ** 2 * 60)
        buckets.append(Bucket(upper, count))
        total += count
    sure = sum(bucket.count for bucket in buckets if bucket.upper_s is not None and bucket.upper_s <= 2)
    base = availability(name, days)
    return dataclasses.replace(
        base,
        kind="latency",
        promise="In each calendar month 95 % of requests take less than 2 s.",
        method=("Response times of http.server.request.duration as exponential histograms, merged exactly.",),
        target=Fraction(19, 20),
        verdict=verdict,
        share=Fraction(sure, total),
        displayed=displayed_percent(Fraction(sure, total), flawless=False),
        good=sure,
        total=total,
        reading="merged",
        budget=BudgetRow(
            allowed=total // 20,
            consumed=total - sure,
            remaining=total // 20 - total + sure,
            remaining_share=1 - Fraction((total - sure) * 20, total),
        ),
        segments=(),
        downtimes=(),
        days=day_rows(days, quantile=True),
        burn=tuple(BurnPoint(point.at_ms, point.consumed / 8) for point in base.burn),
        latency=LatencyReport(
            quantile=Fraction(19, 20),
            threshold_s=Fraction(2),
            estimate_s=Decimal("0.95757"),
            lower_s=Decimal("0.9170040432046712"),
            upper_s=Decimal("1.0"),
            saturated=False,
            sure=sure,
            possible=sure,
            total=total,
            buckets=tuple(buckets),
        ),
    )


def incidents(name: str = "critical") -> ObjectiveReport:
    """One in time, one late, one that is still open."""
    limit = 4 * HOUR_MS * NS
    rows = (
        IncidentRow(
            "INC-311", "Checkout fails", "critical", OUTAGE_MS, OUTAGE_MS + 50 * 60_000, "STOPPED",
            50 * 60_000 * NS, 50 * 60_000 * NS, limit, True,
        ),
        IncidentRow(
            "INC-327", "Exports stuck", "critical", OUTAGE_MS + 5 * DAY_MS,
            OUTAGE_MS + 5 * DAY_MS + 5 * HOUR_MS,
            "STOPPED", 5 * HOUR_MS * NS, 5 * HOUR_MS * NS, limit, False,
        ),
        IncidentRow(
            "INC-341", "Slow search", "critical", END_MS - 2 * HOUR_MS, None, "RUNNING",
            2 * HOUR_MS * NS, 2 * HOUR_MS * NS, limit, None,
        ),
    )  # fmt: skip
    return ObjectiveReport(
        name=name,
        kind="incident_resolution",
        promise="Every critical incident is resolved within 4 h.",
        method=("Wall clock from opening to resolution; pauses do not count.",),
        window="calendar month, Europe/Berlin",
        target=Fraction(1),
        verdict="FAIL",
        share=Fraction(1, 2),
        displayed="50.000",
        times=times(0),
        coverage=None,
        coverage_floor=Fraction(9, 10),
        good=1,
        total=2,
        unit="incidents",
        budget=BudgetRow(any_failure_breaches=True),
        incidents=rows,
    )


def data_availability(name: str = "stored") -> ObjectiveReport:
    """All points that were acknowledged are stored: a target of 100 %."""
    rows = day_rows(31, outage=False)
    base = availability(name, outage=False)
    return dataclasses.replace(
        base,
        kind="data_availability",
        promise="All acknowledged data points are stored.",
        target=Fraction(1),
        verdict="PASS",
        share=Fraction(1),
        displayed="99.999",
        good=982_345_678,
        total=982_345_678,
        unit="points",
        budget=BudgetRow(allowed=0, consumed=0, remaining=0, any_failure_breaches=True),
        days=tuple(
            dataclasses.replace(
                row, good=row.total, share=Fraction(1) if row.total else None, displayed="100",
                verdict="PASS" if row.total else "NO_DATA",
            ) for row in rows
        ),
        burn=(),
        segments=(),
        exclusions=(),
    )  # fmt: skip


def composite(name: str = "journey") -> ObjectiveReport:
    """Two children, down while any is."""
    base = availability(name)
    children = (
        ChildRow("requests", Fraction(1), 2_970_000_000_000, 0, 7_200_000_000_000, Fraction(9989, 10000)),
        ChildRow("probe", Fraction(1), 0, 86_400_000_000_000, 7_200_000_000_000, Fraction(1)),
    )
    return dataclasses.replace(
        base,
        kind="composite",
        promise="The whole journey is up at least 99.9 % of the time.",
        verdict="INDETERMINATE",
        children=children,
        unit="",
        good=0,
        total=0,
        segments=(),
        days=(),
        budget=BudgetRow(
            allowed_ns=2_682_000_000_000,
            consumed_ns=2_970_000_000_000,
            remaining_ns=-288_000_000_000,
            remaining_share=Fraction(-288, 2682),
        ),
    )


def no_data_objective(name: str = "requests") -> ObjectiveReport:
    """Nothing was ever received."""
    base = availability(name)
    silent = tuple(
        dataclasses.replace(
            row, good=0, total=0, share=None, displayed="", verdict="NO_DATA",
            times=times((row.end_ms - row.start_ms), no_data=row.end_ms - row.start_ms),
        )
        for row in base.days
    )  # fmt: skip
    return dataclasses.replace(
        base,
        verdict="NO_DATA",
        share=None,
        displayed="",
        good=0,
        total=0,
        times=times(END_MS - START_MS, no_data=END_MS - START_MS),
        coverage=Fraction(0),
        budget=BudgetRow(frozen=True),
        policies=tuple(
            PolicyVerdict(one, "NO_DATA", one == "exclude") for one in ("exclude", "count_down", "count_up")
        ),
        days=silent,
        downtimes=(),
        exclusions=(),
        segments=(),
        burn=(),
    )


def credit(state: CreditState = CreditState.DUE, objective: str = "gold/requests") -> Credit:
    """A credit of 10 %."""
    return Credit(
        tenant="acme",
        contract="gold",
        contract_version=4,
        objective=objective,
        period_start_ms=START_MS,
        period_end_ms=END_MS,
        measured=Fraction(99_893, 100_000),
        state=state,
        tier=Tier(TARGET, Fraction(1, 10)),
        amount=Decimal("1250.00"),
        currency="EUR",
        claim_by_ms=END_MS + 60 * DAY_MS,
        trace=(
            "Contract gold version 4 of acme, objective gold/requests: 2026-10-01 00:00+02:00 to"
            " 2026-11-01 00:00+01:00 Europe/Berlin.",
            "Schedule: aws-s3-standard from https://aws.amazon.com/s3/sla/.",
            "Measured: 99893/100000, 99.893 %.",
            "Below 99.9 %: 10 % of 12500.00 EUR.",
            "Due: 1250.00 EUR, 10 % of the fee.",
        ),
        name="tenants/acme/credits/gold-2026-10-v4",
        projected=Fraction(9995, 10_000) if state is CreditState.RUNNING else None,
    )


def report(objectives: tuple[ObjectiveReport, ...], **changes: object) -> ReportInput:
    """A report on a closed month."""
    base = ReportInput(
        tenant="acme",
        contract="gold",
        period=period(),
        versions=(
            VersionRow(3, START_MS - 90 * DAY_MS, START_MS + 14 * DAY_MS, START_MS, START_MS + 14 * DAY_MS),
            VersionRow(4, START_MS + 14 * DAY_MS, None, START_MS + 14 * DAY_MS, END_MS),
        ),
        verdict="FAIL",
        objectives=objectives,
        provenance=Provenance(watermark_ms=END_MS + 30_000, data_revision=184_223),
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def rich_month() -> ReportInput:
    """Six objectives with all kinds of verdicts, credits, incidents, and a revision before."""
    critical = incidents()
    return report(
        (availability(), latency(), critical, data_availability(), composite(), no_data_objective("probe")),
        tenant="Acme Logistics Europe GmbH",
        credits=(credit(), credit(CreditState.REVIEW_REQUIRED, "gold/journey")),
        incidents=critical.incidents,
        revision=2,
        replaces=Replaced(
            revision=1,
            content_sha256="0f" * 32,
            why="late data from two senders",
            changes=(
                Change("/objectives/requests/good", '"13103992"', '"13104004"', "LATE_DATA", "collector"),
                Change("/objectives/requests/displayed", '"99.892"', '"99.893"', "LATE_DATA", "collector"),
            ),
        ),
    )


def running_month() -> ReportInput:
    """Twelve days of it."""
    until = START_MS + RUNNING_DAYS * DAY_MS
    rest = (END_MS - until) * NS
    one = dataclasses.replace(
        availability(days=RUNNING_DAYS),
        projection=ProjectionRow(
            Fraction(99_731, 100_000),
            "FAIL",
            Fraction(99_895, 100_000),
            "FAIL",
            Fraction(38_5, 1000),
            "FAIL",
            rest,
        ),
    )
    return report(
        (one, latency(days=RUNNING_DAYS)),
        period=period(until_ms=until),
        credits=(credit(CreditState.RUNNING),),
        provenance=Provenance(watermark_ms=until, data_revision=70_112),
    )


def silent_month() -> ReportInput:
    """NO_DATA for the whole month."""
    return report((no_data_objective(), no_data_objective("probe")), verdict="NO_DATA")


def flawless_month() -> ReportInput:
    """One objective, met."""
    one = availability(outage=False)
    return report((one,), verdict="PASS")


def hostile_month() -> ReportInput:
    """Names that try to break out of every format."""
    one = dataclasses.replace(
        availability(HOSTILE), promise=HOSTILE, method=(HOSTILE, HOSTILE), window=HOSTILE,
        exclusions=tuple(dataclasses.replace(row, title=HOSTILE, reason=HOSTILE) for row in exclusions()),
    )  # fmt: skip
    bad = dataclasses.replace(credit(), objective=HOSTILE, trace=(HOSTILE,), currency=HOSTILE)
    rows = tuple(dataclasses.replace(row, title=HOSTILE, severity=HOSTILE) for row in incidents().incidents)
    names = {"tenant": HOSTILE, "contract": HOSTILE, "period": dataclasses.replace(period(), label=HOSTILE)}
    return report((one,), credits=(bad,), incidents=rows, **names)


EXAMPLES = {
    "rich": rich_month,
    "running": running_month,
    "silent": silent_month,
    "flawless": flawless_month,
    "hostile": hostile_month,
}
