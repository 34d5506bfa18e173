"""The kernels' tables as the columns that the collector works with: views, where that is possible.

A table of the kernels (`kernels/memory.py`) has one row more than it has points; that row is left out.
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


def number_columns(table: Words) -> columns.Numbers:
    """Points of gauges and sums."""
    return columns.Numbers(
        point=_ints(table, memory.POINT),
        kind=table[memory.NUMBER_KIND, :-1].astype(np.uint8),
        value_int=_ints(table, memory.NUMBER_INT),
        value_double=_doubles(table, memory.NUMBER_DOUBLE),
    )


def histogram_columns(table: Words, bounds: U64, counts: U64) -> columns.Histograms:
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


def exp_histogram_columns(table: Words, positive: U64, negative: U64) -> columns.ExpHistograms:
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


def summary_columns(table: Words, quantiles: U64, values: U64) -> columns.Summaries:
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
