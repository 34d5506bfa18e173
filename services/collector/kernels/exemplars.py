"""Exemplars of a point, from bytes to columns; their attributes are left where they are, for Python."""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.fields import read_fixed64
from services.collector.kernels.machine import Address, Words, address_of, put_int, put_word
from services.collector.kernels.memory import (
    EXEMPLAR_ATTRIBUTES,
    EXEMPLAR_COLUMNS,
    EXEMPLAR_DOUBLE,
    EXEMPLAR_END,
    EXEMPLAR_INT,
    EXEMPLAR_KIND,
    EXEMPLAR_START,
    EXEMPLAR_TIME,
    POINT,
    SPAN_START,
    TRACE_START,
)
from services.collector.kernels.schema import (
    DEPTH_POINT,
    TAG_EXEMPLAR,
    VALUE_DOUBLE,
    VALUE_INT,
)
from services.collector.kernels.skip import skip_value
from services.collector.kernels.wire import read_length, read_tag

_TIME, _DOUBLE, _SPAN, _TRACE, _INT, _ATTRIBUTE = 0x11, 0x19, 0x22, 0x2A, 0x31, 0x3A


@kernel
def copy_exemplars(
    buf: Address, pos: int, end: int, kind: int, work: Address, place: int, exemplars: Words, written: int
) -> int:
    """Write the exemplars of one point, already checked, from row `written` on; the next row."""
    height = exemplars.shape[1]
    expected = TAG_EXEMPLAR[kind]
    while 0 <= pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == expected:
            length, pos = read_length(buf, pos, end)
            row = address_of(exemplars) + 8 * written
            for column in range(EXEMPLAR_COLUMNS):
                put_int(row, column * height, 0)
            put_int(row, POINT * height, place)
            put_int(row, EXEMPLAR_START * height, pos)
            put_int(row, EXEMPLAR_END * height, pos + length)
            _exemplar(buf, pos, pos + length, work, row, height)
            pos += length
            written += 1
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT, work)
    return written


@kernel
def _exemplar(buf: Address, pos: int, end: int, work: Address, row: Address, height: int) -> None:
    while 0 <= pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _TIME:
            value, pos = read_fixed64(buf, pos, end)
            put_word(row, EXEMPLAR_TIME * height, value)
        elif tag in (_DOUBLE, _INT):
            value, pos = read_fixed64(buf, pos, end)
            zero = np.uint64(0)
            put_int(row, EXEMPLAR_KIND * height, VALUE_INT if tag == _INT else VALUE_DOUBLE)
            put_word(row, EXEMPLAR_INT * height, value if tag == _INT else zero)
            put_word(row, EXEMPLAR_DOUBLE * height, zero if tag == _INT else value)
        elif tag in (_TRACE, _SPAN):
            length, pos = read_length(buf, pos, end)
            column = TRACE_START if tag == _TRACE else SPAN_START
            put_int(row, column * height, pos)
            put_int(row, (column + 1) * height, pos + length)
            pos += length
        else:
            if tag == _ATTRIBUTE:
                put_int(row, EXEMPLAR_ATTRIBUTES * height, 1)
            pos = skip_value(buf, pos, end, tag, DEPTH_POINT - 1, work)
