"""From slices to a report: what the figures say is what the report says."""

import dataclasses
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from services.sla.figures_days import days_of, downtimes_of
from services.sla.figures_incident import resolution_over
from services.sla.figures_model import UsedWindow, WindowFigures
from services.sla.figures_segments import Basis, figures_of, split
from services.sla.incidents.model import IncidentEvent, IncidentEventKind
from services.sla.maintenance.model import Exclusion, MaintenanceWindow
from services.sla.methods.model import ErrorRate
from services.sla.model import (
    Contract,
    Distribution,
    DistributionKind,
    IncidentTerms,
    Objective,
    ObjectiveKind,
)
from services.sla.reports.build import ObjectiveParts, report_input
from services.sla.reports.build_latency import buckets_of
from services.sla.reports.build_objective import objective_report
from services.sla.reports.build_period import offsets_of
from services.sla.reports.canonical import canonical_json, read_report
from services.sla.reports.html import render_html
from services.sla.reports.model import Bucket, BudgetRow, Offset
from services.sla.windows import Calendar, Period, Window
from tests.unit.sla.methods.months import month_of
from tests.unit.sla.reports.examples import CLOCK_BACK_MS, DAY_MS, END_MS, HOUR_MS, START_MS

NS = 10**6
TARGET = Fraction(999, 1000)
REQUESTS = Objective(
    *(
        "acme",
        "gold",
        "requests",
        ObjectiveKind.AVAILABILITY,
        TARGET,
        30 * DAY_MS,
        "http.server.request.duration",
    ),
    slice_ms=HOUR_MS,
    time_zone="Europe/Berlin",
    window=Calendar(Period.MONTH),
    contract_version=3,
)
LATENCY = dataclasses.replace(
    REQUESTS, name="p95", kind=ObjectiveKind.LATENCY, good_share=Fraction(19, 20), threshold_s=Fraction(2)
)


def window_figures(objective, columns, *, data_end_ms=END_MS, versions=()):
    """As the service computes them, from slices of an hour."""
    where = Window(START_MS, END_MS, data_end_ms)
    parts = split(versions or (objective,), where)
    basis = Basis(columns, START_MS, ())
    figures, segments = figures_of(objective, parts, basis, where)
    return WindowFigures(
        objective, figures, segments, days_of(parts, basis, where), downtimes_of(segments, columns)
    )


def hours(outage_hours=(), *, count=745, per_hour=1000):
    """A month by the hour; every request of an outage fails and all of its time is down."""
    good = np.full(count, per_hour, np.int64)
    down = np.zeros(count, np.int64)
    for hour in outage_hours:
        good[hour], down[hour] = 0, HOUR_MS * NS
    return month_of(START_MS, HOUR_MS, good, per_hour, down)


def contract(*objectives, **changes):
    base = Contract("acme", "gold", 3, "Europe/Berlin", START_MS - 90 * DAY_MS, objectives)
    return dataclasses.replace(base, **changes)


def october(one, *parts, versions=None, **more):
    return report_input(
        one,
        versions or [one],
        label="2026-10",
        start_ms=START_MS,
        end_ms=END_MS,
        watermark_ms=more.pop("watermark_ms", END_MS),
        parts=parts,
        **more,
    )


def test_a_month_with_an_outage_of_an_hour():
    figures = window_figures(REQUESTS, hours([30]))

    made = october(contract(REQUESTS), ObjectiveParts(REQUESTS, figures))

    (one,) = made.objectives
    assert (made.verdict, one.verdict, one.unit) == ("FAIL", "FAIL", "requests")
    assert one.share == Fraction(744, 745)
    assert one.displayed == "99.865"
    assert (one.good, one.total) == (744_000, 745_000)
    assert one.times.down_ns == HOUR_MS * NS
    assert one.budget.allowed == 745
    assert one.budget.remaining == -255
    assert one.budget.remaining_share == 1 - Fraction(1000, 745)
    assert [row.date for row in one.days if row.verdict == "FAIL"] == ["2026-10-02"]
    assert [(row.start_ms, row.end_ms) for row in one.downtimes] == [
        (START_MS + 30 * HOUR_MS, START_MS + 31 * HOUR_MS)
    ]
    assert one.burn[-1].consumed == Fraction(1000, 745)
    assert [row.chosen for row in one.policies] == [True, False, False]
    assert not made.period.running


def test_the_local_day_with_25_hours_is_one_day():
    made = october(contract(REQUESTS), ObjectiveParts(REQUESTS, window_figures(REQUESTS, hours())))

    (long,) = [row for row in made.objectives[0].days if row.end_ms - row.start_ms == 25 * HOUR_MS]
    assert long.date == "2026-10-25"
    assert len(made.objectives[0].days) == 31
    assert made.objectives[0].displayed == "100"


def test_the_period_is_in_utc_and_in_local_time():
    made = october(contract(REQUESTS), ObjectiveParts(REQUESTS, None))

    assert made.period.local_start == "2026-10-01T00:00:00+02:00"
    assert made.period.local_end == "2026-11-01T00:00:00+01:00"
    assert Offset(CLOCK_BACK_MS, 3600) in made.period.offsets


