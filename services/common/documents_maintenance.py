"""`kind: MaintenanceWindow`: announced downtime, once or by an RFC 5545 rule in an IANA zone.

What the service itself knows of a window (who announced it, when, whether it was cancelled) is in `record`,
which is refused in files: an announcement counts from the moment the configuration log has it.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from services.common.documents_errors import FieldProblems
from services.common.documents_values import Name, Spec, TimeZone
from services.common.recurrence import recurrence

MOST_TEXT = 500
MOST_OBJECTIVES = 200
LONGEST = timedelta(days=31)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)

ObjectiveKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}(/[a-z0-9-]{1,63})?$")]
"""`<contract>/<objective>`, or the name of a contract or of an objective for all of it."""


class MaintenanceRecord(Spec):
    """What the service wrote. announced_ms None: the log time of the document's own record, as `creator`."""

    announced_ms: int | None = None
    creator: str = ""
    request_id: str = ""
    cancelled: bool = False
    cancel_reason: str = Field(default="", max_length=MOST_TEXT)


class MaintenanceWindowSpec(Spec):
    """The first occurrence, half open, and how it repeats, of everything of the tenant or of what is named.

    A time without an offset is local in `zone`; a rule repeats in UTC when `zone` is not said. Every
    occurrence lasts exactly end - start.
    retroactive: may exclude time before its announcement, where a contract asks for no notice.
    """

    title: str = Field(default="", max_length=MOST_TEXT)
    zone: TimeZone | None = None
    start: datetime
    end: datetime
    rule: str = Field(default="", max_length=MOST_TEXT)
    contracts: tuple[Name, ...] = ()
    objectives: tuple[ObjectiveKey, ...] = Field(default=(), max_length=MOST_OBJECTIVES)
    reason: str = Field(default="", max_length=MOST_TEXT)
    retroactive: bool = False
    record: MaintenanceRecord | None = None

    @field_validator("start", "end")
    @classmethod
    def _instant(cls, value: datetime, info: ValidationInfo) -> datetime:
        if value.tzinfo is None:
            zone = info.data.get("zone")
            if zone is None:
                raise ValueError("needs an offset such as +01:00, or the field zone")
            value = value.replace(tzinfo=ZoneInfo(zone))
        # In UTC, since equal instants in two zones do not compare equal in the repeated hour of a year.
        value = value.astimezone(UTC)
        if not _EPOCH <= value < _LATEST:
            raise ValueError("must be between 1970 and 2100")
        return value

    @field_validator("record")
    @classmethod
    def _written_by_the_service(
        cls, value: MaintenanceRecord | None, info: ValidationInfo
    ) -> MaintenanceRecord | None:
        if value is not None and (info.context or {}).get("from_file"):
            raise ValueError("is written by the service")
        return value

    @model_validator(mode="after")
    def _possible(self) -> "MaintenanceWindowSpec":
        problems = list(self._problems())
        if problems:
            raise FieldProblems(problems)
        return self

    def _problems(self) -> list[tuple[str, str]]:
        if self.end <= self.start:
            return [("end", "must be after start")]
        problems = []
        if self.rule:
            if self.end - self.start > LONGEST:
                problems.append(("end", f"an occurrence of a rule lasts at most {LONGEST.days}d"))
            try:
                recurrence(self.rule, self.start_ms, self.zone or "UTC")
            except ValueError as err:
                problems.append(("rule", str(err)))
        return problems

    @property
    def start_ms(self) -> int:
        """Unix milliseconds."""
        return (self.start - _EPOCH) // timedelta(milliseconds=1)

    @property
    def end_ms(self) -> int:
        """Unix milliseconds."""
        return (self.end - _EPOCH) // timedelta(milliseconds=1)
