"""Canonical JSON: the same report is the same bytes, and the bytes are the whole report."""

import dataclasses
import hashlib
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from services.sla.reports.canonical import (
    canonical_json,
    content_sha256,
    decimal_text,
    parse,
    read_report,
)
from tests.unit.sla.reports.examples import EXAMPLES, availability, flawless_month, report, rich_month

GOLDEN = Path(__file__).parents[3] / "golden" / "sla_report.json"


def small():
    """One objective over two days: what the golden file holds."""
    one = availability()
    return report((dataclasses.replace(one, days=one.days[:2], burn=one.burn[:2]),))


def test_the_bytes_are_those_of_the_golden_file():
    """A change here changes the hash of every report that is made again: it needs a new schema."""
    assert canonical_json(small()) == GOLDEN.read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"hostile"}))
def test_a_report_comes_back_from_its_bytes_and_gives_the_same_hash(name):
    content = canonical_json(EXAMPLES[name]())

    assert read_report(content) == EXAMPLES[name]()
    again = canonical_json(read_report(content))
    assert content_sha256(again) == content_sha256(content) == hashlib.sha256(content).hexdigest()


def test_keys_are_sorted_and_there_is_no_number_in_it():
    content = canonical_json(rich_month())

    def walk(value):
        assert not isinstance(value, int | float) or isinstance(value, bool)
        if isinstance(value, dict):
            assert list(value) == sorted(value)
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(one)

    walk(json.loads(content))


def test_instants_are_rfc_3339_and_lengths_stay_nanoseconds():
    period = parse(canonical_json(rich_month()))["period"]
    times = parse(canonical_json(rich_month()))["objectives"][0]["times"]

    assert period["start_time"] == "2026-09-30T22:00:00.000Z"
    assert times["down_ns"] == str(49 * 60 * 10**9 + 30 * 10**9)


def test_a_fraction_of_thousands_of_digits_is_kept_exactly():
    long = Fraction(3**9000 + 1, 3**9000 * 2)
    one = dataclasses.replace(availability(), share=long)

    assert read_report(canonical_json(report((one,)))).objectives[0].share == long


def test_decimals_of_fractions_are_floored():
    assert decimal_text(Fraction(2, 3), 3) == "0.666"
    assert decimal_text(Fraction(-2, 3), 3) == "-0.667"
    assert decimal_text(Fraction(1, 2)) == "0.5"
    assert decimal_text(Fraction(5)) == "5"


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_a_decimal_that_is_not_finite_is_refused(amount):
    (due,) = (dataclasses.replace(one, amount=Decimal(amount)) for one in rich_month().credits[:1])

    with pytest.raises(ValueError, match="cannot stand in a report"):
        canonical_json(report((), credits=(due,)))


def test_a_float_is_refused():
    with pytest.raises(ValueError, match="a float cannot stand"):
        canonical_json(report((dataclasses.replace(availability(), good=0.5),)))


def test_a_lone_surrogate_of_a_name_is_replaced():
    content = canonical_json(report((), tenant="a\ud800b"))

    assert read_report(content).tenant == "a\ufffdb"


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b'{"schema":"threenines.sla.report/99"}',
        b'{"schema":"threenines.sla.report/1"}',
        b"nothing",
    ],
)
def test_other_content_is_refused(content):
    with pytest.raises(ValueError, match=r"."):
        read_report(content)


def test_a_field_of_a_later_release_is_refused():
    value = json.loads(canonical_json(flawless_month()))
    value["period"]["moon"] = "full"

    with pytest.raises(ValueError, match="Period has no field moon"):
        read_report(json.dumps(value).encode())


def test_a_field_with_a_default_may_be_missing():
    value = json.loads(canonical_json(flawless_month()))
    del value["credits"]

    assert read_report(json.dumps(value).encode()) == flawless_month()
