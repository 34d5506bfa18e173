"""The report of the benchmarks: duties that are held, missed and named."""

import io

from rich.console import Console

from tests.bench.__main__ import main, names
from tests.bench.report import Row, missed, show


def test_a_duty_is_missed_on_its_wrong_side_only() -> None:
    rows = [
        Row("fast enough", 9.0, "M/s", at_least=8.0),
        Row("too slow", 7.9, "M/s", at_least=8.0),
        Row("small enough", 2.0, "B", at_most=2.0),
        Row("too large", 2.1, "B", at_most=2.0),
        Row("for information", 0.0, "x"),
    ]

    assert [row.what for row in missed(rows)] == ["too slow", "too large"]


def test_the_table_says_which_duty_does_not_hold() -> None:
    written = io.StringIO()
    show("Speed", [Row("too slow", 7.9, "M/s", at_least=8.0)], Console(file=written, width=120))

    assert "MISSED" in written.getvalue()
    assert ">= 8" in written.getvalue()


def test_a_benchmark_that_does_not_exist_is_refused() -> None:
    assert "decode" in names()
    assert main(["nothing-like-this"]) == 2
