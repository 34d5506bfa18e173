"""Why a new revision differs from the one that it replaces, and who caused it."""

from dataclasses import replace

from services.sla.reports.diff import changes_between
from services.sla.reports.model import Change, ExclusionRow, ReportInput

LATE_DATA = "LATE_DATA"
"""Telemetry that arrived after the report was issued."""
MORE_TIME = "MORE_TIME"
"""The replaced report was of a running period, or of data that was not final."""
MAINTENANCE = "MAINTENANCE_CHANGED"
CONTRACT = "CONTRACT_CHANGED"
INCIDENT = "INCIDENT_CHANGED"
SYSTEM = "threenines"


def caused(old: tuple[ReportInput, bytes], new: tuple[ReportInput, bytes]) -> tuple[tuple[Change, ...], str]:
    """Every change with its cause, and all causes in a sentence.

    Args:
        old, new: a report and its canonical content.
    """
    before, after = old[0], new[0]
    data = MORE_TIME if before.period.running or before.period.provisional else LATE_DATA
    announcers = _announcers(before, after)
    contract = before.versions != after.versions
    # Of a period that went on, maintenance is not what made everything else grow.
    went_on = data == MORE_TIME and before.period.data_end_ms != after.period.data_end_ms
    found = []
    for change in changes_between(old[1], new[1]):
        parts = change.path.split("/")
        touched = parts[2] if len(parts) > 2 and parts[1] == "objectives" else ""
        if contract:
            reason, actor = CONTRACT, "the contract's owner"
        elif went_on and not {"exclusions", "excluded_ns"} & {*parts}:
            reason, actor = (INCIDENT if "incidents" in parts else data), SYSTEM
        elif touched in announcers or (not touched and announcers and parts[1] != "provenance"):
            reason, actor = MAINTENANCE, announcers.get(touched) or next(iter(announcers.values()))
        elif "incidents" in parts:
            reason, actor = INCIDENT, SYSTEM
        else:
            reason, actor = data, SYSTEM
        found.append(replace(change, reason=reason, actor=actor))
    reasons = sorted({change.reason for change in found if not change.path.startswith("/provenance")})
    return tuple(found), ", ".join(reasons)


def _announcers(before: ReportInput, after: ReportInput) -> dict[str, str]:
    """Of each objective whose counted maintenance differs: who announced what is new or gone."""
    found: dict[str, str] = {}
    old = {one.name: set(_counted(one.exclusions)) for one in before.objectives}
    for objective in after.objectives:
        new = set(_counted(objective.exclusions))
        differ = sorted(
            new ^ old.get(objective.name, set()), key=lambda one: (one.start_ms, one.window, one.end_ms)
        )
        if differ:
            names = [one.announced_by for one in differ if one.announced_by]
            found[objective.name] = ", ".join(dict.fromkeys(names)) or SYSTEM
    return found


def _counted(rows: tuple[ExclusionRow, ...]) -> tuple[ExclusionRow, ...]:
    return tuple(one for one in rows if one.counted)
