"""Classic histograms put together again: `x_bucket{le}`, `x_count` and `x_sum` as one point.

Prometheus sends each bucket as a series of its own, in any order, perhaps in several requests.
Where a request has all that belongs to one histogram at one time, it becomes one point with the
same counts; where anything is missing or does not fit, the numbers stay what they are. No count
is ever invented. A bucket that went another way cannot be seen missing, except by its siblings: all
histograms of one name and target have the same bounds, so one that has fewer is not complete.
Knows no protobuf and no transport.
"""

import math
from dataclasses import dataclass, field

from services.collector.remote_write_model import (
    METRIC_NAME,
    Elements,
    Example,
    FamilyType,
    Labels,
    Number,
    Series,
    is_stale,
)

_BUCKET, _COUNT, _SUM = "_bucket", "_count", "_sum"
_BOUND = "le"
_FAMILIES = (FamilyType.HISTOGRAM, FamilyType.UNSPECIFIED)
_FAMILY_LABELS = (METRIC_NAME, "job", "instance")
_MAX_COUNT = 2.0**64


@dataclass(frozen=True, slots=True)
class ClassicHistogram:
    """One histogram at one time."""

    series: Series
    """What the family says about itself; the labels are those of the histogram, without `le`."""
    time_ms: int
    start_ms: int
    bounds: tuple[float, ...]
    """Upper bounds, included, rising; +Inf is implied."""
    counts: tuple[int, ...]
    """For each bucket alone, one more than bounds."""
    count: int
    sum: float | None
    stale: bool
    """The series ends here: bounds, counts and sum mean nothing."""
    examples: tuple[Example, ...]
    elements: Elements


@dataclass(slots=True)
class _Parts:
    """The series of one histogram, by their part in it; a time that occurs twice is left out."""

    buckets: dict[float, Series] = field(default_factory=dict)
    count: Series | None = None
    sum: Series | None = None
    ambiguous: bool = False
    """Two labels name the same bound."""


def regroup(series: list[Series]) -> list[ClassicHistogram]:
    """The histograms that are complete; their numbers are marked as taken."""
    found = _parted(series)
    bounds: dict[Labels, set[float]] = {}
    for labels, parts in found.items():
        bounds.setdefault(_family_of(labels), set()).update(parts.buckets)
    histograms: list[ClassicHistogram] = []
    for labels, parts in found.items():
        alike = len(parts.buckets) == len(bounds[_family_of(labels)])
        if alike and parts.count is not None and math.inf in parts.buckets and not parts.ambiguous:
            histograms += _complete(labels, parts)
    return histograms


def _family_of(labels: Labels) -> Labels:
    """What histograms with the same bounds have in common: name and target."""
    return tuple(pair for pair in labels if pair[0] in _FAMILY_LABELS)


def _parted(series: list[Series]) -> dict[Labels, _Parts]:
    found: dict[Labels, _Parts] = {}
    rest: list[tuple[Series, str]] = []
    for one in series:
        name = one.name
        if one.family not in _FAMILIES or not one.numbers:
            continue
        if name.endswith(_BUCKET):
            bound = _bound(dict(one.labels).get(_BOUND, ""))
            if bound is not None:
                parts = found.setdefault(_labels_of(one, _BUCKET), _Parts())
                parts.ambiguous |= bound in parts.buckets
                parts.buckets[bound] = one
        elif name.endswith((_COUNT, _SUM)):
            rest.append((one, _COUNT if name.endswith(_COUNT) else _SUM))
    for one, suffix in rest:
        whole = found.get(_labels_of(one, suffix))
        if whole is not None and suffix == _COUNT:
            whole.count = one
        elif whole is not None:
            whole.sum = one
    return found


def _bound(text: str) -> float | None:
    """An upper bound; None for what bounds no bucket."""
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) or bound == -math.inf else bound


def _labels_of(series: Series, suffix: str) -> Labels:
    """The labels of the histogram that a series is part of."""
    name = series.name.removesuffix(suffix)
    return tuple(
        (key, name if key == METRIC_NAME else value)
        for key, value in series.labels
        if suffix != _BUCKET or key != _BOUND
    )


def _complete(labels: Labels, parts: _Parts) -> list[ClassicHistogram]:
    assert parts.count is not None
    bounds = sorted(parts.buckets)
    columns = [_by_time(parts.buckets[bound]) for bound in bounds]
    counts, sums = _by_time(parts.count), _by_time(parts.sum)
    said = parts.count
    whole = Series(labels, said.family, said.unit, said.help)
    made: list[ClassicHistogram] = []
    for time_ms, count in counts.items():
        buckets = [column[time_ms] for column in columns if time_ms in column]
        if len(buckets) == len(bounds):
            one = _histogram(whole, bounds, buckets, count, sums.get(time_ms))
            made += [] if one is None else [one]
    return made


def _by_time(series: Series | None) -> dict[int, Number]:
    """Numbers by their time; a time with two of them is no part of any histogram."""
    found: dict[int, Number] = {}
    twice: set[int] = set()
    for number in series.numbers if series is not None else ():
        if number.time_ms in found:
            twice.add(number.time_ms)
        found[number.time_ms] = number
    return {time_ms: number for time_ms, number in found.items() if time_ms not in twice}


def _histogram(
    whole: Series, bounds: list[float], buckets: list[Number], count: Number, total: Number | None
) -> ClassicHistogram | None:
    ends = [is_stale(number.value) for number in (*buckets, count)]
    if any(ends) and not all(ends):
        return None
    stale = all(ends)
    if total is not None and is_stale(total.value) is not stale:
        return None
    counts = () if stale else _differences(buckets, count)
    if counts is None:
        return None
    numbers = [*buckets, count] if total is None else [*buckets, count, total]
    for number in numbers:
        number.taken = True
    examples = tuple(example for number in numbers for example in number.examples)
    return ClassicHistogram(
        series=whole,
        time_ms=count.time_ms,
        start_ms=count.start_ms,
        bounds=() if stale else tuple(bounds[:-1]),
        counts=counts,
        count=0 if stale else int(count.value),
        sum=None if stale or total is None else total.value,
        stale=stale,
        examples=examples,
        elements=Elements(samples=len(numbers), exemplars=len(examples)),
    )


def _differences(buckets: list[Number], count: Number) -> tuple[int, ...] | None:
    """The counts of each bucket alone; None when they are no counts of one histogram."""
    values = [number.value for number in buckets]
    if values[-1] != count.value:
        return None
    if not all(0 <= value < _MAX_COUNT and value == int(value) for value in values):
        return None
    before = [0, *(int(value) for value in values[:-1])]
    counts = tuple(int(value) - lower for value, lower in zip(values, before, strict=True))
    return None if min(counts) < 0 else counts
