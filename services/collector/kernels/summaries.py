"""Data points of summaries, from bytes to columns.

As in `histograms.py`, quantiles are counted first (`summary_point`) and copied later (`copy_quantiles`).
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.fields import clear_row, fixed64_into, point_attribute, read_fixed64
from services.collector.kernels.machine import Address, get_int, put_int, put_word
from services.collector.kernels.memory import COUNT, QUANTILES, SUMMARY_COLUMNS, SUMMARY_SUM
from services.collector.kernels.messages import check_message
from services.collector.kernels.schema import DEPTH_POINT, QUANTILE
from services.collector.kernels.skip import skip_value
from services.collector.kernels.wire import FAILED, read_length, read_tag, read_varint

_START, _TIME, _COUNT, _SUM = 0x11, 0x19, 0x21, 0x29
_QUANTILES, _ATTRIBUTE, _FLAGS = 0x32, 0x3A, 0x40
_QUANTILE, _VALUE = 0x09, 0x11


@kernel
def summary_point(
    buf: Address, pos: int, end: int, work: Address, row: Address, height: int
) -> tuple[int, np.uint64, np.uint64, np.uint64]:
    """Check and write one point but for its lists; `end` (or FAILED), time, start and flags."""
    zero = np.uint64(0)
    time_ns, start_ns, flags = zero, zero, zero
    clear_row(row, height, COUNT, SUMMARY_COLUMNS)
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
        elif tag == _COUNT:
            pos = fixed64_into(buf, pos, end, row, COUNT * height)
        elif tag == _SUM:
            pos = fixed64_into(buf, pos, end, row, SUMMARY_SUM * height)
        elif tag == _QUANTILES:
            length, pos = read_length(buf, pos, end)
            if pos >= 0:
                pos = check_message(buf, pos, pos + length, QUANTILE, DEPTH_POINT - 1, work)
            put_int(row, QUANTILES * height, get_int(row, QUANTILES * height) + 1)
        elif pos >= 0:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT, work)
        if pos < 0:
            return FAILED, zero, zero, zero
    return end, time_ns, start_ns, flags


@kernel
def copy_quantiles(
    buf: Address, pos: int, end: int, work: Address, quantiles: Address, values: Address
) -> int:
    """Copy the quantiles of one point, already checked, to where its lists begin."""
    copied = 0
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _QUANTILES:
            length, pos = read_length(buf, pos, end)
            quantile, value = _pair(buf, pos, pos + length, work)
            put_word(quantiles, copied, quantile)
            put_word(values, copied, value)
            copied += 1
            pos += length
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT, work)
        if pos < 0:
            return FAILED
    return end


@kernel
def _pair(buf: Address, pos: int, end: int, work: Address) -> tuple[np.uint64, np.uint64]:
    quantile, value = np.uint64(0), np.uint64(0)
    while 0 <= pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _QUANTILE:
            quantile, pos = read_fixed64(buf, pos, end)
        elif tag == _VALUE:
            value, pos = read_fixed64(buf, pos, end)
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT - 1, work)
    return quantile, value
