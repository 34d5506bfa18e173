"""The values people write in documents: durations, ratios, names, time zones.

Each keeps the text as it was written beside its exact meaning, so that a document can be stored
and shown as its author knows it while every computation uses integers and fractions. Nothing
here becomes a float.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, PlainValidator, StringConstraints

NAME_PATTERN = r"^[a-z0-9-]{1,63}$"
ALL_TENANTS = "*"
# The collector's own heartbeat subject; as a tenant it would collide with it.
RESERVED_TENANTS = frozenset({"tick"})

_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
# Calendar periods in days where a length is needed before the dates are known, as for burn rates.
_NOMINAL_DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d|w)$")
_RATIO = re.compile(r"^(\d+(?:\.\d+)?)(%?)$")
_AMOUNT = re.compile(r"^\d{1,15}(?:\.\d{1,6})?$")
_TIME_OF_DAY = re.compile(r"^(\d{2}):([0-5]\d)$")
_DAY_MINUTES = 24 * 60


class Spec(BaseModel):
    """What every spec is: immutable, and refusing fields that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: `text` as written, `ns` exact nanoseconds."""

    text: str
    ns: int

    @staticmethod
    def parse(value: object) -> "Duration":
        """From text like `10s`, `5m`, `1h`, `30d` (a day is 24 hours).

        Raises:
            ValueError: not a duration, or not whole nanoseconds.
        """
        if isinstance(value, Duration):
            return value
        match = _DURATION.match(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError("must be a duration such as 10s, 5m, 1h or 30d")
        exact = Fraction(match[1]) * _UNIT_NS[match[2]]
        if exact.denominator != 1:
            raise ValueError("must be a whole number of nanoseconds")
        return Duration(match[0], exact.numerator)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A share or factor: `text` as written, `value` exact. `99.9%` is 999/1000."""

    text: str
    value: Fraction

    @staticmethod
    def parse(value: object) -> "Ratio":
        """From text like `99.9%` or `0.95`, or an integer.

        Raises:
            ValueError: not a decimal number; a float is refused because it is not exact.
        """
        if isinstance(value, Ratio):
            return value
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        match = _RATIO.match(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError('must be a decimal number or a percentage such as "99.9%"')
        return Ratio(match[0], Fraction(match[1]) / (100 if match[2] else 1))


@dataclass(frozen=True, slots=True)
class WindowLength:
    """What an objective is judged over: a length up to the newest data, or a period of the calendar.

    ns: the exact length; of a calendar `period` a nominal one, a month being 30 days.
    """

    text: str
    ns: int
    period: str | None = None

    @staticmethod
    def parse(value: object) -> "WindowLength":
        """From a duration such as `30d`, or `day`, `week`, `month`, `quarter`, `year`.

        Raises:
            ValueError: neither.
        """
        if isinstance(value, WindowLength):
            return value
        if isinstance(value, str) and value in _NOMINAL_DAYS:
            return WindowLength(value, _NOMINAL_DAYS[value] * _UNIT_NS["d"], value)
        try:
            length = Duration.parse(value)
        except ValueError as err:
            raise ValueError(f"must be a duration such as 30d, or one of {', '.join(_NOMINAL_DAYS)}") from err
        if length.ns <= 0:
            raise ValueError("must be longer than 0s")
        return WindowLength(length.text, length.ns)


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of money: `text` as written, `value` exact."""

    text: str
    value: Decimal

    @staticmethod
    def parse(value: object) -> "Amount":
        """From text like `1000.00`, or an integer.

        Raises:
            ValueError: not a decimal number, below 0, or of more digits than money has.
        """
        if isinstance(value, Amount):
            return value
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        match = _AMOUNT.match(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError('must be an amount such as "1000.00"')
        return Amount(match[0], Decimal(match[0]))


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A wall-clock time, `minute` counted from midnight; 24:00 is the end of the day."""

    text: str
    minute: int

    @staticmethod
    def parse(value: object) -> "TimeOfDay":
        """From `08:00`. YAML reads an unquoted 20:00 as the number 1200, which is the same time.

        Raises:
            ValueError: not a time from 00:00 to 24:00.
        """
        if isinstance(value, TimeOfDay):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _DAY_MINUTES:
            value = f"{value // 60:02d}:{value % 60:02d}"
        match = _TIME_OF_DAY.match(value) if isinstance(value, str) else None
        minute = int(match[1]) * 60 + int(match[2]) if match else _DAY_MINUTES + 1
        if match is None or minute > _DAY_MINUTES:
            raise ValueError('must be a time of day such as "08:00"')
        return TimeOfDay(match[0], minute)


def _text(value: Any) -> str:
    return str(value.text)


def _share(value: Ratio) -> Ratio:
    if not 0 < value.value <= 1:
        raise ValueError("must be above 0 and at most 100%")
    return value


def _floor(value: Ratio) -> Ratio:
    if not 0 <= value.value <= 1:
        raise ValueError("must be between 0 and 100%")
    return value


def _inside(value: Ratio) -> Ratio:
    if not 0 < value.value < 1:
        raise ValueError("must be above 0 and below 100%")
    return value


def _error_share(value: Ratio) -> Ratio:
    if not 0 <= value.value < 1:
        raise ValueError("must be at least 0 and below 100%")
    return value


def _positive_ratio(value: Ratio) -> Ratio:
    if value.value <= 0:
        raise ValueError("must be above 0")
    return value


def _positive(value: Duration) -> Duration:
    if value.ns <= 0:
        raise ValueError("must be longer than 0s")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise ValueError("must be an IANA time zone such as Europe/Berlin") from err
    return value


def _tenant(value: str) -> str:
    if value in RESERVED_TENANTS:
        raise ValueError(f"{value} is reserved")
    return value


AnyDuration = Annotated[
    Duration, PlainValidator(Duration.parse), PlainSerializer(_text, return_type=str, when_used="json")
]
PositiveDuration = Annotated[AnyDuration, AfterValidator(_positive)]
Window = Annotated[
    WindowLength,
    PlainValidator(WindowLength.parse),
    PlainSerializer(_text, return_type=str, when_used="json"),
]
Money = Annotated[
    Amount, PlainValidator(Amount.parse), PlainSerializer(_text, return_type=str, when_used="json")
]
ClockTime = Annotated[
    TimeOfDay, PlainValidator(TimeOfDay.parse), PlainSerializer(_text, return_type=str, when_used="json")
]
_AnyRatio = Annotated[
    Ratio, PlainValidator(Ratio.parse), PlainSerializer(_text, return_type=str, when_used="json")
]
Share = Annotated[_AnyRatio, AfterValidator(_share)]
Floor = Annotated[_AnyRatio, AfterValidator(_floor)]
ErrorShare = Annotated[_AnyRatio, AfterValidator(_error_share)]
Weight = _AnyRatio
OpenShare = Annotated[_AnyRatio, AfterValidator(_inside)]
PositiveRatio = Annotated[_AnyRatio, AfterValidator(_positive_ratio)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
TenantId = Annotated[str, StringConstraints(pattern=NAME_PATTERN), AfterValidator(_tenant)]
TimeZone = Annotated[str, AfterValidator(_zone)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
