"""Data points of gauges and sums, from bytes to columns."""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.fields import point_attribute, point_exemplar, read_fixed64
from services.collector.kernels.machine import Address, put_int, put_word
from services.collector.kernels.memory import NUMBER_DOUBLE, NUMBER_INT, NUMBER_KIND
from services.collector.kernels.schema import DEPTH_POINT, VALUE_DOUBLE, VALUE_INT, VALUE_NONE
from services.collector.kernels.skip import skip_value
from services.collector.kernels.wire import FAILED, read_tag, read_varint

_START, _TIME, _DOUBLE, _INT = 0x11, 0x19, 0x21, 0x31
_EXEMPLAR, _ATTRIBUTE, _FLAGS = 0x2A, 0x3A, 0x40


@kernel
def number_point(
    buf: Address, pos: int, end: int, work: Address, row: Address, height: int, living: int
) -> tuple[int, np.uint64, np.uint64, np.uint64]:
    """Check and write one point; `end` (or FAILED), time, start and flags.

    The value that a point does not have is written as 0.
    """
    zero = np.uint64(0)
    time_ns, start_ns, flags, value = zero, zero, zero, zero
    held = VALUE_NONE
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _ATTRIBUTE:
            pos = point_attribute(buf, pos, end, work)
        elif tag == _TIME:
            time_ns, pos = read_fixed64(buf, pos, end)
        elif tag == _START:
            start_ns, pos = read_fixed64(buf, pos, end)
        elif tag == _DOUBLE:
            value, pos = read_fixed64(buf, pos, end)
            held = VALUE_DOUBLE
        elif tag == _INT:
            value, pos = read_fixed64(buf, pos, end)
            held = VALUE_INT
        elif tag == _FLAGS:
            flags, pos = read_varint(buf, pos, end)
        elif tag == _EXEMPLAR:
            pos = point_exemplar(buf, pos, end, work, living)
        elif pos >= 0:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT, work)
        if pos < 0:
            return FAILED, zero, zero, zero
    put_int(row, NUMBER_KIND * height, held)
    put_word(row, NUMBER_INT * height, value if held == VALUE_INT else zero)
    put_word(row, NUMBER_DOUBLE * height, value if held == VALUE_DOUBLE else zero)
    return end, time_ns, start_ns, flags
