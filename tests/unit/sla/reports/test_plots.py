"""Pictures say what the figures say: places, colours, patterns."""

import dataclasses
from decimal import Decimal
from fractions import Fraction
from xml.etree import ElementTree as ET

import pytest

from services.sla.reports.model import Bucket, BurnPoint, LatencyReport
from services.sla.reports.plots import (
    BAD,
    EMPTY,
    EXCLUDED,
    GOOD,
    LEFT,
    MISSING,
    RIGHT,
    UNSURE,
    WIDTH,
    burn_scene,
    days_scene,
    nice,
    overview_scene,
)
from services.sla.reports.plots_latency import latency_scene
from services.sla.reports.plots_svg import svg_text
from services.sla.reports.scene import Box, Label, Line, Pattern
from services.sla.verdict import Times
from tests.unit.sla.reports.examples import (
    DAY_MS,
    END_MS,
    RUNNING_DAYS,
    START_MS,
    availability,
    incidents,
    latency,
    no_data_objective,
    period,
)


def boxes(scene, *fills):
    return [shape for shape in scene.shapes if isinstance(shape, Box) and shape.fill in fills]


def labels(scene):
    return [shape.text for shape in scene.shapes if isinstance(shape, Label)]


def distribution(**changes):
    """930 requests up to 1 s and 70 up to 2.5 s: the published example of what cannot be decided."""
    base = LatencyReport(
        quantile=Fraction(19, 20),
        threshold_s=Fraction(2),
        estimate_s=Decimal("1.43"),
        lower_s=Decimal(1),
        upper_s=Decimal("2.5"),
        saturated=False,
        sure=930,
        possible=1000,
        total=1000,
        buckets=(Bucket(Decimal(1), 930), Bucket(Decimal("2.5"), 70), Bucket(None, 0)),
    )
    return dataclasses.replace(base, **changes)


def test_each_day_of_the_month_has_a_cell():
    scene = days_scene(availability(), period())

    cells = [one for one in scene.shapes if isinstance(one, Box) and one.note]
    assert {one.note.split(":")[0] for one in cells} == {f"2026-10-{day:02d}" for day in range(1, 32)}
    assert scene.description.startswith("31 days: 28 within the target, 2 missed (2026-10-12, 2026-10-27)")


def test_missing_and_excluded_time_has_a_pattern_besides_its_colour():
    scene = days_scene(availability(), period())

    assert [one.pattern for one in boxes(scene, EXCLUDED)] == [Pattern.DOTTED]
    assert Pattern.HATCHED in [one.pattern for one in boxes(scene, MISSING)]


def test_a_day_with_a_minute_of_data_shows_its_verdict():
    one = availability()
    bad = next(row for row in one.days if row.verdict == "FAIL")
    minute = 60 * 10**9
    times = Times(0, 0, minute, 0, DAY_MS * 10**6 - minute, 0)
    day = dataclasses.replace(bad, times=times)

    scene = overview_scene((dataclasses.replace(one, days=(day,)),), period())

    (cell,), (hatched,) = boxes(scene, BAD), boxes(scene, MISSING)
    assert hatched.y - cell.y >= cell.height * 0.39


def test_days_to_come_are_empty():
    scene = days_scene(availability(days=RUNNING_DAYS), period(until_ms=START_MS + RUNNING_DAYS * DAY_MS))

    assert len([one for one in boxes(scene, "#ffffff") if "not reported" in one.note]) == 31 - RUNNING_DAYS


def test_a_month_without_data_has_no_bars_and_no_good_day():
    scene = days_scene(no_data_objective(), period())

    assert not boxes(scene, GOOD, BAD)
    assert "Lost" not in labels(scene)


def test_bars_of_latency_are_against_the_target():
    scene = days_scene(latency(), period())

    assert "target 2 s" in labels(scene)
    assert "p95" in labels(scene)


