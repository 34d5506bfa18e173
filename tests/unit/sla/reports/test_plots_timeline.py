"""The picture of incidents and maintenance says when, how long, and whether it was in time."""

import dataclasses

import pytest

from services.sla.reports.plots import BAD, EMPTY, EXCLUDED, GOOD, QUIET, RIGHT, UNSURE, WIDTH
from services.sla.reports.plots_timeline import MOST_LANES, timeline_scene
from services.sla.reports.scene import Box, Label, Pattern
from tests.unit.sla.reports.examples import END_MS, START_MS, exclusions, incidents, period

AXIS = WIDTH - RIGHT - 168


def boxes(scene):
    return [one for one in scene.shapes if isinstance(one, Box)]


def test_incidents_have_the_colour_of_their_end_and_the_length_of_their_time():
    rows = incidents().incidents
    in_time, late, running = boxes(timeline_scene(rows, (), period()))

    assert [one.fill for one in (in_time, late, running)] == [GOOD, BAD, UNSURE]
    scale = AXIS / (END_MS - START_MS)
    assert late.x == pytest.approx(168 + (rows[1].opened_ms - START_MS) * scale)
    assert late.width == pytest.approx((rows[1].stopped_ms - rows[1].opened_ms) * scale)
    assert running.x + running.width == pytest.approx(WIDTH - RIGHT)
    assert "INC-327" in late.note


def test_maintenance_has_one_lane_and_what_did_not_count_is_hollow():
    rows = exclusions()
    scene = timeline_scene((), (*rows, *rows), period())

    counted, refused = boxes(scene)
    assert (counted.fill, counted.pattern) == (EXCLUDED, Pattern.DOTTED)
    assert (refused.fill, bool(refused.stroke)) == (EMPTY, True)
    assert "the contract asks for 72 h" in refused.note
    assert scene.description == "0 incidents and 2 times of maintenance."


def test_nothing_happened_is_no_picture_and_too_much_is_cut():
    (one, *_) = incidents().incidents
    many = [dataclasses.replace(one, incident=f"INC-{n}", limit_ns=None, in_time=None) for n in range(25)]
    scene = timeline_scene(many, (), period())

    assert timeline_scene((), (), period()) is None
    assert [box.fill for box in boxes(scene)] == [QUIET] * MOST_LANES
    assert "5 incidents are in the table only" in scene.description


def test_what_lies_outside_of_the_period_stays_within_the_picture():
    (one, *_) = incidents().incidents
    before = dataclasses.replace(one, opened_ms=START_MS - 10**9, stopped_ms=START_MS + 1)
    after = dataclasses.replace(one, incident="x" * 60, opened_ms=END_MS - 1, stopped_ms=END_MS + 10**9)
    scene = timeline_scene((before, after), (), period())

    for box in boxes(scene):
        assert 168 <= box.x <= box.x + box.width <= WIDTH - RIGHT + 1e-9
        assert box.width > 2
    assert max(len(label.text) for label in scene.shapes if isinstance(label, Label)) <= 26
