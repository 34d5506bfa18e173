"""An explicit histogram bounds its p95; a threshold between bounds leaves the verdict open."""

import sys
from dataclasses import replace

import pytest

from services.sla.figures import latency_of
from services.sla.model import Distribution, DistributionKind, Reading, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import LATENCY
from tests.unit.sla.windows_of import S, columns, up


def latency(counts: tuple[int, ...], bounds: tuple[float, ...], reading: Reading = Reading.MERGED):
    part = Distribution(DistributionKind.EXPLICIT, counts, bounds=bounds)
    held = columns([up(0, 0, sum(counts), distribution=part)])
    return latency_of(replace(LATENCY, reading=reading), held, Window(0, S, S))


@pytest.mark.parametrize("reading", Reading)
def test_930_below_1_s_and_70_up_to_2500_ms_is_indeterminate(reading: Reading) -> None:
    found = latency((930, 70, 0), (1.0, 2.5), reading)

    assert found.verdict is Verdict.INDETERMINATE
    assert (found.bounds.lower, found.bounds.upper) == (1.0, 2.5)
    assert found.bounds.lower <= found.bounds.estimate <= found.bounds.upper
    assert found.bounds.estimate == pytest.approx(1.4286, abs=1e-3)


@pytest.mark.parametrize(
    ("counts", "bounds", "verdict"),
    [
        ((950, 50, 0), (1.0, 2.5), Verdict.PASS),
        ((949, 51, 0), (1.0, 2.5), Verdict.INDETERMINATE),
        ((949, 1, 50), (1.0, 2.0), Verdict.PASS),
        ((949, 0, 51), (1.0, 2.0), Verdict.FAIL),
        ((900, 49, 51), (1.0, 2.5), Verdict.FAIL),
        ((0, 0, 0), (1.0, 2.5), Verdict.NO_DATA),
    ],
)
def test_three_verdicts_and_no_data(
    counts: tuple[int, ...], bounds: tuple[float, ...], verdict: Verdict
) -> None:
    assert latency(counts, bounds).verdict is verdict


def test_in_the_overflow_bucket_only_the_lower_bound_is_known() -> None:
    found = latency((900, 0, 100), (1.0, 2.5))

    assert found.bounds.saturated
    assert found.bounds.lower == found.bounds.upper == 2.5
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("scale", "offset", "lower", "verdict"),
    [
        (0, 1023, 2.0**1023, Verdict.FAIL),
        (-10, 0, 1.0, Verdict.INDETERMINATE),
        # Nothing that a collector accepts, but nothing that may come out as infinite either.
        (0, 2000, sys.float_info.max, Verdict.FAIL),
    ],
)
def test_exponential_buckets_beyond_all_doubles_have_a_lower_bound_only(
    scale: int, offset: int, lower: float, verdict: Verdict
) -> None:
    part = Distribution(DistributionKind.EXPONENTIAL, (3,), scale=scale, offset=offset)

    found = latency_of(LATENCY, columns([up(0, 0, 3, distribution=part)]), Window(0, S, S))

    assert found.bounds.saturated
    assert found.bounds.estimate == found.bounds.lower == found.bounds.upper == lower
    assert found.verdict is verdict


def test_overflow_below_the_threshold_proves_nothing() -> None:
    found = latency((900, 100), (1.0,))

    assert found.bounds.saturated
    assert found.verdict is Verdict.INDETERMINATE
