"""`threenines maintenance`: what people type, and what comes next in their zone."""

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from services.cli.commands.maintenance import late_text, next_occurrences, occurrence_rows, times_of
from services.cli.main import app
from threenines.sla.v1 import sla_pb2

BERLIN = "Europe/Berlin"
H = 3_600_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).timestamp() * 1000)


def window(rule: str = "FREQ=WEEKLY;BYDAY=SU", name: str = "disks") -> sla_pb2.MaintenanceWindow:
    made = sla_pb2.MaintenanceWindow(
        name=f"tenants/acme/maintenanceWindows/{name}", recurrence_rule=rule, time_zone=BERLIN
    )
    made.start_time.FromMilliseconds(at("2026-03-22T02:30"))
    made.end_time.FromMilliseconds(at("2026-03-22T04:30"))
    return made


def test_a_start_is_local_in_the_zone_unless_it_says_its_offset() -> None:
    assert times_of("2026-11-29 02:00", "2h", BERLIN) == (at("2026-11-29T02:00"), at("2026-11-29T04:00"))
    assert times_of("2026-11-29T01:00:00Z", "2h", BERLIN)[0] == at("2026-11-29T02:00")


@pytest.mark.parametrize(
    ("start", "length", "zone", "option"),
    [
        ("soon", "2h", BERLIN, "--from"),
        ("2026-11-29 02:00", "long", BERLIN, "--for"),
        ("2026-11-29 02:00", "0s", BERLIN, "--for"),
        ("2026-11-29 02:00", "2h", "Mars/Olympus", "--zone"),
        ("2026-11-29 02:00", "2h", "../etc", "--zone"),
    ],
)
def test_what_cannot_be_read_is_refused_by_option(start: str, length: str, zone: str, option: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        times_of(start, length, zone)
    assert caught.value.param_hint == option


def test_the_next_occurrences_are_shown_in_local_time_over_the_change_of_the_clock() -> None:
    rows = occurrence_rows([window()], at("2026-03-22T03:00"))
    assert rows[:3] == [
        ("disks", "Sun 2026-03-22 02:30 +0100", "Sun 2026-03-22 04:30 +0100", BERLIN),
        ("disks", "Sun 2026-03-29 03:30 +0200", "Sun 2026-03-29 05:30 +0200", BERLIN),
        ("disks", "Sun 2026-04-05 02:30 +0200", "Sun 2026-04-05 04:30 +0200", BERLIN),
    ]
    assert len(rows) == 5


def test_occurrences_of_several_windows_come_by_time() -> None:
    rows = occurrence_rows([window(), window("FREQ=DAILY;COUNT=2", "patch")], at("2026-03-22T00:00"))
    assert [row[0] for row in rows] == ["disks", "patch", "patch", *["disks"] * 4]


def test_what_is_over_or_cancelled_has_no_next_occurrence() -> None:
    once = window("")
    assert list(next_occurrences(once, at("2026-03-22T04:29"))) == [
        (at("2026-03-22T02:30"), at("2026-03-22T04:30"))
    ]
    assert list(next_occurrences(once, at("2026-03-22T04:30"))) == []
    cancelled = window()
    cancelled.state = sla_pb2.MAINTENANCE_WINDOW_STATE_CANCELLED
    assert list(islice(next_occurrences(cancelled, 0), 1)) == []


def test_what_came_too_late_is_told_apart() -> None:
    late = window()
    late.create_time.FromMilliseconds(at("2026-03-22T02:29"))
    assert late_text(late).startswith("Too late for the contract's notice")
    late.create_time.FromMilliseconds(at("2026-03-22T02:31"))
    assert "--retroactive" in late_text(late)
    late.retroactive = True
    assert late_text(late).startswith("Too late for the contract's notice")


def test_the_command_is_there_and_names_its_options() -> None:
    shown = CliRunner().invoke(app, ["maintenance", "create", "--help"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    for option in ("--from", "--for", "--zone", "--rule", "--objective"):
        assert option in shown.output
