"""The methods once more, slice by slice and fraction by fraction, as one would do it with a pencil."""

from dataclasses import dataclass
from fractions import Fraction

from services.sla.columns import columns_of
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate
from services.sla.model import NoData, Revision
from services.sla.verdict import Times

NS = 10**6


def columns(slices):
    return columns_of([(Revision(one, 1, 0), k) for k, one in enumerate(slices)])


def times_of(slices, start_ms, end_ms):
    """Time without a slice is without data, before the first one not started."""
    first = slices[0].start_ms if slices else end_ms
    missing = (end_ms - start_ms - sum(one.length_ms for one in slices) - (first - start_ms)) * NS
    return Times(
        sum(one.up_ns for one in slices),
        sum(one.degraded_ns for one in slices),
        sum(one.down_ns for one in slices),
        sum(one.excluded_ns for one in slices),
        sum(one.no_data_ns for one in slices) + missing,
        sum(one.not_started_ns for one in slices) + (first - start_ms) * NS,
    )


@dataclass
class Interval:
    good: int = 0
    total: int = 0
    covered: int = 0
    missing: int = 0
    excluded: int = 0
    calm: bool = False
    whole: bool = False

    @property
    def bad(self):
        return self.total - self.good


def intervals(method, slices, start_ms, end_ms):
    length = method.interval_ms
    begin = slices[0].start_ms if slices else end_ms
    out = []
    for left in range(start_ms // length * length, end_ms, length):
        inside = [one for one in slices if left <= one.start_ms < left + length]
        low, high = max(left, start_ms), min(left + length, end_ms)
        one = Interval()
        known = 0
        for part in inside:
            known += part.length_ms
            one.excluded += part.excluded_ns
            one.missing += part.no_data_ns
            one.covered += part.up_ns + part.degraded_ns + part.down_ns
            if part.excluded_ns == part.length_ms * NS:
                continue
            one.good += part.good
            one.total += part.total
            if isinstance(method, ErrorRate) and part.total:
                one.calm |= Fraction(part.total - part.good, part.total) <= method.above
        before = min(max(begin - low, 0), high - low)
        one.missing += (high - low - known - before) * NS
        late = before or any(part.not_started_ns for part in inside)
        one.whole = high - low == length and not late and not one.excluded
        out.append(one)
    return out


def bad_intervals(method, parts):
    """The flags by what was seen."""
    if isinstance(method, AllFail):
        return [part.total >= method.min_requests and part.good == 0 for part in parts]
    flags = [
        part.total >= method.min_requests
        and Fraction(part.bad, part.total) > method.above
        and (method.partial_intervals or (part.whole and not part.calm))
        for part in parts
    ]
    kept = []
    for k in range(len(flags)):
        first = last = k
        while first > 0 and flags[first - 1]:
            first -= 1
        while last + 1 < len(flags) and flags[last + 1]:
            last += 1
        kept.append(flags[k] and last - first + 1 >= method.consecutive)
    return kept


def share(method, slices, start_ms, end_ms, no_data, up):
    parts = intervals(method, slices, start_ms, end_ms)
    covered = sum(part.covered for part in parts)
    excluded = sum(part.excluded for part in parts)
    missing = sum(part.missing for part in parts)
    if not covered and not (up and excluded and not missing):
        return None
    if isinstance(method, MeanErrorRate):
        return _mean(parts, no_data, up)
    bad = sum(part.covered for part, flag in zip(parts, bad_intervals(method, parts), strict=True) if flag)
    valid = covered + excluded * up + missing * (no_data is not NoData.EXCLUDE)
    return 1 - Fraction(bad + missing * (no_data is NoData.COUNT_DOWN), valid)


def _mean(parts, no_data, up):
    rates = []
    for part in parts:
        counted = part.covered + part.excluded * up + part.missing * (no_data is not NoData.EXCLUDE)
        if counted:
            failing = Fraction(part.bad, part.total) * part.covered if part.total else Fraction(0)
            failing += part.missing * (no_data is NoData.COUNT_DOWN)
            rates.append(failing / counted)
    return 1 - sum(rates, Fraction(0)) / len(rates)
