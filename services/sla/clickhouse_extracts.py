"""Slices and hours of several objectives of a tenant in one statement, as columns of each objective.

A statement costs ClickHouse milliseconds before it reads a row, so what a question needs is asked at once.
Written for `ClickHouseSliceStore`; what the rows are for is not known here.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from services.common.clickhouse import Database
from services.sla.columns import between, columns_of, rows_of
from services.sla.model import NS_PER_MS, Floats, Ints, SliceColumns
from services.sla.ports import Extract
from services.sla.read_columns import Columns, arrays, ints, sql

# A few thousand rows each, many at once: threads of one statement would only get in each other's way.
ONE_THREAD = " SETTINGS max_threads = 1"
_HOUR_MS = 3_600_000
_AS_OF = "AND known_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')"
_Ranges = tuple[tuple[int, int], ...]
_Values = dict[str, Any]


async def read_extracts(
    database: Database, tenant: str, wanted: Sequence[Extract], as_of_ms: int | None
) -> list[tuple[SliceColumns, SliceColumns]]:
    """See `SliceStore.extracts`."""
    statement, values = _statement(wanted, as_of_ms)
    if not statement:
        return [(columns_of(()), columns_of(())) for _ in wanted]
    found = await database.columns(statement, {"tenant": tenant, **values})
    return _apart(found, wanted) if found else [(columns_of(()), columns_of(())) for _ in wanted]


@cache
def bare(name: str) -> str:
    """A statement without its comment: the driver reads every word of it, every time."""
    return " ".join(line.strip() for line in sql(name).splitlines() if not line.startswith("--"))


def _statement(wanted: Sequence[Extract], as_of_ms: int | None) -> tuple[str, _Values]:
    """The statement with its values; empty when nothing is wanted."""
    text = bare("slices" if any(one.distributions for one in wanted) else "slice_counts")
    values: _Values = {"objectives": [one.objective for one in wanted]}
    hours = [(one.objective, _filled([_whole(*one.hours)])) for one in wanted]
    pieces = [(one.objective, _filled(one.pieces)) for one in wanted]
    selects = []
    for table, whole, ranges in (("sli_hours", "1", hours), ("sli_slices", "0", pieces)):
        if where := _where(table, ranges, values):
            select = text.replace("/* whole */", whole).replace("/* table */", table)
            selects.append(select.replace("/* ranges */", where))
    if as_of_ms is not None:
        values["as_of"] = as_of_ms
    known = "" if as_of_ms is None else _AS_OF
    return " UNION ALL ".join(selects).replace("/* as of */", known) + ONE_THREAD if selects else "", values


def _whole(low_ms: int, high_ms: int) -> tuple[int, int]:
    return -(-low_ms // _HOUR_MS) * _HOUR_MS, high_ms // _HOUR_MS * _HOUR_MS


def _filled(ranges: Iterable[tuple[int, int]]) -> _Ranges:
    return tuple((low, high) for low, high in ranges if low < high)


def _where(table: str, ranges: Sequence[tuple[str, _Ranges]], values: _Values) -> str:
    """The condition on objective and start, its values added to `values`; objectives of the same ranges
    together."""
    objectives: dict[_Ranges, list[str]] = {}
    for objective, one in ranges:
        if one:
            objectives.setdefault(one, []).append(objective)
    conditions = []
    for n, (one, names) in enumerate(objectives.items()):
        mine = f"{table}{n}"
        values[mine] = names
        starts = []
        for k, (low, high) in enumerate(one):
            values[f"{mine}low{k}"], values[f"{mine}high{k}"] = low, high
            starts.append(
                f"(slice_start >= fromUnixTimestamp64Milli({{{mine}low{k}:Int64}}, 'UTC')"
                f" AND slice_start < fromUnixTimestamp64Milli({{{mine}high{k}:Int64}}, 'UTC'))"
            )
        conditions.append(f"(objective IN {{{mine}:Array(String)}} AND ({' OR '.join(starts)}))")
    return " OR ".join(conditions)


def _apart(found: Columns, wanted: Sequence[Extract]) -> list[tuple[SliceColumns, SliceColumns]]:
    columns = _slice_columns(found)
    # Hours of the first objective, of the second, ..., then slices of the first one, ...
    group = ints(found["place"]) - 1 + (1 - ints(found["whole"])) * len(wanted)
    order = np.lexsort((columns.start_ms, group))
    if (order[1:] < order[:-1]).any():
        columns, group = rows_of(columns, order), group[order]
    at = np.searchsorted(group, np.arange(2 * len(wanted) + 1)).tolist()
    parts = [between(columns, low, high) for low, high in pairwise(at)]
    parts = [
        part if one.distributions else _without_distributions(part)
        for one, part in zip([*wanted, *wanted], parts, strict=True)
    ]
    return list(zip(parts[: len(wanted)], parts[len(wanted) :], strict=True))


def _without_distributions(columns: SliceColumns) -> SliceColumns:
    if not columns.kind.any():
        return columns
    n = len(columns.start_ms)
    zeros, starts = np.zeros(n, np.int64), np.zeros(n + 1, np.int64)
    return SliceColumns(
        start_ms=columns.start_ms,
        length_ms=columns.length_ms,
        good=columns.good,
        total=columns.total,
        durations=columns.durations,
        kind=zeros,
        scale=zeros,
        offset=zeros,
        zero_count=zeros,
        at=starts,
        counts=zeros[:0],
        bounds_at=starts,
        bounds=zeros[:0].astype(np.float64),
        sealed=columns.sealed,
        revision=columns.revision,
        known_at_ms=columns.known_at_ms,
        seq=columns.seq,
    )


def _slice_columns(found: Columns) -> SliceColumns:
    n = len(ints(found["revision"]))
    none = np.zeros(n, np.int64)
    at = bounds_at = np.zeros(n + 1, np.int64)
    counts: Ints = none[:0]
    bounds: Floats = none[:0].astype(np.float64)
    if "counts" in found:
        at, counts = arrays(found["counts"])
        bounds_at, bounds = arrays(found["bounds"])
    durations = ("up_ns", "degraded_ns", "down_ns", "excluded_ns", "no_data_ns", "not_started_ns")
    return SliceColumns(
        start_ms=ints(found["slice_start"]),
        length_ms=ints(found["length_ns"]) // NS_PER_MS,
        good=ints(found["good"]),
        total=ints(found["total"]),
        durations=np.stack([ints(found[name]) for name in durations]),
        kind=ints(found["distribution"]) if "distribution" in found else none,
        scale=ints(found["scale"]) if "scale" in found else none,
        offset=ints(found["first_bucket"]) if "first_bucket" in found else none,
        zero_count=ints(found["zero_count"]) if "zero_count" in found else none,
        at=at,
        counts=counts.astype(np.int64),
        bounds_at=bounds_at,
        bounds=bounds.astype(np.float64),
        sealed=ints(found["sealed"]).astype(np.bool_),
        revision=ints(found["revision"]),
        known_at_ms=ints(found["known_at"]),
        seq=ints(found["seq"]),
    )
