"""What a report says of an objective in words, where figures alone would contradict each other."""

import dataclasses
from fractions import Fraction

from services.sla.reports.compose_objective import figures_of, objective_section
from services.sla.reports.compose_rows import days_table
from services.sla.reports.document import Table, Text
from services.sla.reports.model import ChildRow, ProjectionRow
from services.sla.verdict import Times
from tests.unit.sla.reports.examples import availability, composite, data_availability, period


def texts(objective):
    return [
        one.text for one in objective_section(objective, period(), place=1).blocks if isinstance(one, Text)
    ]


def test_a_composite_by_weight_has_no_down_intervals_of_its_own_though_its_parts_were_down():
    """As it is told of a composite whose parts were down: not that nothing was."""
    weighted = dataclasses.replace(composite(), downtimes=())
    shown = {one.label: one.value for one in figures_of(weighted).figures}

    assert weighted.times.down_ns
    assert "Any part down" in shown
    assert "Each part counts by its weight: the whole has no down intervals of its own." in texts(weighted)
    assert "No down intervals in the time that has data." not in texts(weighted)


def test_100_percent_is_nowhere_printed_of_what_is_missing_in_part():
    """Nothing that is known was down, and an hour is not known: floored in every table."""
    one = availability()
    projection = ProjectionRow(Fraction(1), "PASS", Fraction(1), "PASS", Fraction(1, 2), "FAIL", 1)
    child = ChildRow("web", Fraction(1), 0, 1, 0, Fraction(1))
    missing = dataclasses.replace(one, displayed="99.999", projection=projection, children=(child,))
    whole = dataclasses.replace(
        missing, displayed="100", children=(dataclasses.replace(child, no_data_ns=0),)
    )

    def shares(objective):
        tables = [x for x in objective_section(objective, period(), place=1).blocks if isinstance(x, Table)]
        so_far = next(x for x in tables if x.caption.startswith("The period is not over"))
        parts = next(x for x in tables if x.caption == "What it is made of")
        return [row[2].text for row in so_far.rows] + [parts.rows[0][-1].text]

    assert shares(missing) == ["99.999 %", "99.999 %", "50.000 %", "99.999 %"]
    assert shares(whole) == ["100 %", "100 %", "50.000 %", "100 %"]


def test_where_any_failure_breaches_no_budget_is_counted_out():
    (left,) = [one for one in figures_of(data_availability()).figures if one.label == "Budget left"]

    assert (left.value, left.note) == ("none allowed", "any failure breaches")


def test_a_day_before_the_first_data_is_not_called_without_data():
    one = availability()
    day = one.days[0]
    early = dataclasses.replace(day, verdict="NO_DATA", times=Times(0, 0, 0, 0, 0, 86_400 * 10**9))
    silent = dataclasses.replace(early, times=Times(0, 0, 0, 0, 1, 86_400 * 10**9 - 1))

    rows = days_table(dataclasses.replace(one, days=(early, silent))).rows

    assert [row[-1].text for row in rows] == ["not begun", "No data"]
