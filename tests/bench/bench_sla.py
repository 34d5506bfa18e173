"""Kernels of the SLA service: exact p95s by group, a month of slices, burn rates of 10 000 objectives.

CPU time of one thread, all in one run, medians of several rounds. The rivals are ClickHouse's
`quantileExact` in the embedded engine, reading a table in memory with one thread, and pandas'
`groupby().quantile()`; all three start from a column of groups and a column of values.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray

from services.sla import kernels
from services.sla.distribution import quantile_of
from services.sla.figures import merged, uptime_of
from services.sla.kernels import burn, grouped, window
from services.sla.model import DistributionKind, SliceColumns
from services.sla.windows import Window
from tests.bench.report import Row
from tests.unit.sla.slicing import AVAILABILITY

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DUTY_MONTH_MS = 10.0
DUTY_BURN_MS = 100.0
_ROUNDS = 7
_VALUES, _GROUPS = 4_000_000, 10_000
_SLICES, _WIDTH_MS = 259_200, 10_000
_OBJECTIVES, _HISTORY = 10_000, 360
_P95 = Fraction(95, 100)
_WINDOWS_MS = np.array((300_000, 1_800_000, 3_600_000), np.int64)

_RIVAL = """
import json, sys, time
import chdb.session
rows, result, level, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
session = chdb.session.Session()
session.query("CREATE TABLE raw (g UInt32, v Float64) ENGINE = Memory")
session.query(f"INSERT INTO raw SELECT * FROM file('{rows}', RowBinary, 'g UInt32, v Float64')")
query = f"SELECT g, quantileExact({level})(v) FROM raw GROUP BY g ORDER BY g SETTINGS max_threads = 1"
times = []
for _ in range(rounds):
    begun = time.process_time()
    found = session.query(query, "RowBinary").bytes()
    times.append(time.process_time() - begun)
