"""One metric of the first pass: its header, and the segments that hold its data points.

A metric's points may be spread over several segments (protobuf merges a repeated singular message);
those of a type that a later field of the oneof replaced are dead: to be checked, not kept.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.attributes import add_attribute, rest_field
from services.collector.kernels.hashing import (
    LEVEL_POINT,
    begin_set,
    end_set,
)
from services.collector.kernels.machine import (
    Address,
    get_int,
    put_int,
    put_word,
    signed,
)
from services.collector.kernels.memory import (
    CAPACITY,
    HEADERS_ADDRESS,
    METRIC_COUNT,
    POINT_COUNT,
    ROW_COUNTS,
    SEGMENT_COUNT,
    SEGMENT_DEAD,
    SEGMENT_END,
    SEGMENT_METRIC,
    SEGMENT_PLACE,
    SEGMENT_POINTS,
    SEGMENT_ROW,
    SEGMENT_START,
    SEGMENT_TYPE,
    SEGMENT_WIDTH,
    SEGMENTS_ADDRESS,
)
from services.collector.kernels.schema import (
    DEPTH_DATA,
    DEPTH_METRIC,
    EXP_HISTOGRAM,
    GAUGE,
    HISTOGRAM,
    METRIC,
    NUMBERS,
    SUM,
    SUMMARY,
    TAG_EXP_HISTOGRAM,
    TAG_GAUGE,
    TAG_HISTOGRAM,
    TAG_SUM,
    TAG_SUMMARY,
)
from services.collector.kernels.skip import skip_value
from services.collector.kernels.wire import FAILED, read_length, read_tag, read_varint

_FIRST, _TWELFTH = 0x0A, 0x62
_TEMPORALITY, _MONOTONIC = 0x10, 0x18
_TEMPORALITY, _MONOTONIC = 0x10, 0x18


@kernel
def scan_metric(buf: Address, pos: int, end: int, work: Address) -> int:
    begin_set(work, LEVEL_POINT)
    first = get_int(work, SEGMENT_COUNT)
    current, temporality, monotonic = 0, 0, 0
    while pos < end:
        start = pos
        tag, pos = read_tag(buf, pos, end)
        kind = _type_of(tag)
        if kind != 0:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                if kind != current:
                    _kill(work, first)
                    current, temporality, monotonic = kind, 0, 0
                pos, temporality, monotonic = _segment(
                    buf, pos, pos + length, kind, temporality, monotonic, work
                )
        elif tag == _TWELFTH:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = add_attribute(buf, pos, pos + length, DEPTH_METRIC - 1, work, LEVEL_POINT)
        elif pos >= 0:
            pos = rest_field(buf, start, pos, end, tag, METRIC, DEPTH_METRIC, work, LEVEL_POINT)
        if pos < 0:
            return FAILED
    _close_metric(work, first, current, temporality, monotonic)
    return end


@kernel
def _type_of(tag: int) -> int:
    if tag == TAG_GAUGE:
        return GAUGE
    if tag == TAG_SUM:
        return SUM
    if tag == TAG_HISTOGRAM:
        return HISTOGRAM
    if tag == TAG_EXP_HISTOGRAM:
        return EXP_HISTOGRAM
    if tag == TAG_SUMMARY:
        return SUMMARY
    return 0


@kernel
def _kill(work: Address, first: int) -> None:
    """The segments from `first` on belong to a type that another one has replaced."""
    segments = get_int(work, SEGMENTS_ADDRESS)
    for row in range(first, min(get_int(work, SEGMENT_COUNT), get_int(work, CAPACITY))):
        put_int(segments, row * SEGMENT_WIDTH + SEGMENT_DEAD, 1)


@kernel
def _segment(
    buf: Address, pos: int, end: int, kind: int, temporality: int, monotonic: int, work: Address
) -> tuple[int, int, int]:
    """One occurrence of a metric's data: counts its points, which the second pass looks into."""
    start, points = pos, 0
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _FIRST:
            length, pos = read_length(buf, pos, end)
            pos += length
            points += 1
        elif tag == _TEMPORALITY and kind != GAUGE and kind != SUMMARY:
            value, pos = read_varint(buf, pos, end)
            temporality = signed(value << np.uint64(32)) >> 32
        elif tag == _MONOTONIC and kind == SUM:
            value, pos = read_varint(buf, pos, end)
            monotonic = 1 if value != 0 else 0
        elif pos >= 0:
            pos = skip_value(buf, pos, end, tag, DEPTH_DATA, work)
        if pos < 0:
            return FAILED, 0, 0
    row = get_int(work, SEGMENT_COUNT)
    put_int(work, SEGMENT_COUNT, row + 1)
    if row < get_int(work, CAPACITY):
        place = get_int(work, SEGMENTS_ADDRESS) + 8 * row * SEGMENT_WIDTH
        put_int(place, SEGMENT_START, start)
        put_int(place, SEGMENT_END, end)
        put_int(place, SEGMENT_TYPE, kind)
        put_int(place, SEGMENT_POINTS, points)
        put_int(place, SEGMENT_METRIC, get_int(work, METRIC_COUNT))
        put_int(place, SEGMENT_DEAD, 0)
    return end, temporality, monotonic


@kernel
def _close_metric(work: Address, first: int, kind: int, temporality: int, monotonic: int) -> None:
    """Give the living segments of a metric their places in the columns, and hash its header."""
    segments, capacity = get_int(work, SEGMENTS_ADDRESS), get_int(work, CAPACITY)
    table = ROW_COUNTS + max(kind, NUMBERS)
    for row in range(first, min(get_int(work, SEGMENT_COUNT), capacity)):
        place = segments + 8 * row * SEGMENT_WIDTH
        if get_int(place, SEGMENT_DEAD) == 0:
            points, rows = get_int(work, POINT_COUNT), get_int(work, table)
            put_int(place, SEGMENT_PLACE, points)
            put_int(place, SEGMENT_ROW, rows)
            put_int(work, POINT_COUNT, points + get_int(place, SEGMENT_POINTS))
            put_int(work, table, rows + get_int(place, SEGMENT_POINTS))
    metric = get_int(work, METRIC_COUNT)
    put_int(work, METRIC_COUNT, metric + 1)
    if metric < capacity:
        shape = np.uint64(np.uint32(temporality)) << np.uint64(8) | np.uint64(2 * kind + monotonic)
        a, b = end_set(work, LEVEL_POINT, shape, shape)
        headers = get_int(work, HEADERS_ADDRESS)
        put_word(headers, 2 * metric, a)
        put_word(headers, 2 * metric + 1, b)
