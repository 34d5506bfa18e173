"""How figures are written for people: lengths of time, shares, counts, instants, verdicts.

Shares are floored and lengths exact, so that no printed figure is better than the real one. Instants use the
offsets that the report carries, never the machine's time zone data.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from services.sla.reports.canonical import decimal_text
from services.sla.reports.model import Period

MINUS = "\u2212"
NARROW = "\u202f"
"""Between groups of three digits, and never at the end of a line."""
NONE = "\u2013"
"""Where there is no value."""

_FIXED = "\u00a0"
_SPACES = f" {NARROW}{_FIXED}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 10**9
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_VERDICTS = {
    "PASS": ("Met", "good"),
    "FAIL": ("Missed", "bad"),
    "INDETERMINATE": ("Not decidable", "unsure"),
    "NO_DATA": ("No data", "none"),
}
_CAUSES = {
    "LATE_DATA": "late data",
    "MORE_TIME": "more time",
    "MAINTENANCE_CHANGED": "maintenance",
    "CONTRACT_CHANGED": "contract",
    "INCIDENT_CHANGED": "incidents",
}


def shown(text: str) -> str:
    """Text from outside as it may stand in a document: what has no glyph or turns the text around is marked.

    Without this a name could show a figure backwards, or hold what XML and PDF cannot.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _SPACES else "\ufffd" for c in text)


def verdict_text(verdict: str, *, running: bool = False) -> str:
    """A verdict in words."""
    text = _VERDICTS.get(verdict, (verdict, ""))[0]
    return f"{text} so far" if running and verdict in ("PASS", "FAIL") else text


def verdict_tone(verdict: str) -> str:
    """How a verdict is coloured: good, bad, unsure or none."""
    return _VERDICTS.get(verdict, ("", "none"))[1]


def duration_text(ns: int) -> str:
    """A length of time, exact: `1 d 2 h 3 min 4.5 s`."""
    sign, ns = (MINUS, -ns) if ns < 0 else ("", ns)
    minutes, rest = divmod(ns, 60 * _SECOND_NS)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if n]
    if rest or not parts:
        parts.append(f"{decimal_text(Fraction(rest, _SECOND_NS), 9)} s")
    return sign + " ".join(parts)


def minutes_text(ns: int) -> str:
    """A length of time in minutes with three decimals, floored."""
    sign, text = _signed(Fraction(ns, 60 * _SECOND_NS), 3)
    return f"{sign}{text} min"


def percent_text(share: Fraction | None, decimals: int = 3) -> str:
    """A share in percent, floored."""
    if share is None:
        return NONE
    if share in (0, 1):
        return f"{100 * share} %"
    sign, text = _signed(100 * share, decimals)
    return f"{sign}{text} %"


def share_text(share: Fraction | None, *, flawless: bool) -> str:
    """A measured share in percent: 100 % only where nothing was down and nothing was missing."""
    return "99.999 %" if share == 1 and not flawless else percent_text(share)


def target_percent(share: Fraction) -> str:
    """A promised share in percent, with all of its decimals."""
    return f"{decimal_text(100 * share, 9)} %"


def displayed_text(displayed: str, unit: str = " %") -> str:
    """A figure that was floored when the report was made."""
    return f"{displayed}{unit}" if displayed else NONE


def count_text(n: int | None) -> str:
    """A count in groups of three digits."""
    if n is None:
        return NONE
    return f"{abs(n):,}".replace(",", NARROW) if n >= 0 else MINUS + f"{-n:,}".replace(",", NARROW)


def seconds_text(seconds: Decimal | Fraction | None) -> str:
    """A latency: milliseconds below one second, else seconds, with three decimals at most."""
    if seconds is None:
        return NONE
    exact = Fraction(seconds)
    if exact < 1:
        return f"{_rounded(exact * 1000)} ms"
    return f"{_rounded(exact)} s"


def local_text(instant_ms: int | None, period: Period) -> str:
    """Date, time and offset of an instant in the report's zone; seconds where they are not 0.

    Before the first offset that the report carries it is in UTC: nobody could tell the local time then.
    """
    if instant_ms is None:
        return NONE
    if period.offsets and instant_ms < period.offsets[0].from_ms:
        return utc_text(instant_ms)
    seconds = _offset(instant_ms, period)
    local = _EPOCH + timedelta(milliseconds=instant_ms, seconds=seconds)
    sign, minutes = ("+" if seconds >= 0 else MINUS), abs(seconds) // 60
    time = local.strftime("%H:%M:%S" if instant_ms % 60_000 else "%H:%M")
    time += f".{instant_ms % 1000:03d}" if instant_ms % 1000 else ""
    return f"{local.date().isoformat()} {time}{_FIXED}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def utc_text(instant_ms: int | None) -> str:
    """Date and time in UTC."""
    if instant_ms is None:
        return NONE
    instant = _EPOCH + timedelta(milliseconds=instant_ms)
    part = f".{instant_ms % 1000:03d}" if instant_ms % 1000 else ""
    return f"{instant:%Y-%m-%d %H:%M:%S}{part} UTC"


def zone_text(period: Period) -> str:
    """The zone that `local_text` writes in."""
    return period.zone if period.offsets else "UTC"


def local_date(instant_ms: int, period: Period) -> date:
    """The day of an instant in the report's zone."""
    return (_EPOCH + timedelta(milliseconds=instant_ms, seconds=_offset(instant_ms, period))).date()


def day_text(day: date) -> str:
    """`3 Oct`."""
    return f"{day.day} {_MONTHS[day.month - 1][:3]}"


def cause_text(reason: str) -> str:
    """Why a revision differs, in words; what is not one of our causes stays as it is."""
    return ", ".join(_CAUSES.get(one, one) for one in reason.split(", "))


def period_title(label: str) -> str:
    """`October 2026` for `2026-10`; labels of no known form stay as they are."""
    year, _, rest = label.partition("-")
    if not (year.isdigit() and len(year) == 4):
        return label
    if rest.startswith("Q") and rest[1:] in ("1", "2", "3", "4"):
        return f"Quarter {rest[1:]} of {year}"
    if rest.startswith("W") and rest[1:].isdigit():
        return f"Week {int(rest[1:])} of {year}"
    if len(rest) == 2 and rest.isdigit() and 1 <= int(rest) <= 12:
        return f"{_MONTHS[int(rest) - 1]} {year}"
    try:
        day = date.fromisoformat(label)
    except ValueError:
        return label
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _offset(instant_ms: int, period: Period) -> int:
    if not period.offsets:
        return 0
    place = bisect_right([offset.from_ms for offset in period.offsets], instant_ms)
    return period.offsets[max(0, place - 1)].seconds


def _signed(value: Fraction, decimals: int) -> tuple[str, str]:
    """Sign and floored decimals, all of them written."""
    steps = value.numerator * 10**decimals // value.denominator
    sign, steps = (MINUS, -steps) if steps < 0 else ("", steps)
    whole, rest = divmod(steps, 10**decimals)
    grouped = f"{whole:,}".replace(",", NARROW)
    return sign, f"{grouped}.{rest:0{decimals}d}" if decimals else grouped


def _rounded(value: Fraction) -> str:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    text = f"{exact.quantize(Decimal('0.001'), rounding=ROUND_HALF_EVEN):f}"
    return text.rstrip("0").rstrip(".")