open(result, "wb").write(found)
print(json.dumps(sorted(times)[rounds // 2]))
"""


def cpu_ms(work: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """Milliseconds of CPU: the median, after one round that does not count."""
    work()
    spent = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return 1000 * sorted(spent)[rounds // 2]


def run() -> list[Row]:
    """The rows."""
    kernels.warm()
    return [*_grouped(), *_month(), *_burn_rates()]


def _grouped() -> list[Row]:
    rng = np.random.default_rng(7)
    group = rng.integers(0, _GROUPS, _VALUES)
    values = rng.lognormal(-2, 1, _VALUES)
    ours = np.empty(_GROUPS)

    def kernel() -> None:
        grouped.quantile_exact(*_swapped(grouped.gather(group, values, _GROUPS)), 0.95, ours)

    kernel_ms = cpu_ms(kernel)
    theirs, engine_ms = _clickhouse(group, values)
    assert np.array_equal(ours.view(np.int64), theirs.view(np.int64)), "the kernel and quantileExact differ"
    frame = pd.DataFrame({"g": group, "v": values})
    pandas_ms = cpu_ms(lambda: frame.groupby("g")["v"].quantile(0.95, interpolation="higher"), 3)
    each = f"exact p95 of {_VALUES / 1e6:g} M values in {_GROUPS:,} groups"
    return [
        Row(f"{each}: kernels", kernel_ms, "CPU-ms"),
        Row("  ClickHouse quantileExact (bit-equal)", engine_ms, "CPU-ms"),
        Row("  pandas groupby.quantile", pandas_ms, "CPU-ms"),
        Row("  ClickHouse : kernels", engine_ms / kernel_ms, "x", at_least=1.0),
        Row("  pandas : kernels", pandas_ms / kernel_ms, "x", at_least=1.0),
    ]


def _swapped(pair: tuple[Ints, Floats]) -> tuple[Floats, Ints]:
    return pair[1], pair[0]


def _clickhouse(group: Ints, values: Floats) -> tuple[Floats, float]:
    """What it says, and the CPU-milliseconds of one query."""
    record = np.dtype([("g", "<u4"), ("v", "<f8")])
    table = np.empty(len(group), record)
    table["g"], table["v"] = group, values
    with tempfile.TemporaryDirectory() as directory:
        rows, result = Path(directory) / "rows", Path(directory) / "result"
        table.tofile(rows)
        command = [sys.executable, "-c", _RIVAL, str(rows), str(result), "0.95", str(_ROUNDS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        found = np.fromfile(result, record)
    return found["v"].copy(), 1000 * float(json.loads(done.stdout))


def month(scale: int, requests: int = 100) -> SliceColumns:
    """30 days of ten-second slices of one latency objective: log-normal samples at one scale."""
    rng = np.random.default_rng(scale)
    shapes = []
    for _ in range(500):
        index = np.floor(np.log2(rng.lognormal(-2, 0.35, requests)) * 2.0**scale).astype(np.int64)
        shapes.append((int(index.min()), np.bincount(index - index.min())))
    chosen = rng.integers(0, len(shapes), _SLICES)
    rows = [shapes[k][1] for k in chosen]
    none, ones = np.zeros(_SLICES, np.int64), np.ones(_SLICES, np.int64)
    durations = np.zeros((6, _SLICES), np.int64)
    durations[0] = _WIDTH_MS * 10**6
    return SliceColumns(
        start_ms=np.arange(_SLICES) * _WIDTH_MS,
        length_ms=ones * _WIDTH_MS,
        good=ones * (requests - 1),
        total=ones * requests,
        durations=durations,
        kind=ones * int(DistributionKind.EXPONENTIAL),
        scale=ones * scale,
        offset=np.array([shapes[k][0] for k in chosen], np.int64),
        zero_count=none,
        at=np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64),
        counts=np.concatenate(rows).astype(np.int64),
        bounds_at=np.zeros(_SLICES + 1, np.int64),
        bounds=np.zeros(0),
        sealed=ones == 1,
        revision=ones,
        known_at_ms=none,
        seq=none,
    )


def _month() -> list[Row]:
    rows = []
    for scale, duty in ((3, DUTY_MONTH_MS), (5, None)):
        columns = month(scale)
        sums = np.zeros(8, np.int64)
        # What `uptime_of` hands to the kernels, laid out before: that part is not theirs.
        table = np.vstack((columns.good, columns.total, columns.durations))

        def figures(columns: SliceColumns = columns, table: Ints = table, sums: Ints = sums) -> None:
            distribution = merged(columns)
            assert distribution is not None
            assert quantile_of(distribution, _P95) is not None
            window.totals(table, sums)

        name = f"30-day p95 and uptime, {_SLICES:,} slices, {len(columns.counts) / _SLICES:.0f} buckets each"
        rows.append(Row(f"{name} (scale {scale})", cpu_ms(figures), "CPU-ms", at_most=duty))
    where = Window(0, _SLICES * _WIDTH_MS, _SLICES * _WIDTH_MS)
    rows.append(
        Row("  uptime_of, all of it", cpu_ms(lambda: uptime_of(AVAILABILITY, columns, where)), "CPU-ms")
    )
    return rows


def _burn_rates() -> list[Row]:
    """An hour of ten-second slices for each objective; three windows; thresholds and coverage included."""
    rng = np.random.default_rng(3)
    size = _OBJECTIVES * _HISTORY
    at = np.arange(_OBJECTIVES + 1) * _HISTORY
    start = np.tile(np.arange(_HISTORY) * _WIDTH_MS, _OBJECTIVES)
    valid = np.full(size, _WIDTH_MS * 10**6)
    slices = np.stack((rng.integers(0, 3, size), rng.integers(50, 200, size), valid // 50, valid))
    anchor = np.full(_OBJECTIVES, _HISTORY * _WIDTH_MS)
    shape = (_OBJECTIVES, len(_WINDOWS_MS))
    sums, usable, over = np.zeros((*shape, 4), np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    limit, missing = np.zeros((*shape, 2), np.int64), np.zeros(shape, np.int64)
    limit[..., 0], limit[..., 1] = 144, 10_000

    def rates() -> None:
        burn.many(at, start, slices, anchor, _WINDOWS_MS, sums)
        burn.known(sums, missing, np.array((9, 10)), usable)
        burn.exceeds(sums, limit, 5, usable, over)

    spent = cpu_ms(rates)
    assert usable.all()
    name = f"burn rates of {_OBJECTIVES:,} objectives, {len(_WINDOWS_MS)} windows, {_HISTORY} slices each"
    return [Row(name, spent, "CPU-ms", at_most=DUTY_BURN_MS)]
