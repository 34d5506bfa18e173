"""When a maintenance window happens. Rules and zones are `services.common.recurrence`'s business."""

from services.common.recurrence import recurrence
from services.sla.maintenance.model import MaintenanceWindow, WindowState


def occurrences(window: MaintenanceWindow, low_ms: int, high_ms: int) -> list[tuple[int, int]]:
    """(start, end) of each occurrence that overlaps [low, high), ascending; cancelled or not.

    Each lasts exactly as long as the first one does, also over a change of the clock; what local time it
    ends at then moves by the change.

    Raises:
        ValueError: a rule that does not stand up to the checks of documents.
    """
    length = window.end_ms - window.start_ms
    if length <= 0 or low_ms >= high_ms:
        return []
    if not window.rule:
        starts = [window.start_ms]
    else:
        repeated = recurrence(window.rule, window.start_ms, window.zone)
        starts = repeated.starts(low_ms - length + 1, high_ms)
    return [(start, start + length) for start in starts if start < high_ms and start + length > low_ms]


def state_at(window: MaintenanceWindow, now_ms: int) -> WindowState:
    """Where the window is in its life; between two occurrences it is PLANNED."""
    if window.cancelled_ms is not None and window.cancelled_ms <= now_ms:
        return WindowState.CANCELLED
    if occurrences(window, now_ms, now_ms + 1):
        return WindowState.ACTIVE
    if now_ms < window.start_ms or _happens_after(window, now_ms):
        return WindowState.PLANNED
    return WindowState.ENDED


def _happens_after(window: MaintenanceWindow, now_ms: int) -> bool:
    if not window.rule:
        return False
    return recurrence(window.rule, window.start_ms, window.zone).next_after(now_ms) is not None
