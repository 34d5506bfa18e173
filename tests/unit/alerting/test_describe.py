"""What people read in an alert."""

from fractions import Fraction

import pytest

from services.alerting.describe import decimal, percent


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (Fraction(72, 5), "14.4"),
        (Fraction(6), "6"),
        (Fraction(10, 3), "3.333"),
        (Fraction(1, 2000), "0"),
        (Fraction(100), "100"),
    ],
)
def test_a_factor_reads_as_people_write_it_and_is_floored(factor: Fraction, text: str) -> None:
    assert decimal(factor) == text


def test_a_share_is_floored_and_nothing_has_none() -> None:
    assert percent(2, 3) == "66.66 %"
    assert percent(1999, 2000) == "99.95 %"
    assert percent(0, 0) == "-"
