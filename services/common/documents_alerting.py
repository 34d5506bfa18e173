"""`kind: AlertRule` and `kind: Receiver`: when to tell people, and whom.

Burn-rate factors follow chapter 5 of the SRE workbook (https://sre.google/workbook/alerting-on-slos/):
factor = budget share * period of the objective / long window.
"""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.common.documents_values import (
    AnyDuration,
    Duration,
    EnvironmentName,
    PositiveDuration,
    PositiveRatio,
    Share,
    Spec,
)

ObjectiveReference = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}/[a-z0-9-]{1,63}$")]


class Severity(StrEnum):
    """How urgent: critical and page wake somebody, ticket waits for the morning."""

    CRITICAL = "critical"
    PAGE = "page"
    TICKET = "ticket"


def _webhook_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https URL")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password; send a header by headers_from_env")
    return value


class OutageRule(Spec):
    """Fires while slices of the objective are down."""

    type: Literal["outage"]
    objective: ObjectiveReference
    min_requests: int = Field(default=1, ge=0)
    for_: AnyDuration = Field(default=Duration.parse("0s"), alias="for")
    keep_firing_for: AnyDuration = Duration.parse("30s")
    severity: Severity = Severity.CRITICAL


class BurnRateRule(Spec):
    """Fires while the error budget burns too fast over both windows.

    Give either `budget_share` (spent within the long window) or `factor` (times the even rate).
    """

    type: Literal["burn_rate"]
    objective: ObjectiveReference
    long: PositiveDuration
    short: PositiveDuration
    budget_share: Share | None = None
    factor: PositiveRatio | None = None
    min_bad: int = Field(default=1, ge=0)
    for_: AnyDuration = Field(default=Duration.parse("0s"), alias="for")
    keep_firing_for: AnyDuration = Duration.parse("30s")
    severity: Severity = Severity.PAGE

    @model_validator(mode="after")
    def _consistent(self) -> "BurnRateRule":
        if (self.budget_share is None) == (self.factor is None):
            raise ValueError("give exactly one of budget_share and factor")
        if self.short.ns >= self.long.ns:
            raise ValueError(f"short: {self.short.text} must be shorter than long {self.long.text}")
        return self

    def factor_for(self, period_ns: int) -> Fraction:
        """Burn rate at which the rule fires, for an objective over `period_ns`."""
        if self.factor is not None:
            return self.factor.value
        assert self.budget_share is not None
        return self.budget_share.value * period_ns / self.long.ns


AlertRule = Annotated[OutageRule | BurnRateRule, Field(discriminator="type")]


class ReceiverSpec(Spec):
    """Where alerts and reports go. The values of `headers_from_env` are names of environment variables, and
    so is `secret_from_env`: of the key that webhooks of reports are signed with."""

    type: Literal["webhook"]
    url: Annotated[str, AfterValidator(_webhook_url)]
    headers_from_env: dict[str, EnvironmentName] = Field(default_factory=dict)
    send_resolved: bool = True
    secret_from_env: EnvironmentName | None = None
