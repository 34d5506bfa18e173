"""Incident resolution: pauses, reopening, service hours, both nights of the year, and what is still open."""

import random
from datetime import date, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.incidents.clock import fold
from services.sla.incidents.figures import resolution_of
from services.sla.incidents.hours import service_time
from services.sla.incidents.model import (
    ClockState,
    IncidentEvent,
    IncidentEventKind,
    IncidentFigure,
    ResolutionFigures,
)
from services.sla.kernels import intervals
from services.sla.model import (
    IncidentClock,
    IncidentTerms,
    IncidentUntil,
    Objective,
    ObjectiveKind,
    ServiceHours,
    Verdict,
)

BERLIN = "Europe/Berlin"
MINUTE, H, DAY = 60_000, 3_600_000, 86_400_000
OFFICE = ServiceHours((0, 1, 2, 3, 4), 8 * 60, 20 * 60, (date(2026, 12, 25),))
ALWAYS = ServiceHours(tuple(range(7)), 0, 1440)


def at(text: str, zone: str = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def history(*steps: tuple[str, str], name: str = "i1", severity: str = "critical") -> list[IncidentEvent]:
    return [
        IncidentEvent("acme", name, at(time), f"{name}-{n}", IncidentEventKind(kind), severity, seq=n)
        for n, (time, kind) in enumerate(steps)
    ]


def promise(
    *, hours: ServiceHours | None = None, until: str = "resolved", limit_ms: int = 4 * H, share: int = 1
) -> Objective:
    clock = IncidentClock.WALL if hours is None else IncidentClock.SERVICE_HOURS
    terms = IncidentTerms("critical", limit_ms, clock, IncidentUntil(until), hours)
    return Objective(
        "acme",
        "gold",
        "critical",
        ObjectiveKind.INCIDENT_RESOLUTION,
        Fraction(share),
        30 * DAY,
        "",
        time_zone=BERLIN,
        incident=terms,
    )


def december(events: list[IncidentEvent], objective: Objective, **more: int) -> ResolutionFigures:
    return resolution_of(objective, events, start_ms=at("2026-12-01"), end_ms=at("2027-01-01"), **more)


def only(events: list[IncidentEvent], objective: Objective, **more: int) -> IncidentFigure:
    (found,) = december(events, objective, **more).incidents
    return found


@pytest.mark.parametrize(
    ("elapsed", "verdict"), [(4 * H - 1, Verdict.PASS), (4 * H, Verdict.PASS), (4 * H + 1, Verdict.FAIL)]
)
def test_the_limit_is_met_to_the_millisecond(elapsed: int, verdict: Verdict) -> None:
    opened = at("2026-12-01T10:00")
    events = [
        IncidentEvent("acme", "i1", opened, "a", IncidentEventKind.OPENED, "critical"),
        IncidentEvent("acme", "i1", opened + elapsed, "b", IncidentEventKind.RESOLVED),
    ]
    figures = december(events, promise())
    assert (figures.verdict, figures.longest_ms) == (verdict, elapsed)
    assert (figures.in_time, figures.late) == ((1, 0) if verdict is Verdict.PASS else (0, 1))


@pytest.mark.parametrize(
    ("until", "elapsed"), [("acknowledged", 10 * MINUTE), ("resolved", 2 * H), ("verified", 5 * H)]
)
def test_what_stops_the_clock_is_named(until: str, elapsed: int) -> None:
    events = history(
        ("2026-12-01T10:00", "opened"),
        ("2026-12-01T10:10", "acknowledged"),
        ("2026-12-01T12:00", "resolved"),
        ("2026-12-01T15:00", "verified"),
    )
    figures = december(events, promise(until=until))
    assert figures.longest_ms == elapsed
    assert figures.until is IncidentUntil(until)
    assert figures.verdict is (Verdict.FAIL if until == "verified" else Verdict.PASS)


def test_a_resolution_that_nobody_verified_still_runs() -> None:
    events = history(("2026-12-01T10:00", "opened"), ("2026-12-01T10:30", "resolved"))
    assert only(events, promise(until="verified"), now_ms=at("2026-12-01T11:00")).in_time is None


@pytest.mark.parametrize("change", ["severity_changed", "policy_changed"])
def test_a_pause_survives_a_change_of_severity_or_policy(change: str) -> None:
    """Lost elsewhere: glpi-project/glpi#15605."""
    events = history(
        ("2026-12-01T10:00", "opened"),
        ("2026-12-01T11:00", "paused"),
        ("2026-12-01T12:00", change),
        ("2026-12-01T15:00", "resumed"),
        ("2026-12-01T16:00", "resolved"),
    )
    assert only(events, promise()).elapsed_ms == 2 * H


def test_waiting_outside_of_service_hours_saves_nothing() -> None:
    """Counted elsewhere: glpi-project/glpi#14937. Paused 19:00 to 09:00, of which 2 hours are service."""
    events = history(
        ("2026-12-01T18:00", "opened"),
        ("2026-12-01T19:00", "paused"),
        ("2026-12-02T09:00", "resumed"),
        ("2026-12-02T10:00", "resolved"),
    )
    assert only(events, promise(hours=OFFICE)).elapsed_ms == 2 * H


def test_hold_time_is_taken_from_service_time_and_not_from_the_creation() -> None:
    """Added to the creation elsewhere: frappe/helpdesk#2449, frappe/erpnext#49414.

    Opened Friday evening, held over the weekend until Monday 09:00: 1 h Friday and 2 h Monday count.
    """
    events = history(
        ("2026-12-04T19:00", "opened"),
        ("2026-12-04T22:00", "paused"),
        ("2026-12-07T09:00", "resumed"),
        ("2026-12-07T11:00", "resolved"),
    )
    assert only(events, promise(hours=OFFICE)).elapsed_ms == 3 * H


def test_a_holiday_has_no_service() -> None:
    """A surprise elsewhere: zammad/zammad#390. The 25th is a Friday: 1 h on the 24th, 1 h on the 28th."""
    events = history(("2026-12-24T19:00", "opened"), ("2026-12-28T09:00", "resolved"))
    assert only(events, promise(hours=OFFICE)).elapsed_ms == 2 * H


def test_reopening_continues_the_clock() -> None:
    events = history(
        ("2026-12-01T10:00", "opened"),
        ("2026-12-01T13:00", "resolved"),
        ("2026-12-02T10:00", "reopened"),
        ("2026-12-02T11:00", "resolved"),
    )
    assert only(events, promise()).elapsed_ms == 4 * H
    assert december(events, promise()).verdict is Verdict.PASS
    assert december(events, promise(limit_ms=4 * H - 1)).verdict is Verdict.FAIL


def test_an_acknowledgement_holds_after_reopening() -> None:
    events = history(
        ("2026-12-01T10:00", "opened"),
        ("2026-12-01T10:05", "acknowledged"),
        ("2026-12-01T13:00", "resolved"),
        ("2026-12-02T10:00", "reopened"),
    )
    found = only(events, promise(until="acknowledged"))
    assert (found.state, found.elapsed_ms) == (ClockState.STOPPED, 5 * MINUTE)


def test_resolving_ends_a_pause() -> None:
    events = history(
        ("2026-12-01T10:00", "opened"),
        ("2026-12-01T10:30", "paused"),
        ("2026-12-01T12:00", "resolved"),
        ("2026-12-01T13:00", "reopened"),
        ("2026-12-01T14:00", "resolved"),
    )
    assert only(events, promise()).elapsed_ms == 90 * MINUTE


def test_an_open_incident_at_the_end_of_the_month_is_running_with_its_worst_case() -> None:
    done = history(("2026-12-01T10:00", "opened"), ("2026-12-01T11:00", "resolved"))
    last = history(("2026-12-31T22:00", "opened"), ("2027-01-01T01:00", "resolved"), name="i2")

    figures = december(done + last, promise())

    assert (figures.in_time, figures.late, figures.running, figures.overdue) == (1, 0, 1, 0)
    assert (figures.share, figures.worst_share) == (Fraction(1), Fraction(1, 2))
    assert figures.verdict is Verdict.INDETERMINATE
    assert figures.incidents[1].state is ClockState.RUNNING
    assert (figures.incidents[1].elapsed_ms, figures.incidents[1].in_time) == (2 * H, None)
    january = resolution_of(promise(), done + last, start_ms=at("2027-01-01"), end_ms=at("2027-02-01"))
    assert [one.incident for one in january.incidents] == ["i2"]
    assert (january.in_time, january.longest_ms, january.verdict) == (1, 3 * H, Verdict.PASS)


def test_an_open_incident_past_its_limit_breaks_the_promise_already() -> None:
    events = history(("2026-12-30T10:00", "opened"))
    now = at("2026-12-30T14:00") + 1
    figures = december(events, promise(), now_ms=now)
    assert (figures.running, figures.overdue, figures.verdict) == (1, 1, Verdict.FAIL)
    assert figures.incidents[0].worst_ms == at("2027-01-01") - at("2026-12-30T10:00")
    assert december(events, promise(), now_ms=now - 1).verdict is Verdict.INDETERMINATE


def test_a_paused_incident_at_worst_runs_from_now_on() -> None:
    events = history(("2026-12-31T20:00", "opened"), ("2026-12-31T21:00", "paused"))
    found = only(events, promise(), now_ms=at("2026-12-31T22:00"))
    assert (found.state, found.elapsed_ms, found.worst_ms) == (ClockState.PAUSED, H, 3 * H)


def test_nothing_happened_is_a_promise_kept() -> None:
    figures = december([], promise())
    assert (figures.verdict, figures.share, figures.longest_ms) == (Verdict.PASS, None, 0)


def test_an_incident_is_of_its_last_severity() -> None:
    events = history(("2026-12-01T10:00", "opened"), ("2026-12-01T18:00", "resolved"), severity="standard")
    assert december(events, promise()).incidents == ()
    raised = [*events, *history(("2026-12-01T11:00", "severity_changed"), name="i1")]
    changed = [event for event in raised if event.kind is not IncidentEventKind.SEVERITY_CHANGED]
    changed.append(
        IncidentEvent(
            "acme", "i1", at("2026-12-01T11:00"), "c", IncidentEventKind("severity_changed"), "critical"
        )
    )
    assert only(changed, promise()).elapsed_ms == 8 * H


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_a_whole_day_is_as_long_as_it_is(day: str, hours: int) -> None:
    low = at(day)
    assert intervals.length(service_time(ALWAYS, BERLIN, low - DAY, low + 2 * DAY)) % H == 0
    one = ServiceHours((date.fromisoformat(day).weekday(),), 0, 1440)
    assert intervals.length(service_time(one, BERLIN, low, low + 3 * DAY)) == hours * H


@pytest.mark.parametrize(
    ("day", "minutes"),
    [("2026-03-29", (120, 30, 90)), ("2026-10-25", (150, 120, 90)), ("2026-10-26", (150, 60, 90))],
)
def test_hours_that_adjoin_on_the_clock_adjoin_in_time_in_both_nights(
    day: str, minutes: tuple[int, int, int]
) -> None:
    """00:00-02:30, 02:30-03:30 and 03:30-05:00. In spring 02:30 is the change itself, 01:00 UTC."""
    weekday = date.fromisoformat(day).weekday()
    low = at(day)
    parts = [
        intervals.length(service_time(ServiceHours((weekday,), start, end), BERLIN, low, low + DAY)) // MINUTE
        for start, end in ((0, 150), (150, 210), (210, 300))
    ]
    whole = service_time(ServiceHours((weekday,), 0, 300), BERLIN, low, low + DAY)
    assert sum(parts) * MINUTE == intervals.length(whole)
    assert tuple(parts) == minutes


def test_an_incident_over_the_spring_night_runs_for_real_hours() -> None:
    events = history(("2026-03-29T01:00", "opened"), ("2026-03-29T05:00", "resolved"))
    objective = promise()
    found = resolution_of(objective, events, start_ms=at("2026-03-01"), end_ms=at("2026-04-01"))
    assert found.longest_ms == 3 * H


KINDS = st.sampled_from([kind.value for kind in IncidentEventKind])


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 5000), KINDS), max_size=10),
    seed=st.integers(0, 1000),
    until=st.sampled_from([one.value for one in IncidentUntil]),
    office=st.booleans(),
)
def test_order_and_repeats_of_events_change_nothing_and_the_clock_never_beats_time(
    steps: list[tuple[int, str]], seed: int, until: str, office: bool
) -> None:
    opened = at("2026-12-01T10:00")
    events = [IncidentEvent("acme", "i1", opened, "0", IncidentEventKind.OPENED, "critical")] + [
        IncidentEvent(
            "acme", "i1", opened + after * MINUTE, str(n + 1), IncidentEventKind(kind), "critical", seq=n
        )
        for n, (after, kind) in enumerate(steps)
    ]
    objective = promise(hours=OFFICE if office else None, until=until)
    figures = december(events, objective)
    shuffled = events * 2
    random.Random(seed).shuffle(shuffled)
    assert december(shuffled, objective) == figures

    (found,) = figures.incidents
    end = found.stopped_ms or at("2027-01-01")
    assert 0 <= found.elapsed_ms <= end - opened
    assert found.worst_ms >= found.elapsed_ms
    assert figures.in_time + figures.late + figures.running == 1
    one = fold(events, IncidentUntil(until), before_ms=at("2027-01-01"))
    assert one is not None
    # Minute by minute, without intervals: every step happens on a whole minute.
    ran = one.ran(at("2027-01-01"))
    wall = december(events, promise(until=until)).incidents[0].elapsed_ms
    assert sum(int(end_ - start) for start, end_ in ran) == wall
    assert found.elapsed_ms <= wall
