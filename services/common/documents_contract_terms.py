"""What a contract says beside its objectives: maintenance, service hours, credits, reports."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.common.documents_errors import FieldProblems
from services.common.documents_values import (
    AnyDuration,
    ClockTime,
    Duration,
    Money,
    Name,
    PositiveDuration,
    Share,
    Spec,
)

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
PeriodName = Literal["day", "week", "month", "quarter", "year"]
ReportFormat = Literal["html", "pdf", "csv", "json"]
_DAY_NS = 86_400 * 10**9
# An address is only known to work once mail arrives; this finds slips of the pen.
_Email = Annotated[str, StringConstraints(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$", max_length=254)]


class MaintenanceEffect(StrEnum):
    """Announced maintenance leaves the denominator, or counts as up."""

    DROP = "drop"
    COUNT_UP = "count_up"


class MaintenanceTerms(Spec):
    """What announced maintenance does to the figures, when it was announced `notice` before its start."""

    effect: MaintenanceEffect = MaintenanceEffect.DROP
    notice: AnyDuration = Duration.parse("0s")


class ServiceHoursSpec(Spec):
    """When service is owed, in the contract's zone: from `from` to `to` on these days."""

    days: tuple[Day, ...] = Field(default=DAYS[:5], min_length=1)
    from_: ClockTime = Field(alias="from")
    to: ClockTime
    holidays: tuple[date, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "ServiceHoursSpec":
        problems = []
        if self.to.minute <= self.from_.minute:
            problems.append(("to", f"{self.to.text} must be after from {self.from_.text}"))
        if len(set(self.days)) < len(self.days):
            problems.append(("days", "a day is there more than once"))
        if len(set(self.holidays)) < len(self.holidays):
            problems.append(("holidays", "a date is there more than once"))
        if problems:
            raise FieldProblems(problems)
        return self


def _whole_days(value: Duration) -> Duration:
    if value.ns % _DAY_NS:
        raise ValueError("must be whole days, such as 60d")
    return value


class CreditTierSpec(Spec):
    """A figure below `below` gives `credit` of the fee."""

    below: Share
    credit: Share


class CreditsSpec(Spec):
    """What a missed objective costs: by a published schedule (`preset`) or by `tiers`, highest `below` first.

    With a preset, what is given beside it (cap, minimum, claim_within) replaces the schedule's own.
    """

    objective: Name
    base_fee: Money
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    preset: Name | None = None
    period: PeriodName | None = None
    """None: that of the objective's window."""
    tiers: tuple[CreditTierSpec, ...] = ()
    cap: Share | None = None
    minimum: Money | None = None
    claim_within: Annotated[PositiveDuration, AfterValidator(_whole_days)] | None = None
    rounding: Literal["half_even", "half_up", "down", "up"] = "half_even"
    minor_digits: int | None = Field(default=None, ge=0, le=4)
    """Decimals that amounts are rounded to; None: those of the currency."""

    @model_validator(mode="after")
    def _consistent(self) -> "CreditsSpec":
        problems = []
        if (self.preset is None) != bool(self.tiers):
            problems.append(("tiers", "give exactly one of preset and tiers"))
        for place, (above, tier) in enumerate(zip(self.tiers, self.tiers[1:], strict=False), start=1):
            if tier.below.value >= above.below.value:
                problems.append((f"tiers[{place}].below", f"must be below the {above.below.text} before it"))
            if tier.credit.value <= above.credit.value:
                problems.append(
                    (f"tiers[{place}].credit", f"must be above the {above.credit.text} before it")
                )
        if problems:
            raise FieldProblems(problems)
        return self


class ReportsSpec(Spec):
    """Which report is sent after each period, and to whom. `webhook` is the name of a Receiver."""

    schedule: Literal["daily", "weekly", "monthly", "quarterly", "yearly"]
    formats: tuple[ReportFormat, ...] = Field(default=("html", "pdf", "csv", "json"), min_length=1)
    email: tuple[_Email, ...] = ()
    webhook: Name | None = None