def test_offsets_of_half_an_hour_and_of_zones_without_changes():
    lord_howe = offsets_of("Australia/Lord_Howe", 1_775_000_000_000, 1_776_000_000_000)

    assert [one.seconds for one in lord_howe] == [39_600, 37_800]
    assert lord_howe[1].from_ms == 1_775_314_800_000
    assert offsets_of("UTC", 0, 10**12) == (Offset(0, 0),)


def test_an_objective_without_any_data_is_no_data():
    made = october(contract(REQUESTS), ObjectiveParts(REQUESTS, None))

    (one,) = made.objectives
    assert (made.verdict, one.verdict, one.displayed, one.share) == ("NO_DATA", "NO_DATA", "", None)
    assert one.budget == BudgetRow()
    assert b"No data" in render_html(canonical_json(made))


def test_terms_before_and_after_the_15th_are_segments():
    middle = START_MS + 14 * DAY_MS
    old = dataclasses.replace(REQUESTS, good_share=Fraction(1, 2), until_ms=middle, contract_version=2)
    new = dataclasses.replace(REQUESTS, from_ms=middle)
    figures = window_figures(new, hours([30]), versions=(old, new))
    before = contract(old, version=2, until_ms=middle)
    after = contract(new, effective_from_ms=middle)

    made = october(after, ObjectiveParts(new, figures), versions=[before, after])

    assert [(row.version, row.start_ms, row.end_ms) for row in made.versions] == [
        (2, START_MS, middle),
        (3, middle, END_MS),
    ]
    segments = made.objectives[0].segments
    assert [(row.contract_version, row.target, row.verdict) for row in segments] == [
        (2, Fraction(1, 2), "PASS"),
        (3, TARGET, "PASS"),
    ]
    assert segments[0].terms == "At least 50 % of requests succeed."


def test_a_running_month_is_projected():
    until = START_MS + 240 * HOUR_MS
    figures = window_figures(REQUESTS, hours([30], count=240), data_end_ms=until)

    made = october(contract(REQUESTS), ObjectiveParts(REQUESTS, figures), watermark_ms=until)

    (one,) = made.objectives
    assert made.period.running
    assert made.period.data_end_ms == until
    assert one.projection is not None
    assert one.projection.so_far == Fraction(239, 240)
    assert one.projection.projected == Fraction(744, 745)
    assert (one.projection.projected_verdict, one.projection.worst_verdict) == ("FAIL", "FAIL")
    assert one.budget.period_allowed_ns == 745 * 3600 * 10**9 // 1000
    assert one.burn[-1].at_ms == until
    assert one.burn[-1].consumed == Fraction(1000, 745)


def test_maintenance_says_who_announced_it_and_why_it_does_not_count():
    window = MaintenanceWindow(
        "acme",
        "upgrade",
        "Upgrade",
        (),
        START_MS,
        START_MS + HOUR_MS,
        announced_ms=5,
        creator="ops",
        reason="db",
    )
    parts = ObjectiveParts(
        REQUESTS,
        window_figures(REQUESTS, hours()),
        exclusions=[
            Exclusion(START_MS, START_MS + HOUR_MS, "upgrade", "Upgrade", counted=False, why_not="late")
        ],
        windows={"upgrade": window},
    )

    (row,) = october(contract(REQUESTS), parts).objectives[0].exclusions

    assert (row.counted, row.why_not, row.announced_ms, row.announced_by, row.reason) == (
        *(False, "late", 5, "ops"),
        "db",
    )
    assert row.effect == "drop"


def test_a_latency_report_has_bounds_and_distribution():
    columns = hours()
    count = len(columns.start_ms)
    columns = dataclasses.replace(
        columns,
        kind=np.full(count, DistributionKind.EXPONENTIAL),
        scale=np.full(count, 3),
        offset=np.zeros(count, np.int64),
        at=np.arange(count + 1, dtype=np.int64) * 2,
        counts=np.tile(np.array([990, 10], np.int64), count),
    )
    distribution = Distribution(DistributionKind.EXPONENTIAL, (990 * count, 10 * count), 3, 0)

    made = october(
        contract(LATENCY),
        ObjectiveParts(LATENCY, window_figures(LATENCY, columns), distribution=distribution),
    )

    (one,) = made.objectives
    assert one.latency is not None
    assert (one.verdict, one.reading) == ("PASS", "merged")
    assert one.latency.lower_s == Decimal("1.0")
    assert one.latency.upper_s == Decimal(repr(2 ** (1 / 8)))
    assert (one.latency.sure, one.latency.total) == (745_000, 745_000)
    assert sum(bucket.count for bucket in one.latency.buckets) == 745_000
    assert all(row.quantile_s == one.latency.estimate_s for row in one.days)
    assert read_report(canonical_json(made)) == made
    assert b"distribution of response times" in render_html(canonical_json(made))


