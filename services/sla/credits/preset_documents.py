"""The form of the YAML that presets are written in, and its checks. Knows no contract and no slices."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from services.common.documents_values import Name, PositiveDuration, Ratio, Share, Spec
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, Method, Uptime

_NS_PER_MS = 1_000_000
_MONEY = r"^\d{1,12}(\.\d{1,4})?$"


class AllFailDocument(Spec):
    """An interval in which everything failed is down."""

    type: Literal["all_fail"]
    interval: PositiveDuration
    min_requests: Annotated[int, Field(ge=1)]

    def method(self) -> Method:
        """As the model has it."""
        return AllFail(self.interval.ns // _NS_PER_MS, self.min_requests)


class ErrorRateDocument(Spec):
    """Consecutive intervals with too many errors are down."""

    type: Literal["error_rate"]
    above: Share
    interval: PositiveDuration
    consecutive: Annotated[int, Field(ge=1)]
    min_requests: Annotated[int, Field(ge=1)]
    partial_intervals: bool

    def method(self) -> Method:
        """As the model has it."""
        return ErrorRate(
            above=self.above.value,
            interval_ms=self.interval.ns // _NS_PER_MS,
            consecutive=self.consecutive,
            min_requests=self.min_requests,
            partial_intervals=self.partial_intervals,
        )


class MeanErrorRateDocument(Spec):
    """The mean of the intervals' error rates."""

    type: Literal["mean_error_rate"]
    interval: PositiveDuration

    def method(self) -> Method:
        """As the model has it."""
        return MeanErrorRate(self.interval.ns // _NS_PER_MS)


class UptimeDocument(Spec):
    """Time that was not down."""

    type: Literal["uptime"]

    def method(self) -> Method:
        """As the model has it."""
        return Uptime()


class TierDocument(Spec):
    """Below an edge, or below the contract's own target, a share of the fee."""

    below: Share | Literal["target"]
    credit: Share


class MinimumDocument(Spec):
    """A credit is due only above this."""

    amount: Annotated[str, Field(pattern=_MONEY)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class ClaimDocument(Spec):
    """Until when a claim has to come: billing cycles after the one of the incident, or days after its end."""

    cycles: Annotated[int, Field(ge=1)] | None = None
    days: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "ClaimDocument":
        if (self.cycles is None) == (self.days is None):
            raise ValueError("a claim has either cycles or days")
        return self


class PresetDocument(Spec):
    """One published schedule."""

    name: Name
    title: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(pattern="^https://")]
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    commitment: Share | Literal["target"]
    commitment_between: tuple[Share, Share] | None = None
    method: Annotated[
        AllFailDocument | ErrorRateDocument | MeanErrorRateDocument | UptimeDocument,
        Field(discriminator="type"),
    ]
    tiers: Annotated[tuple[TierDocument, ...], Field(min_length=1)]
    cap: Share | None = None
    minimum: MinimumDocument | None = None
    claim: ClaimDocument | None = None
    notice: PositiveDuration | None = None
    whole_minutes_unstated: bool = False
    open: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> "PresetDocument":
        first, *rest = self.tiers
        if first.below != self.commitment:
            raise ValueError("the first tier is below the commitment")
        if (self.commitment == "target") != (self.commitment_between is not None):
            raise ValueError("commitment_between belongs to the commitment `target`")
        edges = [tier.below for tier in (rest if self.commitment == "target" else self.tiers)]
        shares = [edge.value for edge in edges if isinstance(edge, Ratio)]
        if len(shares) != len(edges) or any(low >= high for high, low in pairwise(shares)):
            raise ValueError("tiers go down from the commitment")
        given = [tier.credit.value for tier in self.tiers]
        if any(less >= more for less, more in pairwise(given)):
            raise ValueError("a lower tier gives more")
        return self


class PresetFile(Spec):
    """One file of them."""

    presets: tuple[PresetDocument, ...]
