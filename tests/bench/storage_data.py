"""The data set of the storage benchmark: 2000 series, 1000 points each, every 10 s with 3 ms of jitter.

Counters (integers), gauges with two decimals, and a random walk in full precision. The column `batch` is
what a writer with a batch a second gives: each series has its second within the 10 s, and the log grows by
a few records a second.
"""

from dataclasses import dataclass

import numpy as np

from services.collector.model import F64, I64, MS_IN_DAY, NANOSECONDS_IN_MS, ValueKind

SERIES, POINTS = 2000, 1000
INTERVAL_MS = 10_000
KINDS = ("counters", "gauges, two decimals", "full precision")


@dataclass(frozen=True, slots=True)
class Samples:
    """Points sorted by series and time, one element each."""

    series: I64
    ts_ms: I64
    start_ms: I64
    batch: I64
    kind: ValueKind
    value_int: I64
    value_double: F64


def samples(kind: str, now_ns: int) -> Samples:
    """The points of one kind, all of yesterday (UTC)."""
    rng = np.random.default_rng(3)
    first_ms = (now_ns // NANOSECONDS_IN_MS // MS_IN_DAY - 1) * MS_IN_DAY
    shape = (SERIES, POINTS)
    offset = rng.integers(0, INTERVAL_MS, (SERIES, 1))
    ts = (
        first_ms
        + offset
        + INTERVAL_MS * np.arange(POINTS)
        + np.rint(rng.normal(0, 3, shape)).astype(np.int64)
    )
    log = np.cumsum(rng.integers(3, 7, (POINTS + 2) * INTERVAL_MS // 1000))
    number, decimal = np.zeros(shape, np.int64), np.zeros(shape)
    if kind == KINDS[0]:
        number = np.cumsum(rng.poisson(rng.uniform(1, 200, (SERIES, 1)), shape), axis=1)
    elif kind == KINDS[1]:
        decimal = np.round(50 + np.cumsum(rng.normal(0, 0.5, shape), axis=1), 2)
    else:
        decimal = np.cumsum(rng.normal(0, 1, shape), axis=1)
    return Samples(
        series=np.repeat(np.arange(SERIES), POINTS),
        ts_ms=ts.ravel(),
        start_ms=np.repeat(first_ms - rng.integers(0, MS_IN_DAY, SERIES), POINTS),
        batch=log[(ts.ravel() - first_ms) // 1000],
        kind=ValueKind.INT if kind == KINDS[0] else ValueKind.DOUBLE,
        value_int=number.ravel(),
        value_double=decimal.ravel(),
    )
