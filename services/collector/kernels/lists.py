"""The third pass, only for requests that have any: lists of histograms and summaries, and exemplars.

Everything was checked by the second pass; what is copied here has its place from the lengths and counts
that it left.
"""

from services.collector.kernels._jit import kernel
from services.collector.kernels.exemplars import copy_exemplars
from services.collector.kernels.exp_histograms import copy_counts
from services.collector.kernels.histograms import copy_buckets
from services.collector.kernels.machine import Address, Bytes, Ints, Words, address_of, get_int
from services.collector.kernels.memory import (
    BOUNDS,
    COUNTS,
    NEGATIVE,
    POSITIVE,
    QUANTILES,
    SEGMENT_COUNT,
    SEGMENT_DEAD,
    SEGMENT_END,
    SEGMENT_PLACE,
    SEGMENT_ROW,
    SEGMENT_START,
    SEGMENT_TYPE,
    SEGMENT_WIDTH,
)
from services.collector.kernels.schema import DEPTH_DATA, EXP_HISTOGRAM, HISTOGRAM, SUMMARY
from services.collector.kernels.skip import skip_value
from services.collector.kernels.summaries import copy_quantiles
from services.collector.kernels.wire import read_length, read_tag

_POINT = 0x0A


@kernel
def fill_lists(
    raw: Bytes,
    work_area: Words,
    segments: Ints,
    tables: tuple[Words, ...],
    lists: tuple[Words, ...],
) -> None:
    """Copy all lists: bounds and counts, positive and negative counts, quantiles and their values.

    `tables` are those of `fill_points`, with the lengths of lists summed up from row to row.
    """
    work, buf = address_of(work_area), address_of(raw)
    for row in range(get_int(work, SEGMENT_COUNT)):
        segment = address_of(segments) + 8 * row * SEGMENT_WIDTH
        if get_int(segment, SEGMENT_DEAD) != 0:
            continue
        kind = get_int(segment, SEGMENT_TYPE)
        if kind == HISTOGRAM:
            _segment(buf, segment, work, tables[2], BOUNDS, COUNTS, lists[0], lists[1])
        elif kind == EXP_HISTOGRAM:
            _segment(buf, segment, work, tables[3], POSITIVE, NEGATIVE, lists[2], lists[3])
        elif kind == SUMMARY:
            _segment(buf, segment, work, tables[4], QUANTILES, QUANTILES, lists[4], lists[5])


@kernel
def _segment(
    buf: Address,
    segment: Address,
    work: Address,
    table: Words,
    first_column: int,
    second_column: int,
    first: Words,
    second: Words,
) -> None:
    row, kind = get_int(segment, SEGMENT_ROW), get_int(segment, SEGMENT_TYPE)
    pos, end = get_int(segment, SEGMENT_START), get_int(segment, SEGMENT_END)
    while 0 <= pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _POINT:
            length, pos = read_length(buf, pos, end)
            one = address_of(first) + 8 * _begin(table, first_column, row)
            other = address_of(second) + 8 * _begin(table, second_column, row)
            pos = _point(buf, pos, pos + length, kind, work, one, other)
            row += 1
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_DATA, work)


@kernel
def _begin(table: Words, column: int, row: int) -> int:
    return get_int(address_of(table), column * table.shape[1] + row - 1) if row > 0 else 0


@kernel
def _point(
    buf: Address, pos: int, end: int, kind: int, work: Address, first: Address, second: Address
) -> int:
    if kind == HISTOGRAM:
        return copy_buckets(buf, pos, end, work, first, second)
    if kind == EXP_HISTOGRAM:
        return copy_counts(buf, pos, end, work, first, second)
    return copy_quantiles(buf, pos, end, work, first, second)


@kernel
def fill_exemplars(raw: Bytes, work_area: Words, segments: Ints, exemplars: Words) -> None:
    """Write the exemplars of all living points, in the order of the points."""
    work, buf = address_of(work_area), address_of(raw)
    written = 0
    for row in range(get_int(work, SEGMENT_COUNT)):
        segment = address_of(segments) + 8 * row * SEGMENT_WIDTH
        if get_int(segment, SEGMENT_DEAD) != 0:
            continue
        kind, place = get_int(segment, SEGMENT_TYPE), get_int(segment, SEGMENT_PLACE)
        pos, end = get_int(segment, SEGMENT_START), get_int(segment, SEGMENT_END)
        while 0 <= pos < end:
            tag, pos = read_tag(buf, pos, end)
            if tag == _POINT:
                length, pos = read_length(buf, pos, end)
                written = copy_exemplars(buf, pos, pos + length, kind, work, place, exemplars, written)
                pos += length
                place += 1
            else:
                pos = skip_value(buf, pos, end, tag, DEPTH_DATA, work)
