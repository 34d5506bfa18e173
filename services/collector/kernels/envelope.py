"""The first pass: resources, scopes and metrics around the data points.

It checks everything but the points themselves, hashes what all points of a metric have in common, and
leaves a table of segments: which bytes hold the points of which metric, and where in the columns their
rows begin. A metric's points may be spread over several segments (protobuf merges a repeated singular
message); those of a type that a later field of the oneof replaced are dead: to be checked, not kept.
Points are only counted here.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.attributes import add_attribute
from services.collector.kernels.hashing import (
    LEVEL_POINT,
    LEVEL_RESOURCE,
    LEVEL_SCOPE,
    add_rest,
    begin_set,
    end_set,
    join,
)
from services.collector.kernels.machine import (
    Address,
    Bytes,
    Ints,
    Words,
    address_of,
    get_int,
    get_word,
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
    STATUS,
    TOTALS_END,
)
from services.collector.kernels.messages import check_field
from services.collector.kernels.schema import (
    DEPTH_DATA,
    DEPTH_METRIC,
    DEPTH_RESOURCE_METRICS,
    DEPTH_SCOPE_METRICS,
    EXP_HISTOGRAM,
    GAUGE,
    HISTOGRAM,
    MAX_DEPTH,
    METRIC,
    NUMBERS,
    RESOURCE,
    RESOURCE_METRICS,
    SCOPE,
    SCOPE_METRICS,
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

_FIRST, _SECOND, _THIRD, _TWELFTH = 0x0A, 0x12, 0x1A, 0x62
_TEMPORALITY, _MONOTONIC = 0x10, 0x18


@kernel
def scan_request(raw: Bytes, work_area: Words, segments: Ints, headers: Words) -> None:
    """Fill `segments` and `headers` (hashes a and b of each metric), as far as they reach, and the totals.

    The total STATUS becomes FAILED when the request is not valid. Both tables have the same number of
    rows; when there are more segments or metrics than that, the caller makes them larger and scans again.
    """
    work = address_of(work_area)
    for total in range(STATUS, TOTALS_END):
        put_int(work, total, 0)
    put_int(work, SEGMENTS_ADDRESS, address_of(segments))
    put_int(work, HEADERS_ADDRESS, address_of(headers))
    put_int(work, CAPACITY, len(segments))
    put_int(work, STATUS, _request(address_of(raw), 0, len(raw), work))


@kernel
def _request(buf: Address, pos: int, end: int, work: Address) -> int:
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _FIRST:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = _resource_metrics(buf, pos, pos + length, work)
        elif pos >= 0:
            pos = skip_value(buf, pos, end, tag, MAX_DEPTH, work)
        if pos < 0:
            return FAILED
    return 0


@kernel
def _resource_metrics(buf: Address, pos: int, end: int, work: Address) -> int:
    begin_set(work, LEVEL_RESOURCE)
    first_metric = get_int(work, METRIC_COUNT)
    while pos < end:
        start = pos
        tag, pos = read_tag(buf, pos, end)
        if tag == _FIRST:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = _header(buf, pos, pos + length, RESOURCE, work, LEVEL_RESOURCE)
        elif tag == _SECOND:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = _scope_metrics(buf, pos, pos + length, work)
        elif pos >= 0:
            pos = _other(
                buf, start, pos, end, tag, RESOURCE_METRICS, DEPTH_RESOURCE_METRICS, work, LEVEL_RESOURCE
            )
        if pos < 0:
            return FAILED
    _join_headers(work, LEVEL_RESOURCE, first_metric)
    return end


@kernel
def _scope_metrics(buf: Address, pos: int, end: int, work: Address) -> int:
    begin_set(work, LEVEL_SCOPE)
    first_metric = get_int(work, METRIC_COUNT)
    while pos < end:
        start = pos
        tag, pos = read_tag(buf, pos, end)
        if tag == _FIRST:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = _header(buf, pos, pos + length, SCOPE, work, LEVEL_SCOPE)
        elif tag == _SECOND:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = _metric(buf, pos, pos + length, work)
        elif pos >= 0:
            pos = _other(buf, start, pos, end, tag, SCOPE_METRICS, DEPTH_SCOPE_METRICS, work, LEVEL_SCOPE)
        if pos < 0:
            return FAILED
    _join_headers(work, LEVEL_SCOPE, first_metric)
    return end


@kernel
def _header(buf: Address, pos: int, end: int, kind: int, work: Address, level: int) -> int:
    """A resource or a scope: attributes as a set, other fields as they come."""
    attributes = _FIRST if kind == RESOURCE else _THIRD
    depth = DEPTH_RESOURCE_METRICS - 1 if kind == RESOURCE else DEPTH_SCOPE_METRICS - 1
    while pos < end:
        start = pos
        tag, pos = read_tag(buf, pos, end)
        if tag == attributes:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = add_attribute(buf, pos, pos + length, depth - 1, work, level)
        elif pos >= 0:
            pos = _other(buf, start, pos, end, tag, kind, depth, work, level)
        if pos < 0:
            return FAILED
    return end


@kernel
def _other(
    buf: Address, start: int, pos: int, end: int, tag: int, kind: int, depth: int, work: Address, level: int
) -> int:
    """A field that is hashed as it stands."""
    pos = check_field(buf, pos, end, tag, kind, depth, work)
    if pos >= 0:
        add_rest(buf, start, pos, kind, work, level)
    return pos


@kernel
def _join_headers(work: Address, level: int, first: int) -> None:
    """Put a resource or scope, now complete, around the metrics from `first` on, which it holds."""
    headers = get_int(work, HEADERS_ADDRESS)
    a, b = end_set(work, level, np.uint64(0), np.uint64(0))
    for metric in range(first, min(get_int(work, METRIC_COUNT), get_int(work, CAPACITY))):
        put_word(headers, 2 * metric, join(get_word(headers, 2 * metric), a, work))
        put_word(headers, 2 * metric + 1, join(get_word(headers, 2 * metric + 1), b, work))


@kernel
def _metric(buf: Address, pos: int, end: int, work: Address) -> int:
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
            pos = _other(buf, start, pos, end, tag, METRIC, DEPTH_METRIC, work, LEVEL_POINT)
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
