"""The kernels' tables as the columns that the collector works with: views, where that is possible.

A table of the kernels (`kernels/memory.py`) has one row more than it has points; that row is left out.
Most requests hold one or two types of metrics, so the columns of no points at all are made once.
"""

from collections.abc import Callable

import numpy as np

from services.collector import columns
from services.collector.kernels import memory
from services.collector.kernels.machine import Words
from services.collector.model import F64, I32, I64, U64

_LISTS = (
    (2, memory.BOUNDS),
    (2, memory.COUNTS),
    (3, memory.POSITIVE),
    (3, memory.NEGATIVE),
    (4, memory.QUANTILES),
)


def sum_up_lengths(tables: tuple[Words, ...]) -> list[int]:
    """Turn lengths of lists into ends of lists, in place; the totals, for `fill_lists`."""
    totals = []
    for table, column in _LISTS:
        lengths = tables[table][column, :-1]
        if len(lengths):
            np.cumsum(lengths, out=lengths)
        totals.append(int(lengths[-1]) if len(lengths) else 0)
    return [*totals, totals[-1]]


def type_columns(
    tables: tuple[Words, ...], values: tuple[U64, ...]
) -> tuple[columns.Numbers, columns.Histograms, columns.ExpHistograms, columns.Summaries]:
    """The columns of each type; `values` are the lists that `fill_lists` wrote."""
    _, numbers, histograms, exp_histograms, summaries = tables
    return (
        _numbers(numbers) if _any(numbers) else _NONE[0],
        _histograms(histograms, values[0], values[1]) if _any(histograms) else _NONE[1],
        _exp_histograms(exp_histograms, values[2], values[3]) if _any(exp_histograms) else _NONE[2],
        _summaries(summaries, values[4], values[5]) if _any(summaries) else _NONE[3],
    )


def _any(table: Words) -> bool:
    return len(table[0]) > 1


def _numbers(table: Words) -> columns.Numbers:
    """Points of gauges and sums."""
    return columns.Numbers(
        point=_ints(table, memory.POINT),
        kind=table[memory.NUMBER_KIND, :-1].astype(np.uint8),
        value_int=_ints(table, memory.NUMBER_INT),
        value_double=_doubles(table, memory.NUMBER_DOUBLE),
    )


def _histograms(table: Words, bounds: U64, counts: U64) -> columns.Histograms:
    """Points of histograms with explicit bounds."""
    return columns.Histograms(
        point=_ints(table, memory.POINT),
        count=table[memory.COUNT, :-1],
        sum=_optional(table, memory.SUM_BITS),
        min=_optional(table, memory.MIN_BITS),
        max=_optional(table, memory.MAX_BITS),
        bounds=columns.RaggedFloats(bounds.view(np.float64), _ints(table, memory.BOUNDS)),
        counts=columns.RaggedCounts(counts, _ints(table, memory.COUNTS)),
    )


def _exp_histograms(table: Words, positive: U64, negative: U64) -> columns.ExpHistograms:
    """Points of exponential histograms."""
    return columns.ExpHistograms(
        point=_ints(table, memory.POINT),
        count=table[memory.COUNT, :-1],
        sum=_optional(table, memory.SUM_BITS),
        min=_optional(table, memory.MIN_BITS),
        max=_optional(table, memory.MAX_BITS),
        scale=_small(table, memory.SCALE),
        zero_count=table[memory.ZERO_COUNT, :-1],
        zero_threshold=_doubles(table, memory.ZERO_THRESHOLD),
        positive_offset=_small(table, memory.POSITIVE_OFFSET),
        positive_counts=columns.RaggedCounts(positive, _ints(table, memory.POSITIVE)),
        negative_offset=_small(table, memory.NEGATIVE_OFFSET),
        negative_counts=columns.RaggedCounts(negative, _ints(table, memory.NEGATIVE)),
    )


def _summaries(table: Words, quantiles: U64, values: U64) -> columns.Summaries:
    """Points of summaries."""
    ends = _ints(table, memory.QUANTILES)
    return columns.Summaries(
        point=_ints(table, memory.POINT),
        count=table[memory.COUNT, :-1],
        sum=_doubles(table, memory.SUMMARY_SUM),
        quantiles=columns.RaggedFloats(quantiles.view(np.float64), ends),
        quantile_values=columns.RaggedFloats(values.view(np.float64), ends),
    )


def exemplar_columns(raw: bytes, table: Words, attributes_of: Callable[[bytes], bytes]) -> columns.Exemplars:
    """Exemplars; `attributes_of` reads the attributes of one, given its bytes."""
    if table.shape[1] == 0:
        return _NO_EXEMPLARS
    traces = zip(table[memory.TRACE_START].tolist(), table[memory.TRACE_END].tolist(), strict=True)
    spans = zip(table[memory.SPAN_START].tolist(), table[memory.SPAN_END].tolist(), strict=True)
    wholes = zip(
        table[memory.EXEMPLAR_ATTRIBUTES].tolist(),
        table[memory.EXEMPLAR_START].tolist(),
        table[memory.EXEMPLAR_END].tolist(),
        strict=True,
    )
    return columns.Exemplars(
        point=table[memory.POINT].view(np.int64),
        time_ns=table[memory.EXEMPLAR_TIME],
        kind=table[memory.EXEMPLAR_KIND].astype(np.uint8),
        value_int=table[memory.EXEMPLAR_INT].view(np.int64),
        value_double=table[memory.EXEMPLAR_DOUBLE].view(np.float64),
        trace_id=tuple(raw[start:end] for start, end in traces),
        span_id=tuple(raw[start:end] for start, end in spans),
        filtered_attributes=tuple(
            attributes_of(raw[start:end]) if present else b"" for present, start, end in wholes
        ),
    )


def _ints(table: Words, column: int) -> I64:
    return table[column, :-1].view(np.int64)


def _small(table: Words, column: int) -> I32:
    return table[column, :-1].view(np.int64).astype(np.int32)


def _doubles(table: Words, column: int) -> F64:
    return table[column, :-1].view(np.float64)


def _optional(table: Words, column: int) -> columns.OptionalFloats:
    return columns.OptionalFloats(_doubles(table, column), table[column + 1, :-1].astype(np.bool_))


def _empty(width: int) -> Words:
    return np.zeros((width, 1), np.uint64)


_NO_LIST = np.zeros(0, np.uint64)
_NONE = (
    _numbers(_empty(memory.NUMBER_COLUMNS)),
    _histograms(_empty(memory.HISTOGRAM_COLUMNS), _NO_LIST, _NO_LIST),
    _exp_histograms(_empty(memory.EXP_HISTOGRAM_COLUMNS), _NO_LIST, _NO_LIST),
    _summaries(_empty(memory.SUMMARY_COLUMNS), _NO_LIST, _NO_LIST),
)
_NO_EXEMPLARS = columns.Exemplars(
    point=np.zeros(0, np.int64),
    time_ns=_NO_LIST,
    kind=np.zeros(0, np.uint8),
    value_int=np.zeros(0, np.int64),
    value_double=np.zeros(0, np.float64),
    trace_id=(),
    span_id=(),
    filtered_attributes=(),
)
