"""`threenines sla report`: which period the options mean, and what cannot be meant."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import typer

from services.cli.commands.sla_reports import request_of
from threenines.sla.v1 import sla_pb2

BERLIN = ZoneInfo("Europe/Berlin")
GOLD = sla_pb2.Contract(name="tenants/acme/contracts/gold", time_zone="Europe/Berlin")


def test_a_month_and_a_quarter_are_those_of_the_contracts_zone() -> None:
    month = request_of(GOLD, month="2026-10")
    inside = month.window.inside_time.ToDatetime(UTC).astimezone(BERLIN)
    assert (inside.year, inside.month, inside.day) == (2026, 10, 1)
    assert month.window.period == sla_pb2.CALENDAR_PERIOD_MONTH
    quarter = request_of(GOLD, quarter="2026-q4")
    inside = quarter.window.inside_time.ToDatetime(UTC).astimezone(BERLIN)
    assert (inside.year, inside.month) == (2026, 10)
    assert quarter.window.period == sla_pb2.CALENDAR_PERIOD_QUARTER


def test_without_options_it_is_the_running_month() -> None:
    request = request_of(GOLD)
    assert request.window.period == sla_pb2.CALENDAR_PERIOD_MONTH
    assert not request.window.HasField("inside_time")
    assert request.request_id != request_of(GOLD).request_id


def test_a_range_is_local_unless_it_says_otherwise() -> None:
    request = request_of(GOLD, start="2026-10-01", end="2026-10-01T12:00:00Z")
    start = request.custom_window.start_time.ToDatetime(UTC)
    end = request.custom_window.end_time.ToDatetime(UTC)
    assert start == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert end == datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "asked",
    [
        {"month": "October"},
        {"month": "2026-13"},
        {"quarter": "2026-Q5"},
        {"quarter": "26-Q1"},
        {"start": "2026-10-01"},
        {"end": "2026-10-01"},
        {"start": "now", "end": "2026-10-01"},
        {"month": "2026-10", "quarter": "2026-Q4"},
        {"month": "2026-10", "start": "2026-10-01", "end": "2026-10-02"},
    ],
)
def test_what_cannot_be_meant_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(typer.BadParameter):
        request_of(GOLD, **asked)
