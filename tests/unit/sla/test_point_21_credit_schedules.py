"""Credits by published schedules: at every edge of every tier, one nanosecond or one request either side."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from services.sla.credits.compute import credit_of
from services.sla.credits.model import CreditState
from services.sla.credits.presets import preset_of, presets
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, Uptime
from tests.unit.sla.methods.months import measured_month, month_of

NS = 10**6
MINUTE = 60_000
HOUR = 3_600_000
DAYS = 30
NOVEMBER = 1_793_491_200_000
"""2026-11-01 00:00 UTC; November has 30 days."""
END = NOVEMBER + DAYS * 24 * HOUR
FEE = Decimal("1000.00")

# Typed from the published tables, apart from the YAML: percents of availability and of the fee.
THREE = {"aws-s3-standard": "99.9 10 99 25 95 100", "aws-s3-infrequent-access": "99 10 98 25 95 100"}
TABLE = {
    **THREE,
    "aws-ec2-region": "99.99 10 99 30 95 100",
    "aws-ec2-instance": "99.5 10 99 30 95 100",
    "aws-dynamodb": "99.99 10 99 25 95 100",
    "aws-dynamodb-global": "99.999 10 99 25 95 100",
    "azure-vm-zones": "99.99 10 99 25 95 100",
    "azure-vm-availability-set": "99.95 10 99 25 95 100",
    "azure-vm-premium-ssd": "99.9 10 99 25 95 100",
    "azure-vm-standard-ssd": "99.5 10 95 25 90 100",
    "azure-vm-standard-hdd": "95 10 92 25 90 100",
    "azure-sql": "99.99 10 99 25 95 100",
    "azure-sql-zone-redundant": "99.995 10 99 25 95 100",
    "azure-load-balancer": "99.99 10 99.9 25",
    "azure-dns": "100 10 99.99 25 99.5 100",
    "azure-storage-hot": "99.9 10 99 25",
    "azure-storage-ra-grs": "99.99 10 99 25",
    "azure-storage-cool": "99 10 98 25",
    "langfuse-cloud": "99.9 5 99 10 95 25",
    **{
        f"google-style-{k}m-{percent}pct-{fewest}": "99.9 10 99 25 95 50"
        for k in (1, 5, 10)
        for percent in (5, 10)
        for fewest in (100, 2000)
    },
}
METHODS = {
    "aws-s3": MeanErrorRate(5 * MINUTE),
    "aws-ec2": Uptime(),
    "aws-dynamodb": MeanErrorRate(5 * MINUTE),
    "azure-vm": Uptime(),
    "azure-sql": AllFail(MINUTE, 1),
    "azure-load-balancer": AllFail(MINUTE, 1),
    "azure-dns": AllFail(MINUTE, 1),
    "azure-storage": MeanErrorRate(HOUR),
    "langfuse": AllFail(MINUTE, 3),
}
SOURCES = {
    "aws-": "aws.amazon.com",
    "azure-": "microsoft.com",
    "google-": "cloud.google.com",
    "lang": "github.com",
}


def tiers_of(text):
    numbers = [Fraction(number) / 100 for number in text.split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


EDGES = [
    pytest.param(name, edge, credit, above, id=f"{name} at {edge}")
    for name, text in TABLE.items()
    for (edge, credit), above in zip(
        tiers_of(text), [Fraction(0), *(credit for _, credit in tiers_of(text))], strict=False
    )
]


def test_every_preset_is_in_the_table():
    assert set(presets()) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_presets_are_as_published(name):
    preset = preset_of(name)
    terms = terms_of(name)

    assert [(tier.below, tier.credit) for tier in terms.tiers] == tiers_of(TABLE[name])
    assert terms.cap == (Fraction(1, 2) if name.startswith("google") else None)
    assert terms.claim_within_days == (30 if name.startswith("google") else None)
    assert terms.claim_within_cycles == (2 if name.startswith("aws") else None)
    assert (terms.minimum, terms.minimum_currency) == (
        (Decimal("1.00"), "USD") if name.startswith("aws") else (None, "")
    )
    assert preset.notice_ms == (72 * HOUR if name.startswith("langfuse") else None)
    assert preset.whole_minutes_unstated == name.startswith("aws-ec2")
    assert preset.method == published_method(name)
    assert next(host for start, host in SOURCES.items() if name.startswith(start)) in preset.source
    assert preset.as_of[:2] == "20"


def published_method(name):
    if name.startswith("google"):
        k, percent, fewest = (int("".join(filter(str.isdigit, part))) for part in name.split("-")[2:])
        return ErrorRate(Fraction(percent, 100), MINUTE, k, fewest)
    return next(method for start, method in METHODS.items() if name.startswith(start))


def terms_of(name, **changes):
    terms = preset_of(name).terms(objective="up", target=Fraction(999, 1000), base_fee=FEE, currency="USD")
    return replace(terms, **changes)


def credited(terms, month, method):
    return credit_of(
        terms,
        measured_month(method, month),
        tenant="acme",
        contract="gold",
        contract_version=3,
        period_start_ms=NOVEMBER,
        period_end_ms=END,
    )


def check(credit, share_of_fee):
    expected = share_of_fee * 1000
    assert credit.amount == Decimal(expected.numerator) / expected.denominator
    assert credit.state is (CreditState.DUE if share_of_fee else CreditState.NOT_DUE)


def shares(name, edge, credit, above):
    """(bad of so many, credit) at the edge and one unit either side; nothing is above 100 %."""
    whole = unit_count(name)
    bad = (1 - edge) * whole
    assert bad.denominator == 1
    around = [(bad.numerator - 1, above), (bad.numerator, above), (bad.numerator + 1, credit)]
    return [(bad, credit) for bad, credit in around if bad >= 0], whole


def unit_count(name):
    return DAYS * 24 * HOUR * NS if isinstance(published_method(name), Uptime) else 10**6


@pytest.mark.parametrize(
    ("name", "edge", "credit", "above"),
    [one for one in EDGES if isinstance(published_method(one.values[0]), Uptime)],
)
def test_one_nanosecond_decides_at_every_edge_of_time(name, edge, credit, above):
    points, whole = shares(name, edge, credit, above)
    terms = terms_of(name, whole_minutes_unstated=False)

    for bad, expected in points:
        month = month_of(NOVEMBER, whole // NS, 0, 0, down_ns=bad)
        check(credited(terms, month, published_method(name)), expected)


@pytest.mark.parametrize(
    ("name", "edge", "credit", "above"),
    [one for one in EDGES if isinstance(published_method(one.values[0]), MeanErrorRate)],
)
def test_one_request_decides_at_every_edge_of_a_mean_error_rate(name, edge, credit, above):
    """Every interval has a million requests, and the bad ones of one more or less are in the first."""
    points, whole = shares(name, edge, credit, above)
    method = published_method(name)

    for bad, expected in points:
        even = ((1 - edge) * whole).numerator
        failed = np.full((END - NOVEMBER) // method.interval_ms, even)
        failed[0] += bad - even
        month = month_of(NOVEMBER, method.interval_ms, whole - failed, whole)
        check(credited(terms_of(name), month, method), expected)


@pytest.mark.parametrize(
    ("name", "edge", "credit", "above"),
    [one for one in EDGES if isinstance(published_method(one.values[0]), AllFail | ErrorRate)],
)
def test_one_minute_decides_at_every_edge_of_bad_minutes(name, edge, credit, above):
    """Edges lie between whole minutes or on one: the last minute at or above, and the next one below.

    A contract month of minutes: of 43 200 so many may be bad. What counts as one has its own tests.
    """
    method = published_method(name)
    minutes = (END - NOVEMBER) // MINUTE
    allowed = (1 - edge) * minutes
    most = allowed.numerator // allowed.denominator

    for bad, expected in ((most, above), (most + 1, credit)):
        check(credited(terms_of(name), minutes_of(bad, method), method), expected)


@pytest.mark.parametrize(
    "name", [name for name in TABLE if isinstance(published_method(name), AllFail | ErrorRate)]
)
def test_one_request_decides_whether_a_minute_is_bad(name):
    """The edge of the rule itself: of the fewest requests, so many failing that it is bad, or one less."""
    method = published_method(name)
    fewest = method.min_requests
    enough = (
        fewest
        if isinstance(method, AllFail)
        else fewest * method.above.numerator // method.above.denominator + 1
    )
    run = method.consecutive if isinstance(method, ErrorRate) else 1
    whole = DAYS * 24 * 60

    def down(failed, requests):
        total = np.full(whole, fewest)
        total[:run] = requests
        good = total.copy()
        good[:run] -= failed
        return measured_month(method, month_of(NOVEMBER, MINUTE, good, total)).share

    assert down(enough, fewest) == 1 - Fraction(run, whole)
    assert down(enough - 1, fewest) == 1
    assert down(fewest - 1, fewest - 1) == 1


def minutes_of(bad, method):
    """A month whose first `bad` minutes fail as a whole."""
    good = np.full((END - NOVEMBER) // MINUTE, method.min_requests)
    good[:bad] = 0
    return month_of(NOVEMBER, MINUTE, good, method.min_requests)


def test_azure_dns_owes_for_the_first_bad_minute():
    terms = terms_of("azure-dns")

    assert credited(terms, minutes_of(0, AllFail()), AllFail()).state is CreditState.NOT_DUE
    assert credited(terms, minutes_of(1, AllFail()), AllFail()).amount == Decimal("100.00")


def test_a_part_of_a_minute_is_not_guessed_where_the_schedule_does_not_say():
    """At 99.5 % of 30 days 216 minutes may be down: 215.5 are fewer, or 216, but not more."""
    terms = terms_of("aws-ec2-instance")

    def state(half_minutes):
        down = np.zeros(2 * DAYS * 24 * 60, np.int64)
        down[:half_minutes] = MINUTE // 2 * NS
        return credited(terms, month_of(NOVEMBER, MINUTE // 2, 0, 0, down), Uptime())

    assert state(431).state is CreditState.NOT_DUE
    assert state(432).state is CreditState.NOT_DUE
    assert state(433).state is CreditState.REVIEW_REQUIRED
    assert any("216 whole minutes were down, 217 with parts" in text for text in state(433).trace)
    assert state(434).state is CreditState.DUE
