"""What OpenSLO v1 and our contracts write differently: durations, windows, and where our names go.

Source: https://github.com/OpenSLO/OpenSLO (v1). Its durations are whole numbers of m, h, d, w, M, Q, Y.
"""

from datetime import date, timedelta
from fractions import Fraction

API_VERSION = "openslo/v1"
KINDS = frozenset(
    {"SLO", "SLI", "AlertPolicy", "AlertCondition", "AlertNotificationTarget", "DataSource", "Service"}
)
SOURCE_TYPE = "threenines"
"""Type of a metricSource whose spec is ours: metric, match, overlap, attribute, at_least, quantile."""

TENANT = "threenines/tenant"
CONTRACT = "threenines/contract"
OBJECTIVE = "threenines/objective"
EFFECTIVE_FROM = "threenines/effective-from"
TIME_ZONE = "threenines/time-zone"
ANNOTATIONS = frozenset({TENANT, CONTRACT, OBJECTIVE, EFFECTIVE_FROM, TIME_ZONE})

PERIODS = {"1d": "day", "1w": "week", "1M": "month", "1Q": "quarter", "1Y": "year"}
_UNITS_NS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60}
_NS = 10**9


def period_text(period: str) -> str:
    """OpenSLO's duration of a calendar period."""
    return next(text for text, name in PERIODS.items() if name == period)


def first_day(period: str, day: date) -> date:
    """The first day of the calendar period that holds a day; weeks begin on Monday."""
    match period:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def duration_text(ns: int, *, like: str = "") -> str | None:
    """A length in OpenSLO's units, as written in `like` where that is one of them; None below a minute."""
    if like[-1:] in _UNITS_NS and like[:-1].isdigit():
        return like
    for unit in ("h", "m"):
        if ns and ns % (_UNITS_NS[unit] * _NS) == 0:
            return f"{ns // (_UNITS_NS[unit] * _NS)}{unit}"
    return None


def decimal_text(value: Fraction) -> str | None:
    """An exact decimal number; None for a fraction that has none, such as 1/3."""
    for places in range(19):
        scaled = value * 10**places
        if scaled.denominator == 1:
            whole, rest = divmod(scaled.numerator, 10**places)
            return f"{whole}.{rest:0{places}d}" if places else f"{whole}"
    return None
