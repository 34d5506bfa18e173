"""Data points of exponential histograms, from bytes to columns.

As in `histograms.py`, lists are counted first (`exp_histogram_point`) and copied later (`copy_counts`).
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
from services.collector.kernels.machine import Address, get_int, load_byte, put_int, put_word, signed
from services.collector.kernels.memory import (
    COUNT,
    EXP_HISTOGRAM_COLUMNS,
    MAX_BITS,
    MIN_BITS,
    NEGATIVE_OFFSET,
    POSITIVE_OFFSET,
    SCALE,
    SUM_BITS,
    ZERO_COUNT,
    ZERO_THRESHOLD,
)
from services.collector.kernels.schema import DEPTH_POINT
from services.collector.kernels.skip import skip_value
from services.collector.kernels.wire import FAILED, read_length, read_tag, read_varint

_ATTRIBUTE, _START, _TIME, _COUNT, _SUM, _SCALE = 0x0A, 0x11, 0x19, 0x21, 0x29, 0x30
_ZERO_COUNT, _POSITIVE, _NEGATIVE, _FLAGS, _EXEMPLAR = 0x39, 0x42, 0x4A, 0x50, 0x5A
_MIN, _MAX, _ZERO_THRESHOLD = 0x61, 0x69, 0x71
_OFFSET, _COUNT_ONE, _COUNTS = 0x08, 0x10, 0x12


@kernel
def exp_histogram_point(
    buf: Address, pos: int, end: int, work: Address, row: Address, height: int, living: int
) -> tuple[int, np.uint64, np.uint64, np.uint64]:
    """Check and write one point but for its lists; `end` (or FAILED), time, start and flags."""
    zero = np.uint64(0)
    time_ns, start_ns, flags = zero, zero, zero
    clear_row(row, height, COUNT, EXP_HISTOGRAM_COLUMNS)
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
    if tag in (_POSITIVE, _NEGATIVE):
        length, pos = read_length(buf, pos, end)
        if pos < 0:
            return FAILED
        column = POSITIVE_OFFSET if tag == _POSITIVE else NEGATIVE_OFFSET
        return _buckets(buf, pos, pos + length, work, row, column * height, height)
    if tag == _SCALE:
        value, pos = read_varint(buf, pos, end)
        put_int(row, SCALE * height, _zigzag(value))
        return pos
    if tag == _COUNT:
        return fixed64_into(buf, pos, end, row, COUNT * height)
    if tag == _ZERO_COUNT:
        return fixed64_into(buf, pos, end, row, ZERO_COUNT * height)
    if tag == _ZERO_THRESHOLD:
        return fixed64_into(buf, pos, end, row, ZERO_THRESHOLD * height)
    if tag == _SUM:
        return optional_into(buf, pos, end, row, SUM_BITS, height)
    if tag == _MIN:
        return optional_into(buf, pos, end, row, MIN_BITS, height)
    if tag == _MAX:
        return optional_into(buf, pos, end, row, MAX_BITS, height)
    return skip_value(buf, pos, end, tag, DEPTH_POINT, work)


@kernel
def _zigzag(value: np.uint64) -> int:
    """A sint32: bits beyond the 32nd are dropped."""
    low = signed(value & np.uint64(0xFFFFFFFF))
    return (low >> 1) ^ -(low & 1)


@kernel
def _buckets(buf: Address, pos: int, end: int, work: Address, row: Address, offset: int, height: int) -> int:
    """One occurrence of a Buckets message: sets the offset, adds to the number of counts after it."""
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _OFFSET:
            value, pos = read_varint(buf, pos, end)
            put_int(row, offset, _zigzag(value))
        elif tag in (_COUNT_ONE, _COUNTS):
            stop = end
            if tag == _COUNTS:
                length, pos = read_length(buf, pos, end)
                stop = pos + length
            if pos >= 0:
                pos, counted = _count_varints(buf, pos, stop, tag == _COUNT_ONE)
                put_int(row, offset + height, get_int(row, offset + height) + counted)
        elif pos >= 0:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT - 1, work)
        if pos < 0:
            return FAILED
    return end


@kernel
def _count_varints(buf: Address, pos: int, end: int, one: bool) -> tuple[int, int]:
    """The position after all varints up to `end`, or after the first, and how many they are."""
    if one:
        _, pos = read_varint(buf, pos, end)
        return pos, 1
    counted = 0
    while pos < end:
        if load_byte(buf, pos) < 0x80:
            pos += 1
        else:
            _, pos = read_varint(buf, pos, end)
            if pos < 0:
                return FAILED, 0
        counted += 1
    return pos, counted


@kernel
def copy_counts(buf: Address, pos: int, end: int, work: Address, positive: Address, negative: Address) -> int:
    """Copy the lists of one point, already checked, to where its positive and negative counts begin."""
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag in (_POSITIVE, _NEGATIVE):
            length, pos = read_length(buf, pos, end)
            target = positive if tag == _POSITIVE else negative
            copied = _copy(buf, pos, pos + length, work, target)
            if tag == _POSITIVE:
                positive += 8 * copied
            else:
                negative += 8 * copied
            pos += length
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT, work)
        if pos < 0:
            return FAILED
    return end


@kernel
def _copy(buf: Address, pos: int, end: int, work: Address, target: Address) -> int:
    copied = 0
    while 0 <= pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag in (_COUNT_ONE, _COUNTS):
            stop = pos + 1
            if tag == _COUNTS:
                length, pos = read_length(buf, pos, end)
                stop = pos + length
            while 0 <= pos < stop:
                value, pos = read_varint(buf, pos, end)
                put_word(target, copied, value)
                copied += 1
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT - 1, work)
    return copied
