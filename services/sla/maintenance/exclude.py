"""What maintenance excludes from an objective, and why something of it does not count.

The rules, one occurrence at a time:

1. A window is for the objectives that it names, or for all of its tenant.
2. An occurrence counts when it was announced at least the contract's notice before it starts. Announced too
   late it excludes nothing at all, not even its later part.
3. With a notice of 0 the announcement has to come before the start; one after it counts only when an operator
   marked the window as retroactive. A notice above 0 cannot be waived.
4. A cancellation keeps what had happened: an occurrence under way ends there, later ones never were.

No engine and no configuration here.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from services.sla.kernels import intervals
from services.sla.kernels.intervals import Ints
from services.sla.maintenance.model import Exclusion, MaintenanceWindow
from services.sla.maintenance.occurrences import occurrences

CANCELLED = "cancelled before it began"
RETROACTIVE = "announced after it began, and not marked as retroactive"


def exclusions(
    windows: Iterable[MaintenanceWindow], objective_key: str, *, notice_ms: int, low_ms: int, high_ms: int
) -> list[Exclusion]:
    """Every occurrence over [low, high) of windows that are for `<contract>/<objective>`, by start.

    Ends are whole: clip them to the range with `intervals.clip`. Windows of one tenant only.
    """
    found = [
        _exclusion(window, start, end, notice_ms)
        for window in windows
        if covers(window, objective_key)
        for start, end in occurrences(window, low_ms, high_ms)
    ]
    return sorted(
        (one for one in found if one.end_ms > low_ms), key=lambda one: (one.start_ms, one.end_ms, one.window)
    )


def merged(found: Sequence[Exclusion]) -> Ints:
    """(n, 2) milliseconds, sorted and disjoint: the time that counts, each instant once."""
    counted = [one for one in found if one.counted]
    start = np.array([one.start_ms for one in counted], np.int64)
    end = np.array([one.end_ms for one in counted], np.int64)
    return intervals.normalise(start, end)


def excluded_within(found: Sequence[Exclusion], low_ms: int, high_ms: int) -> Ints:
    """`merged`, cut to [low, high)."""
    return intervals.clip(merged(found), low_ms, high_ms)


def covers(window: MaintenanceWindow, objective_key: str) -> bool:
    """Whether the window is for the objective: by key, by contract, or by the objective's own name."""
    contract, _, name = objective_key.partition("/")
    return not window.objectives or bool({objective_key, contract, name} & set(window.objectives))


def notice_kept(window: MaintenanceWindow, start_ms: int, notice_ms: int) -> bool:
    """Whether an occurrence that starts then was announced early enough to count."""
    return not _why_late(window, start_ms, notice_ms)


def _exclusion(window: MaintenanceWindow, start_ms: int, end_ms: int, notice_ms: int) -> Exclusion:
    why_not = _why_late(window, start_ms, notice_ms)
    cancelled = window.cancelled_ms
    if cancelled is not None and cancelled <= start_ms:
        why_not = CANCELLED
    elif cancelled is not None:
        end_ms = min(end_ms, cancelled)
    return Exclusion(start_ms, end_ms, window.name, window.title, counted=not why_not, why_not=why_not)


def _why_late(window: MaintenanceWindow, start_ms: int, notice_ms: int) -> str:
    ahead = start_ms - window.announced_ms
    if notice_ms > 0 and ahead < notice_ms:
        if ahead < 0:
            late = _length(-ahead)
            return f"announced {late} after it began; the contract asks for {_length(notice_ms)} before"
        return f"announced {_length(ahead)} before it began; the contract asks for {_length(notice_ms)}"
    if ahead < 0 and not window.retroactive:
        return RETROACTIVE
    return ""


def _length(ms: int) -> str:
    """Whole units, floored, for people: `71h59m`."""
    if ms < 60_000:
        return f"{ms // 1000}s" if ms >= 1000 or ms == 0 else f"{ms}ms"
    hours, minutes = ms // 3_600_000, ms // 60_000 % 60
    return "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m")) if n)
