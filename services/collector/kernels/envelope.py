"""The first pass: resources, scopes and metrics around the data points.

It checks everything but the points themselves, hashes what all points of a metric have in common, and
leaves a table of segments: which bytes hold the points of which metric, and where in the columns their
rows begin. Points are only counted here.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.attributes import add_attribute, rest_field
from services.collector.kernels.hashing import (
    LEVEL_RESOURCE,
    LEVEL_SCOPE,
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
)
from services.collector.kernels.memory import (
    CAPACITY,
    HEADERS_ADDRESS,
    METRIC_COUNT,
    SEGMENTS_ADDRESS,
    STATUS,
    TOTALS_END,
)
from services.collector.kernels.metric import scan_metric
from services.collector.kernels.schema import (
    DEPTH_RESOURCE_METRICS,
    DEPTH_SCOPE_METRICS,
    MAX_DEPTH,
    RESOURCE,
    RESOURCE_METRICS,
    SCOPE,
    SCOPE_METRICS,
)
from services.collector.kernels.skip import skip_value
from services.collector.kernels.wire import FAILED, read_length, read_tag

_FIRST, _SECOND, _THIRD = 0x0A, 0x12, 0x1A


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
            pos = rest_field(
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
                pos = scan_metric(buf, pos, pos + length, work)
        elif pos >= 0:
            pos = rest_field(buf, start, pos, end, tag, SCOPE_METRICS, DEPTH_SCOPE_METRICS, work, LEVEL_SCOPE)
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
            pos = rest_field(buf, start, pos, end, tag, kind, depth, work, level)
        if pos < 0:
            return FAILED
    return end


@kernel
def _join_headers(work: Address, level: int, first: int) -> None:
    """Put a resource or scope, now complete, around the metrics from `first` on, which it holds."""
    headers = get_int(work, HEADERS_ADDRESS)
    a, b = end_set(work, level, np.uint64(0), np.uint64(0))
    for metric in range(first, min(get_int(work, METRIC_COUNT), get_int(work, CAPACITY))):
        put_word(headers, 2 * metric, join(get_word(headers, 2 * metric), a, work))
        put_word(headers, 2 * metric + 1, join(get_word(headers, 2 * metric + 1), b, work))
