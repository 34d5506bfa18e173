"""A wish for maintenance, checked: every wrong field of the request, named as there, with its reason."""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from services.common.documents_errors import FieldProblems
from services.common.documents_maintenance import MaintenanceWindowSpec
from services.common.errors import FieldViolation
from services.sla.errors import BadMaintenanceWindow
from services.sla.model import Objective

_ID = re.compile(r"[a-z0-9-]{1,63}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOW = "maintenance_window"
_PROTO = {"start": "start_time", "end": "end_time", "rule": "recurrence_rule", "zone": "time_zone"}


@dataclass(frozen=True, slots=True)
class Wish:
    """A window to announce; objectives are keys `<contract>/<objective>`, zone "" the contracts' own.

    reason: why, for reports. retroactive: it may exclude time before it is announced.
    """

    title: str
    objectives: tuple[str, ...]
    start_ms: int | None
    end_ms: int | None
    rule: str = ""
    zone: str = ""
    window_id: str = ""
    request_id: str = ""
    reason: str = ""
    retroactive: bool = False


def spec_of(wish: Wish, objectives: Sequence[Objective], *, creator: str) -> MaintenanceWindowSpec:
    """The document's spec; `objectives` are those of the tenant.

    Raises:
        BadMaintenanceWindow: every wrong field with its reason.
    """
    wrong = list(_wrong(wish, {one.key for one in objectives}))
    named = [one for one in objectives if not wish.objectives or one.key in wish.objectives]
    zones = {wish.zone} if wish.zone else {one.time_zone for one in named} or {"UTC"}
    if len(zones) > 1:
        wrong.append(FieldViolation(f"{_WINDOW}.time_zone", "the contracts have several zones: name one"))
    given = {
        "title": wish.title,
        "objectives": wish.objectives,
        "start": _moment(wish.start_ms),
        "end": _moment(wish.end_ms),
        "rule": wish.rule,
        "zone": min(zones),
        "reason": wish.reason,
        "retroactive": wish.retroactive,
        "record": {"request_id": wish.request_id, "creator": creator},
    }
    spec = None
    try:
        spec = MaintenanceWindowSpec.model_validate(given)
    except ValidationError as err:
        told = {one.field for one in wrong}
        wrong += [one for one in _violations(err) if one.field not in told]
    if wrong or spec is None:
        raise BadMaintenanceWindow(
            "; ".join(f"{one.field}: {one.reason}" for one in wrong), field=wrong[0].field, violations=wrong
        )
    return spec


def _wrong(wish: Wish, known: set[str]) -> Iterator[FieldViolation]:
    required = (("title", wish.title), ("start_time", wish.start_ms), ("end_time", wish.end_ms))
    for name, value in required:
        if value is None or value == "":
            yield FieldViolation(f"{_WINDOW}.{name}", "is required")
    for i, key in enumerate(wish.objectives):
        if key not in known:
            yield FieldViolation(f"{_WINDOW}.objectives[{i}]", f"there is no objective {key}")
    if wish.window_id and _ID.fullmatch(wish.window_id) is None:
        yield FieldViolation("maintenance_window_id", "must be 1 to 63 of a-z, 0-9 and -")
    if wish.request_id and not _uuid(wish.request_id):
        yield FieldViolation("request_id", "must be a UUID")


def _violations(err: ValidationError) -> Iterator[FieldViolation]:
    for detail in err.errors():
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, FieldProblems):
            yield from (FieldViolation(_field(name), reason) for name, reason in cause.problems)
        else:
            reason = detail["msg"].removeprefix("Value error, ")
            yield FieldViolation(_field(str(detail["loc"][0])), reason)


def _field(name: str) -> str:
    return f"{_WINDOW}.{_PROTO.get(name, name)}"


def _moment(time_ms: int | None) -> datetime | None:
    return None if time_ms is None else _EPOCH + timedelta(milliseconds=time_ms)


def _uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
