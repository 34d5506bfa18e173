"""Why an objective has no figures now: nobody promised it, or not for this time.

Figures are of what is promised now; a contract that is dated into the future has none yet. Who may know of
the objective is decided before.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from services.common.errors import ThreeninesError
from services.sla.errors import ObjectiveNotFound, ObjectiveNotInForce
from services.sla.model import Objective


def absent_objective(tenant: str, key: str, timeline: Sequence[Objective]) -> ThreeninesError:
    """The error for an objective that no contract in force has; `timeline` is all of its versions."""
    if not timeline:
        return ObjectiveNotFound(f"tenant {tenant} has no objective {key}")
    held = ", and ".join(_held(one) for one in _joined(timeline))
    return ObjectiveNotInForce(
        f"objective {key} of tenant {tenant} is not in force now: it holds {held}",
        next_step="ListContracts with show_all_versions has the dates of all versions.",
    )


def _held(one: Objective) -> str:
    begin = f"from {_local(one.from_ms, one.time_zone)}"
    return begin if one.until_ms is None else f"{begin} until {_local(one.until_ms, one.time_zone)}"


def _joined(timeline: Sequence[Objective]) -> list[Objective]:
    """The first and the last of versions that follow on each other say when all of them hold."""
    out: list[Objective] = []
    for one in timeline:
        if out and out[-1].until_ms == one.from_ms:
            out[-1] = replace(out[-1], until_ms=one.until_ms)
        else:
            out.append(one)
    return out


def _local(at_ms: int, zone: str) -> str:
    when = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    return f"{when.isoformat(timespec='minutes')} ({zone})"
