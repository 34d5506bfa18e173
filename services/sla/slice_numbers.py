"""What each report of a counter adds, over which interval: the rules of histograms, for plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.sla.kernels import increase
from services.sla.model import Ints, Numbers, Series
from services.sla.ports import NumberReader
from services.sla.slice_coverage import Reports


@dataclass(frozen=True, slots=True)
class NumberIncrements:
    """n over (start, ts], one element a report, in order of series, start and time."""

    series: Ints
    start: Ints
    ts: Ints
    n: Ints


def number_increments(numbers: Numbers, series: Mapping[int, Series], reports: Reports) -> NumberIncrements:
    """What each report adds. Rows may come in any order and repeat; each (series, start, time) counts once,
    told apart by the nanosecond where that is kept.

    Of reports of one time that differ the higher one is kept: which of them came first must not matter.
    """
    columns = (numbers.series, numbers.start, numbers.start_ns, numbers.ts, numbers.ts_ns)
    order = np.lexsort((-numbers.count, *reversed(columns)))
    key = np.stack([one[order] for one in columns])
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    chosen = order[fresh]
    who, begun, ts = numbers.series[chosen], numbers.start[chosen], numbers.ts[chosen]
    bits, count = numbers.bits[chosen], numbers.count[chosen]
    changed = np.ones(len(chosen), np.int64)
    process = key[:3, fresh]
    changed[1:] = (process[:, 1:] != process[:, :-1]).any(axis=0)
    group = np.cumsum(changed).astype(np.int64)
    delta = np.array([s in series and series[s].delta for s in who.tolist()], np.bool_)
    fell = np.zeros(len(chosen), np.bool_)
    increase.count_fell(group, count, fell)
    start, prev, n = (np.zeros(len(chosen), np.int64) for _ in range(3))
    increase.increase(group, begun, ts, bits, delta, fell, start, prev)
    for i in np.flatnonzero((prev == increase.FROM_ZERO) & (bits == 0) & (delta | ~fell)).tolist():
        one = series.get(int(who[i]))
        if one is not None:
            # A process that reported after the start it names would have told of an earlier count.
            last = reports.before(one, start_ms=int(begun[i]), ts_ms=int(ts[i]))
            start[i] = max(start[i], last)
    increase.increments(count, prev, n)
    return NumberIncrements(who, start, ts, n)


class KnownSeries:
    """Number series of metrics, read again when points of an unknown one turn up."""

    def __init__(self, reader: NumberReader) -> None:
        self._reader = reader
        self._series: dict[tuple[str, str], dict[int, Series]] = {}

    async def of(self, tenant: str, metric: str, numbers: Numbers) -> Mapping[int, Series]:
        """At least the series of these points."""
        known = self._series.setdefault((tenant, metric), {})
        if not set(numbers.series.tolist()) <= known.keys():
            found = await self._reader.number_series(tenant, metric)
            known.update({one.series_id: one for one in found})
        return known
