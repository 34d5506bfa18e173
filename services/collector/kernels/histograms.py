"""Data points of histograms with explicit bounds, from bytes to columns.

`histogram_point` checks, and writes everything of fixed size and the lengths of the lists;
`copy_buckets` then copies the lists to the places that follow from the lengths.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.fields import (
    clear_row,
    fixed64_into,
    optional_into,
    point_attribute,
    point_exemplar,
    read_fixed64,
)
from services.collector.kernels.machine import Address, get_int, load_word, put_int, put_word
from services.collector.kernels.memory import (
    BOUNDS,
    COUNT,
    COUNTS,
    HISTOGRAM_COLUMNS,
    MAX_BITS,
    MIN_BITS,
    SUM_BITS,
)
from services.collector.kernels.schema import DEPTH_POINT
from services.collector.kernels.skip import skip_value
from services.collector.kernels.wire import FAILED, read_length, read_tag, read_varint

_START, _TIME, _COUNT, _SUM, _MIN, _MAX = 0x11, 0x19, 0x21, 0x29, 0x59, 0x61
_COUNTS, _COUNT_ONE, _BOUNDS, _BOUND_ONE = 0x32, 0x31, 0x3A, 0x39
_EXEMPLAR, _ATTRIBUTE, _FLAGS = 0x42, 0x4A, 0x50


@kernel
def histogram_point(
    buf: Address, pos: int, end: int, work: Address, row: Address, height: int, living: int
) -> tuple[int, np.uint64, np.uint64, np.uint64]:
    """Check and write one point but for its lists; `end` (or FAILED), time, start and flags."""
    zero = np.uint64(0)
    time_ns, start_ns, flags = zero, zero, zero
    clear_row(row, height, COUNT, HISTOGRAM_COLUMNS)
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _ATTRIBUTE:
            pos = point_attribute(buf, pos, end, work)
        elif tag == _TIME:
            time_ns, pos = read_fixed64(buf, pos, end)
        elif tag == _START:
            start_ns, pos = read_fixed64(buf, pos, end)
        elif tag == _FLAGS:
            flags, pos = read_varint(buf, pos, end)
        elif tag == _EXEMPLAR:
            pos = point_exemplar(buf, pos, end, work, living)
        elif pos >= 0:
            pos = _values(buf, pos, end, tag, work, row, height)
        if pos < 0:
            return FAILED, zero, zero, zero
    return end, time_ns, start_ns, flags


@kernel
def _values(buf: Address, pos: int, end: int, tag: int, work: Address, row: Address, height: int) -> int:
    """A field that only this type has, or that nobody knows."""
    if tag in (_COUNTS, _BOUNDS, _COUNT_ONE, _BOUND_ONE):
        length, pos = _list_bytes(buf, pos, end, tag)
        column = (COUNTS if _counts(tag) else BOUNDS) * height
        put_int(row, column, get_int(row, column) + (length >> 3))
        return pos + length if pos >= 0 else FAILED
    if tag == _COUNT:
        return fixed64_into(buf, pos, end, row, COUNT * height)
    if tag == _SUM:
        return optional_into(buf, pos, end, row, SUM_BITS, height)
    if tag == _MIN:
        return optional_into(buf, pos, end, row, MIN_BITS, height)
    if tag == _MAX:
        return optional_into(buf, pos, end, row, MAX_BITS, height)
    return skip_value(buf, pos, end, tag, DEPTH_POINT, work)


@kernel
def _counts(tag: int) -> bool:
    return tag in (_COUNTS, _COUNT_ONE)


@kernel
def _list_bytes(buf: Address, pos: int, end: int, tag: int) -> tuple[int, int]:
    """Length in bytes and position of elements of a list, packed or one alone."""
    length = 8
    if tag in (_COUNTS, _BOUNDS):
        length, pos = read_length(buf, pos, end)
    if pos < 0 or length & 7 != 0 or end - pos < length:
        return 0, FAILED
    return length, pos


@kernel
def copy_buckets(buf: Address, pos: int, end: int, work: Address, bounds: Address, counts: Address) -> int:
    """Copy the lists of one point, already checked, to where its bounds and counts begin."""
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag in (_COUNTS, _BOUNDS, _COUNT_ONE, _BOUND_ONE):
            length, pos = _list_bytes(buf, pos, end, tag)
            target = counts if _counts(tag) else bounds
            for index in range(length >> 3):
                put_word(target, index, load_word(buf, pos + 8 * index))
            if _counts(tag):
                counts += length
            else:
                bounds += length
            pos += length
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT, work)
        if pos < 0:
            return FAILED
    return end