@pytest.mark.parametrize("dark", [0, 1])
def test_latency_shows_100_percent_only_where_nothing_is_missing(dark):
    """Point 6: every request was quick enough, and for a nanosecond nobody knows."""
    columns = hours()
    count = len(columns.start_ms)
    durations = columns.durations.copy()
    durations[[0, 4], 30] = durations[0, 30] - dark, dark
    columns = dataclasses.replace(
        columns,
        durations=durations,
        kind=np.full(count, DistributionKind.EXPONENTIAL),
        at=np.arange(count + 1, dtype=np.int64),
        counts=np.full(count, 1000, np.int64),
    )

    made = october(contract(LATENCY), ObjectiveParts(LATENCY, window_figures(LATENCY, columns)))

    (one,) = made.objectives
    assert one.displayed == ("99.999" if dark else "100")
    assert [row.displayed for row in one.days].count("99.999") == dark
    assert [(row.policy, row.verdict, row.chosen) for row in one.policies] == [
        ("exclude", "PASS", True),
        ("count_down", "PASS", False),
        ("count_up", "PASS", False),
    ]


def test_buckets_of_explicit_bounds_end_without_one():
    found = buckets_of(Distribution(DistributionKind.EXPLICIT, (5, 6, 7), bounds=(0.5, 2.0)))

    assert found == (Bucket(Decimal("0.5"), 5), Bucket(Decimal("2.0"), 6), Bucket(None, 7))


def test_buckets_of_exponential_counts_keep_zeros_and_the_exact_two():
    found = buckets_of(Distribution(DistributionKind.EXPONENTIAL, (4, 1), 0, 0, zero_count=3))

    assert found == (Bucket(Decimal("1.0"), 3), Bucket(Decimal("2.0"), 4), Bucket(Decimal("4.0"), 1))


def test_incidents_have_limits_and_those_that_run_have_no_end():
    objective = dataclasses.replace(
        REQUESTS,
        name="critical",
        kind=ObjectiveKind.INCIDENT_RESOLUTION,
        good_share=Fraction(1),
        incident=IncidentTerms("critical", 4 * HOUR_MS),
    )
    events = [
        IncidentEvent("acme", "i1", START_MS + HOUR_MS, "1", IncidentEventKind.OPENED, "critical", "Down"),
        IncidentEvent("acme", "i1", START_MS + 7 * HOUR_MS, "2", IncidentEventKind.RESOLVED),
        IncidentEvent("acme", "i2", END_MS - HOUR_MS, "3", IncidentEventKind.OPENED, "critical", "Slow"),
    ]
    where = Window(START_MS, END_MS, END_MS)
    found, segments = resolution_over(
        objective, split((objective,), where), events, UsedWindow(where, "Europe/Berlin", False, 0)
    )

    made = objective_report(
        ObjectiveParts(objective, WindowFigures(objective, found, segments, (), ())), where
    )

    assert (made.verdict, made.good, made.total, made.displayed) == ("FAIL", 0, 1, "0.000")
    assert [(row.incident, row.state, row.in_time, row.stopped_ms) for row in made.incidents] == [
        ("i1", "STOPPED", False, START_MS + 7 * HOUR_MS),
        ("i2", "RUNNING", None, None),
    ]
    assert made.incidents[0].limit_ns == 4 * HOUR_MS * NS
    assert made.promise == "All critical incidents are resolved within 4 h."
    assert made.coverage is None


def test_intervals_of_an_error_rate_are_down_as_a_whole():
    objective = dataclasses.replace(
        REQUESTS, method=ErrorRate(above=Fraction(1, 20), interval_ms=HOUR_MS, consecutive=2)
    )

    made = objective_report(
        ObjectiveParts(objective, window_figures(objective, hours([30, 31, 50]))),
        Window(START_MS, END_MS, END_MS),
    )

    assert [row.down_ns for row in made.downtimes] == [2 * HOUR_MS * NS]
    assert made.share == 1 - Fraction(2, 745)
    assert made.promise == "The service is available at least 99.9 % of the time."


def test_a_target_of_100_percent_has_no_burn_and_any_failure_breaches():
    objective = dataclasses.replace(REQUESTS, good_share=Fraction(1))

    made = objective_report(
        ObjectiveParts(objective, window_figures(objective, hours([30]))), Window(START_MS, END_MS, END_MS)
    )

    assert made.burn == ()
    assert made.budget.any_failure_breaches
    assert made.budget.remaining_share is None
    assert made.verdict == "FAIL"


def test_a_report_without_data_ends_at_the_watermark():
    made = october(contract(REQUESTS), ObjectiveParts(REQUESTS, None), watermark_ms=START_MS - 5)

    assert made.period.data_end_ms == START_MS
    assert made.period.running


@pytest.mark.parametrize("kind", [one for one in ObjectiveKind if one is not ObjectiveKind.COMPOSITE])
def test_every_kind_says_what_it_promises(kind):
    objective = dataclasses.replace(
        LATENCY, kind=kind, incident=IncidentTerms("", 3_600_000), good_share=Fraction(1)
    )

    made = objective_report(ObjectiveParts(objective, None), Window(START_MS, END_MS, END_MS))

    assert made.promise.endswith(".")
    assert made.window == "calendar month, Europe/Berlin"
    assert all(sentence.endswith(".") for sentence in made.method)