def test_the_budget_starts_full_and_is_below_zero_when_overdrawn():
    one = dataclasses.replace(
        availability(), burn=(BurnPoint(START_MS + DAY_MS, Fraction(0)), BurnPoint(END_MS, Fraction(3, 2)))
    )

    scene = burn_scene(one, period())

    line = next(s for s in scene.shapes if isinstance(s, Line) and s.width == 1.6)
    zero = next(s for s in scene.shapes if isinstance(s, Line) and s.stroke == "#3d4852" and s.width == 0.6)
    assert line.points[0][0] == LEFT
    assert line.points[-1][0] == WIDTH - RIGHT
    assert line.points[-1][1] > zero.points[0][1] > line.points[0][1]
    assert "\u221250 %" in labels(scene)


def test_requests_within_above_and_across_the_target_have_three_colours():
    scene = latency_scene(availability(), distribution())

    assert scene is not None
    assert len(boxes(scene, GOOD)) == 1
    assert len(boxes(scene, UNSURE)) == 1
    assert not boxes(scene, BAD)
    assert "p95 1.43 s (1 s to 2.5 s)" in labels(scene)


def test_narrow_buckets_join_but_never_across_the_target():
    fine = tuple(Bucket(Decimal(repr(2.0 ** (k / 256))), 1) for k in range(-2000, 1000))

    scene = latency_scene(availability(), distribution(buckets=fine))

    assert scene is not None
    assert not boxes(scene, UNSURE)
    assert 0 < len(boxes(scene, GOOD, BAD)) < 200


def test_requests_above_all_bounds_are_drawn_open():
    buckets = (Bucket(Decimal(1), 5), Bucket(None, 95))

    scene = latency_scene(
        availability(), distribution(buckets=buckets, saturated=True, lower_s=Decimal(1), upper_s=None)
    )

    assert scene is not None
    (last,) = [one for one in boxes(scene, UNSURE, BAD) if one.pattern is Pattern.HATCHED]
    assert "to more" in last.note
    assert "p95 above 1 s" in labels(scene)


@pytest.mark.parametrize("buckets", [(), (Bucket(Decimal(1), 0), Bucket(None, 0)), (Bucket(Decimal(0), 7),)])
def test_nothing_to_show_is_no_picture(buckets):
    assert latency_scene(availability(), distribution(buckets=buckets)) is None


def test_objectives_without_days_have_no_overview():
    assert overview_scene((incidents(),), period()) is None


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("0.0003", "0.0003"), ("0.00031", "0.0004"), ("1", "1"), ("2.01", "2.5"), ("9", "10"), ("1e-9", "1e-9")],
)
def test_scales_end_at_round_numbers(value, rounded):
    assert nice(Fraction(value)) == Fraction(rounded)


def test_svg_is_well_formed_and_escaped():
    scene = days_scene(availability('<b>&"'), period())

    root = ET.fromstring(svg_text(scene, "p1"))

    assert root.attrib["role"] == "img"
    assert root[0].text == '<b>&": day by day'


def test_time_before_the_first_data_is_blank_and_not_missing():
    one = availability()
    good = next(row for row in one.days if row.verdict == "PASS")
    whole = DAY_MS * 10**6
    before = dataclasses.replace(
        good,
        verdict="NO_DATA",
        times=Times(0, 0, 0, 0, 0, whole),
    )
    half = dataclasses.replace(
        good,
        date="2026-10-20",
        times=Times(whole // 2, 0, 0, 0, 0, whole // 2),
    )

    scene = days_scene(dataclasses.replace(one, days=(before, half)), period())

    notes = [box.note for box in boxes(scene, EMPTY) if "not reported" not in box.note]
    assert notes == [f"{before.date}: before the first data", notes[1]]
    assert notes[1].startswith("2026-10-20: ")
    assert not boxes(scene, MISSING)
    (early,) = [box for box in boxes(scene, EMPTY) if box.note == notes[1]]
    assert early.height == pytest.approx(15)
