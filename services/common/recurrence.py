"""Repetition in local time: RFC 5545 recurrence rules in an IANA zone, expanded only where asked.

Rules are kept to what can be said about days and hours of a day, each part checked with its reason. What
repeats is not known here. How the two nights of the year are read:

- Starts repeat at the same local time. One that the spring night skips is taken at the offset before the
  change (RFC 5545 3.3.5, RFC 8984 1.4.4: 02:30 becomes 03:30), not left out as 3.3.10 has it: whoever
  announced the night works in it. One that the autumn night has twice is the first of the two.
- Lengths are exact, not nominal: start and end of the first occurrence give them (3.8.5.3, DTEND).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil import rrule

MOST_COUNT = 3_660
MOST_INTERVAL = 1_000
MOST_A_DAY = 24
_FREQUENCIES = {
    "DAILY": rrule.DAILY,
    "WEEKLY": rrule.WEEKLY,
    "MONTHLY": rrule.MONTHLY,
    "YEARLY": rrule.YEARLY,
}
_DAYS = {name: getattr(rrule, name) for name in ("MO", "TU", "WE", "TH", "FR", "SA", "SU")}
_DAY = re.compile(r"^([+-]?[1-9][0-9]?)?(MO|TU|WE|TH|FR|SA|SU)$")
_UNTIL = re.compile(r"^(\d{8})(?:T(\d{6})(Z?))?$")
_NUMBER = re.compile(r"^[+-]?\d{1,4}$")
# The Gregorian calendar repeats after so many years; a rule that never happens is searched for one round.
_ROUND = 400
_DAY_MS = 86_400_000
_AFTER_ALL_MS = 32_503_680_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule after its checks. until_ms: the last instant at which an occurrence may start."""

    frequency: int
    interval: int
    count: int | None
    until_ms: int | None
    week_start: str
    days: tuple[tuple[int, str], ...]
    month_days: tuple[int, ...]
    months: tuple[int, ...]
    positions: tuple[int, ...]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Starts from `start_ms` on, every one of which `rule` makes in `zone`."""

    rule: Rule
    start_ms: int
    zone: str

    def starts(self, low_ms: int, high_ms: int) -> list[int]:
        """Starts within [low, high), ascending, each once; without a walk from the first one unless the
        rule counts."""
        until = self.rule.until_ms
        high_ms = high_ms if until is None else min(high_ms, until + 1)
        low_ms = max(low_ms, self.start_ms)
        if low_ms >= high_ms:
            return []
        found = {self._instant(local) for local in self._locals(low_ms, high_ms)}
        return sorted(start for start in found if low_ms <= start < high_ms)

    def next_after(self, time_ms: int) -> int | None:
        """The first start at or after it; None when there is none within four centuries."""
        until = self.rule.until_ms
        if until is not None and time_ms > until:
            return None
        low = max(time_ms, self.start_ms)
        if self.rule.count is not None:
            return next(iter(self.starts(low, _AFTER_ALL_MS)), None)
        found = None
        # Ever wider, so that a daily rule costs days and a rule of leap days still answers.
        for days in (2, 60, 800, 12_000, 146_097):
            found = next(iter(self.starts(low, low + days * _DAY_MS)), None)
            if found is not None:
                return found
        return None

    def _locals(self, low_ms: int, high_ms: int) -> Iterator[datetime]:
        # A day on both sides covers every offset; the instants decide.
        low = _local(low_ms, self.zone) - timedelta(days=1)
        high = _local(high_ms, self.zone) + timedelta(days=1)
        first = _local(self.start_ms, self.zone)
        if self.rule.count is not None:
            return (one for one in islice(_rrule(self.rule, first, first), self.rule.count) if one <= high)
        anchor = _anchor(self.rule, first, low)
        return _until(_rrule(self.rule, first, anchor), max(low, first), high)

    def _instant(self, local: datetime) -> int:
        if local == _local(self.start_ms, self.zone):
            # The first is where it is, also when it is the second of two equal local times.
            return self.start_ms
        return instant_ms(local, self.zone) + self.start_ms % 1000


@lru_cache(maxsize=4096)
def recurrence(rule: str, start_ms: int, zone: str) -> Recurrence:
    """The rule from a start on.

    Raises:
        ValueError: says which part of the rule is wrong and why, or that the start is not one of its times.
    """
    parsed = parse_rule(rule, zone)
    local = _local(start_ms, zone)
    # At the end of the calendar the search for a first occurrence is bounded; years alike have days alike.
    late = local.replace(year=9600 - 9600 % _ROUND + local.year % _ROUND)
    if next(_rrule(parsed, late, late), None) != late:
        raise ValueError("the first start is not a time that the rule makes")
    if parsed.until_ms is not None and parsed.until_ms < start_ms:
        raise ValueError("UNTIL: is before the first start")
    return Recurrence(parsed, start_ms, zone)


def parse_rule(text: str, zone: str) -> Rule:
    """A rule such as `FREQ=WEEKLY;BYDAY=SU`; UNTIL without Z is local, a bare date its whole day.

    Raises:
        ValueError: the part that is wrong and why.
    """
    parts = _parts(text)
    frequency = parts.pop("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise ValueError("FREQ: must be DAILY, WEEKLY, MONTHLY or YEARLY")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT: not together with UNTIL")
    until, week_start = parts.pop("UNTIL", None), parts.pop("WKST", "MO")
    if week_start not in _DAYS:
        raise ValueError("WKST: must be a day such as MO")
    days = _days(parts.pop("BYDAY", ""), frequency)
    rule = Rule(
        frequency=_FREQUENCIES[frequency],
        interval=_one(parts, "INTERVAL", MOST_INTERVAL) or 1,
        count=_one(parts, "COUNT", MOST_COUNT),
        until_ms=None if until is None else _until_ms(until, zone),
        week_start=week_start,
        days=days,
        month_days=_numbers(parts, "BYMONTHDAY", lambda n: 1 <= abs(n) <= 31, "1 to 31 or -31 to -1"),
        months=_numbers(parts, "BYMONTH", lambda n: 1 <= n <= 12, "1 to 12"),
        positions=_numbers(parts, "BYSETPOS", lambda n: 1 <= abs(n) <= 366, "1 to 366 or -366 to -1"),
        hours=_numbers(parts, "BYHOUR", lambda n: 0 <= n <= 23, "0 to 23"),
        minutes=_numbers(parts, "BYMINUTE", lambda n: 0 <= n <= 59, "0 to 59"),
    )
    if parts:
        raise ValueError(f"{min(parts)}: is not supported")
    _check(rule, frequency)
    return rule


def instant_ms(local: datetime, zone: str) -> int:
    """Unix milliseconds of a local time without zone: the earlier of two, the offset before a gap."""
    moment = local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _check(rule: Rule, frequency: str) -> None:
    if frequency == "WEEKLY" and rule.month_days:
        raise ValueError("BYMONTHDAY: not with FREQ=WEEKLY")
    if rule.positions and not (rule.days or rule.month_days or rule.months or rule.hours or rule.minutes):
        raise ValueError("BYSETPOS: needs another BY part to choose from")
    if len(rule.hours or (0,)) * len(rule.minutes or (0,)) > MOST_A_DAY:
        raise ValueError(f"BYHOUR, BYMINUTE: more than {MOST_A_DAY} times a day")


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.strip().partition("=")
        if not equals or not value:
            raise ValueError(f"{part or 'rule'}: must be NAME=VALUE parts such as FREQ=WEEKLY;BYDAY=SU")
        if name in parts:
            raise ValueError(f"{name}: is there twice")
        parts[name] = value
    return parts


def _days(text: str, frequency: str) -> tuple[tuple[int, str], ...]:
    found = []
    for part in text.split(",") if text else ():
        match = _DAY.match(part)
        if match is None:
            raise ValueError("BYDAY: must be days such as SU, or 1SU and -1FR in months and years")
        if match[1] and frequency not in ("MONTHLY", "YEARLY"):
            raise ValueError("BYDAY: a number before the day needs FREQ=MONTHLY or YEARLY")
        if match[1] and abs(int(match[1])) > 53:
            raise ValueError("BYDAY: the number before a day is 1 to 53")
        found.append((int(match[1] or 0), match[2]))
    return tuple(found)


def _numbers(parts: dict[str, str], name: str, good: Callable[[int], bool], allowed: str) -> tuple[int, ...]:
    text = parts.pop(name, "")
    values = text.split(",") if text else []
    if not all(_NUMBER.match(value) and good(int(value)) for value in values):
        raise ValueError(f"{name}: must be {allowed}")
    return tuple(sorted({int(value) for value in values}))


def _one(parts: dict[str, str], name: str, most: int) -> int | None:
    values = parts.get(name, "").split(",")
    found = _numbers(parts, name, lambda n: 1 <= n <= most, f"1 to {most}")
    if len(values) > 1:
        raise ValueError(f"{name}: must be one number")
    return found[0] if found else None


def _until_ms(text: str, zone: str) -> int:
    match = _UNTIL.match(text)
    try:
        if match is None:
            raise ValueError
        local = datetime.fromisoformat(f"{match[1]}T{match[2] or '235959'}")
    except ValueError:
        raise ValueError("UNTIL: must be like 20261231T235959Z, or a date") from None
    return instant_ms(local, "UTC" if match[3] else zone) + 999


def _local(time_ms: int, zone: str) -> datetime:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(ZoneInfo(zone))
    return moment.replace(tzinfo=None, fold=0)


def _rrule(rule: Rule, first: datetime, anchor: datetime) -> Iterator[datetime]:
    """Local times from `anchor` on. What the rule leaves open it takes from `first`, so that another anchor
    changes nothing else."""
    days = tuple(_DAYS[name](n) if n else _DAYS[name] for n, name in rule.days)
    months, month_days = rule.months, rule.month_days
    if not (days or month_days):
        if rule.frequency == rrule.YEARLY:
            months, month_days = months or (first.month,), (first.day,)
        elif rule.frequency == rrule.MONTHLY:
            month_days = (first.day,)
        elif rule.frequency == rrule.WEEKLY:
            days = (rrule.weekday(first.weekday()),)
    return iter(
        rrule.rrule(
            rule.frequency,
            dtstart=anchor,
            interval=rule.interval,
            wkst=_DAYS[rule.week_start],
            bymonth=months or None,
            bymonthday=month_days or None,
            byweekday=days or None,
            bysetpos=rule.positions or None,
            byhour=rule.hours or (first.hour,),
            byminute=rule.minutes or (first.minute,),
            bysecond=(first.second,),
        )
    )


def _anchor(rule: Rule, first: datetime, low: datetime) -> datetime:
    """The start of a period of the rule at or before `low`, in step with the one that holds `first`."""
    if low <= first:
        return first
    n = rule.interval
    midnight = first.replace(hour=0, minute=0, second=0)
    if rule.frequency == rrule.YEARLY:
        begin = midnight.replace(month=1, day=1, year=first.year + (low.year - first.year) // n * n)
    elif rule.frequency == rrule.MONTHLY:
        months = (low.year - first.year) * 12 + low.month - first.month
        index = first.year * 12 + first.month - 1 + months // n * n
        begin = midnight.replace(day=1, year=index // 12, month=index % 12 + 1)
    elif rule.frequency == rrule.WEEKLY:
        into = (first.weekday() - _DAYS[rule.week_start].weekday) % 7
        week = midnight - timedelta(days=into)
        begin = week + timedelta(weeks=(low - week).days // 7 // n * n)
    else:
        begin = midnight + timedelta(days=(low - midnight).days // n * n)
    return max(begin, first)


def _until(times: Iterator[datetime], low: datetime, high: datetime) -> Iterator[datetime]:
    for one in times:
        if one > high:
            return
        if one >= low:
            yield one
