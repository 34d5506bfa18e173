"""No value is ever shown as NaN or infinite, whatever is zero, absent, huge or negative."""

import dataclasses
import io
import re
from decimal import Decimal
from fractions import Fraction

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.reports.canonical import canonical_json, read_report
from services.sla.reports.csv import render_csv
from services.sla.reports.html import render_html
from services.sla.reports.model import (
    Bucket,
    BudgetRow,
    BurnPoint,
    LatencyReport,
    Period,
    ProjectionRow,
    Provenance,
    ReportInput,
)
from services.sla.reports.pdf import render_pdf
from services.sla.verdict import Times
from tests.unit.sla.reports.examples import END_MS, EXAMPLES, START_MS, availability, period, report

WRONG = re.compile(r"\b(nan|inf|infinity)\b", re.IGNORECASE)
VERDICTS = st.sampled_from(["PASS", "FAIL", "INDETERMINATE", "NO_DATA"])
NS = st.integers(0, 2**62)
SHARES = st.none() | st.fractions(0, 1) | st.sampled_from([Fraction(0), Fraction(1), Fraction(1, 10**30)])
SIGNED = st.integers(-(2**70), 2**70)
SECONDS = st.decimals(min_value="1e-9", max_value="1e9", allow_nan=False, places=9).filter(bool)


def budgets():
    return st.builds(
        BudgetRow,
        allowed_ns=st.none() | NS,
        consumed_ns=st.none() | NS,
        remaining_ns=st.none() | SIGNED,
        allowed=st.none() | NS,
        consumed=st.none() | NS,
        remaining=st.none() | SIGNED,
        remaining_share=st.none() | st.fractions(-(10**9), 1),
        frozen=st.booleans(),
        any_failure_breaches=st.booleans(),
        period_allowed_ns=st.none() | NS,
    )


def latencies():
    bounds = st.lists(SECONDS, max_size=40, unique=True).map(sorted)
    return st.builds(
        LatencyReport,
        quantile=st.fractions(Fraction(1, 100), Fraction(99, 100)),
        threshold_s=st.fractions(Fraction(1, 1000), 1000),
        estimate_s=st.none() | SECONDS | st.just(Decimal(0)),
        lower_s=st.none() | SECONDS | st.just(Decimal(0)),
        upper_s=st.none() | SECONDS,
        saturated=st.booleans(),
        sure=NS,
        possible=NS,
        total=NS,
        buckets=st.tuples(bounds, st.data()).flatmap(
            lambda drawn: st.lists(NS, min_size=len(drawn[0]) + 1, max_size=len(drawn[0]) + 1).map(
                lambda counts: tuple(
                    Bucket(upper, n) for upper, n in zip([*drawn[0], None], counts, strict=True)
                )
            )
        ),
    )


@st.composite
def objectives(draw):
    rows = availability().days[: draw(st.integers(0, 31))]
    days = tuple(
        dataclasses.replace(
            row,
            good=draw(NS),
            total=draw(NS),
            times=Times(*draw(st.tuples(*[NS] * 6))),
            share=draw(SHARES),
            displayed=draw(st.sampled_from(["", "0.000", "99.999", "100"])),
            verdict=draw(VERDICTS),
            quantile_s=draw(st.none() | SECONDS),
        )
        for row in rows[:3]
    )
    shares = [draw(SHARES) for _ in range(3)]
    return dataclasses.replace(
        availability(),
        kind=draw(st.sampled_from(["availability", "latency", "incident_resolution", "composite"])),
        verdict=draw(VERDICTS),
        share=draw(SHARES),
        displayed=draw(st.sampled_from(["", "0.000", "99.999", "100"])),
        times=Times(*draw(st.tuples(*[NS] * 6))),
        coverage=draw(SHARES),
        good=draw(NS),
        total=draw(NS),
        budget=draw(budgets()),
        projection=draw(
            st.none()
            | st.builds(
                ProjectionRow,
                *(one for share in shares for one in (st.just(share), VERDICTS)),
                rest_ns=NS,
            )
        ),
        days=(*days, *rows[3:]),
        latency=draw(st.none() | latencies()),
        burn=tuple(
            BurnPoint(START_MS + n * 86_400_000, draw(st.fractions(0, 10**6)))
            for n in range(1, draw(st.integers(0, 4)))
        ),
    )


@settings(max_examples=40)
@given(st.lists(objectives(), max_size=2), st.integers(START_MS, END_MS), VERDICTS)
def test_no_output_has_a_number_that_is_none(found, data_end_ms, verdict):
    content = canonical_json(report(tuple(found), period=period(until_ms=data_end_ms), verdict=verdict))

    assert canonical_json(read_report(content)) == content
    for text in (render_html(content).decode(), render_csv(content).decode(), content.decode()):
        told = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
        assert not WRONG.search(told)


@settings(max_examples=6)
@given(objectives())
def test_no_pdf_has_a_number_that_is_none(found):
    pdf = render_pdf(canonical_json(report((found,))))

    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)
    assert not WRONG.search(text)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_absent_values_are_dashes(name):
    page = render_html(canonical_json(EXAMPLES[name]())).decode()
    told = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)

    assert not re.search(r"\bNone\b|\bnan\b|\binf\b|\bnull\b|Traceback", told)


def test_a_report_without_anything_can_be_read():
    empty = Period("2026-10", 0, 1, 0, "UTC", "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00")
    content = canonical_json(ReportInput("acme", "gold", empty, (), "NO_DATA", (), Provenance(0, 0)))

    assert b"The contract has no objectives." in render_html(content)
    assert render_pdf(content).startswith(b"%PDF-")
    assert render_csv(content).count(b"\r\n") > 10


def test_a_year_has_months_below_its_days():
    year = Period(
        "2026",
        1_767_225_600_000,
        1_798_761_600_000,
        1_798_761_600_000,
        "UTC",
        "2026-01-01T00:00:00+00:00",
        "2027",
    )
    content = canonical_json(report((availability(),), period=year))

    page = render_html(content).decode()
    assert all(f">1 {month}</text>" in page for month in ("Jan", "Jun", "Dec"))
    assert "2 Jan</text>" not in page
