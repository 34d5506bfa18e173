"""What a contract document says, as the SLA service understands it."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from services.common.config_feed import AppliedDocument
from services.common.contract_versions import ContractVersion, effective_ms
from services.common.documents import Document, DocumentErrors, Kind, load_documents
from services.common.documents_contract import ContractSpec
from services.sla.contract_check import check_contract
from services.sla.credits.model import Tier
from services.sla.methods.model import (
    AllFail,
    ErrorRate,
    Heartbeat,
    MeanErrorRate,
    Method,
    Probe,
    RequestRatio,
    Signal,
    Uptime,
)
from services.sla.model import (
    CompositeMode,
    CompositeTerms,
    Contract,
    Effect,
    IncidentClock,
    IncidentTerms,
    IncidentUntil,
    ObjectiveKind,
    Reading,
    ReportTerms,
    ServiceHours,
)
from services.sla.objectives import contract_of
from services.sla.windows import Calendar, Period, Rolling
from tests.unit.common.contract_texts import TENANT, UP, contract, load


def understood(document: Document) -> Contract:
    spec = document.spec
    assert isinstance(spec, ContractSpec)
    applied = AppliedDocument(Kind.CONTRACT, document.tenant, document.name, spec, 7)
    return contract_of(ContractVersion(applied, effective_ms(spec), None))


def one_of(tmp_path: Path, *objectives: str, more: str = "") -> Contract:
    (document,) = load(tmp_path, contract(*objectives, more=more))
    return understood(document)


@pytest.mark.parametrize(
    ("written", "method"),
    [
        ("", RequestRatio()),
        ("method: {type: request_ratio}", RequestRatio()),
        ("method: {type: uptime}", Uptime()),
        ("method: {type: all_fail}", AllFail(60_000, 1)),
        ("method: {type: all_fail, interval: 5m, min_requests: 3}", AllFail(300_000, 3)),
        ("method: {type: error_rate, above: 10%}", ErrorRate(Fraction(1, 10))),
        (
            "method: {type: error_rate, above: 5%, interval: 2m, consecutive: 5, min_requests: 100,"
            " partial_intervals: true}",
            ErrorRate(Fraction(1, 20), 120_000, 5, 100, True),
        ),
        ("method: {type: mean_error_rate, interval: 1h}", MeanErrorRate(3_600_000)),
    ],
)
def test_methods_are_data(tmp_path: Path, written: str, method: Method) -> None:
    (one,) = one_of(tmp_path, f"{UP[:-1]}, {written}}}").objectives
    assert (one.method, one.from_requests) == (method, True)


@pytest.mark.parametrize(
    ("written", "signal"),
    [
        ("{type: probe, metric: up, up_at_least: 50%}", Probe("up", Fraction(1, 2))),
        ("{type: heartbeat, metric: beat, every: 90s}", Heartbeat("beat", 90_000)),
    ],
)
def test_signals_are_measured_by_uptime(tmp_path: Path, written: str, signal: Signal) -> None:
    (one,) = one_of(tmp_path, f"{UP[:-1]}, signal: {written}}}").objectives

    assert (one.signal, one.method, one.from_requests) == (signal, Uptime(), False)
    assert signal is not None
    assert one.metric == signal.metric


@pytest.mark.parametrize(
    ("written", "window", "length_ms"),
    [
        ("30d", Rolling(2_592_000_000), 2_592_000_000),
        ("month", Calendar(Period.MONTH), 2_592_000_000),
        ("quarter", Calendar(Period.QUARTER), 91 * 86_400_000),
    ],
)
def test_windows_roll_or_follow_the_calendar(
    tmp_path: Path, written: str, window: Rolling | Calendar, length_ms: int
) -> None:
    (one,) = one_of(tmp_path, UP.replace("month", written)).objectives
    assert (one.window, one.window_ms, one.time_zone) == (window, length_ms, "Europe/Berlin")


def test_incidents_run_on_their_clock_in_service_hours(tmp_path: Path) -> None:
    more = "service_hours: {days: [sat, mon], from: '08:00', to: '20:00', holidays: [2026-12-25]}"
    written = (
        "{{name: {}, type: incident_resolution, severity: critical, target: 4h, share: 95%, window: month{}}}"
    )
    made = one_of(
        tmp_path,
        written.format("a", ", clock: service_hours, until: verified"),
        written.format("b", ""),
        more=more,
    )
    first, second = made.objectives
    hours = ServiceHours((0, 5), 480, 1200, (date(2026, 12, 25),))

    assert made.hours == hours
    assert (first.kind, first.good_share) == (ObjectiveKind.INCIDENT_RESOLUTION, Fraction(95, 100))
    assert first.incident == IncidentTerms(
        "critical", 14_400_000, IncidentClock.SERVICE_HOURS, IncidentUntil.VERIFIED, hours
    )
    assert second.incident == IncidentTerms("critical", 14_400_000)
    assert not first.from_requests


def test_composites_name_their_children_and_weights(tmp_path: Path) -> None:
    written = "{{name: {}, type: composite, target: 99%, window: month, children: [up, p95]{}}}"
    latency = "{name: p95, type: latency, target: 2s, window: month, reading: requests}"
    *_, union, weighted = one_of(
        tmp_path,
        UP,
        latency,
        written.format("j", ""),
        written.format("k", ", mode: weighted, weights: {up: 2}"),
    ).objectives

    assert union.composite == CompositeTerms(("up", "p95"), CompositeMode.INTERVAL_UNION, (1, 1))
    assert weighted.composite == CompositeTerms(("up", "p95"), CompositeMode.WEIGHTED, (2, 1))


def test_maintenance_latency_and_reports_are_understood(tmp_path: Path) -> None:
    latency = "{name: p95, type: latency, target: 2s, window: month, reading: requests}"
    more = (
        "maintenance: {effect: count_up, notice: 72h}\n"
        "reports: {schedule: monthly, formats: [pdf], email: [a@b.example]}"
    )
    made = one_of(tmp_path, latency, more=more)
    (one,) = made.objectives

    assert (one.effect, one.notice_ms, one.reading) == (Effect.COUNT_UP, 72 * 3_600_000, Reading.REQUESTS)
    assert made.reports == ReportTerms("monthly", ("pdf",), ("a@b.example",))


def test_credits_by_tiers_are_exact(tmp_path: Path) -> None:
    more = (
        "credits: {objective: up, base_fee: '1000.10', currency: JPY, cap: 50%, minimum: 1,"
        " claim_within: 60d, tiers: [{below: 99.9%, credit: 10%}, {below: 95%, credit: 100%}], rounding: up}"
    )
    terms = one_of(tmp_path, UP, more=more).credits

    assert terms is not None
    assert terms.tiers == (Tier(Fraction(999, 1000), Fraction(1, 10)), Tier(Fraction(95, 100), Fraction(1)))
    assert (terms.objective, terms.period, terms.base_fee) == ("gold/up", Period.MONTH, Decimal("1000.10"))
    assert (terms.cap, terms.minimum, terms.claim_within_days) == (Fraction(1, 2), Decimal(1), 60)
    assert (terms.rounding, terms.minor_digits, terms.preset) == ("up", 0, "")


def test_a_preset_brings_its_schedule_and_its_way_to_measure(tmp_path: Path) -> None:
    more = "credits: {preset: aws-s3-standard, objective: up, base_fee: 10, currency: EUR, claim_within: 30d}"
    made = one_of(tmp_path, UP, UP.replace("up", "other"), more=more)
    first, second = made.objectives

    assert made.credits is not None
    assert made.credits.preset == "aws-s3-standard"
    assert made.credits.source.startswith("https://")
    assert len(made.credits.tiers) == 3
    assert (made.credits.claim_within_days, made.credits.claim_within_cycles) == (30, None)
    assert (first.method, second.method) == (MeanErrorRate(300_000), RequestRatio())


def test_an_objective_may_measure_otherwise_than_its_preset(tmp_path: Path) -> None:
    more = "credits: {preset: aws-s3-standard, objective: up, base_fee: 10, currency: EUR}"
    (one,) = one_of(tmp_path, f"{UP[:-1]}, method: {{type: uptime}}}}", more=more).objectives
    assert one.method == Uptime()


@pytest.mark.parametrize(
    ("preset", "target", "reason"),
    [
        ("aws-s3-moon", "99.9%", "there is no preset aws-s3-moon; there are aws-"),
        ("aws-ec2-region", "99.9%", "pays below 99.99%, above what up promises"),
    ],
)
def test_a_preset_that_does_not_fit_is_refused_before_it_is_applied(
    tmp_path: Path, preset: str, target: str, reason: str
) -> None:
    more = f"credits: {{preset: {preset}, objective: up, base_fee: 10, currency: EUR}}"
    file = tmp_path / "contract.yaml"
    file.write_text(f"{TENANT}---\n{contract(UP.replace('99.9%', target), more=more)}")
    with pytest.raises(DocumentErrors) as refused:
        load_documents([file], checks=[check_contract])
    ((field, why),) = [(error.field, error.reason) for error in refused.value.errors]

    assert field == "spec.credits.preset"
    assert reason in why


def test_a_preset_that_is_gone_costs_no_other_contract_its_figures(tmp_path: Path) -> None:
    more = "credits: {preset: withdrawn, objective: up, base_fee: 10, currency: EUR}"
    made = one_of(tmp_path, UP, more=more)

    assert made.credits is None
    assert made.objectives[0].method == RequestRatio()
