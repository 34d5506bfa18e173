"""Fields that several types of data points have: fixed 64 bits, optional doubles, attributes, exemplars."""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.attributes import add_attribute
from services.collector.kernels.hashing import LEVEL_POINT
from services.collector.kernels.machine import Address, get_int, load_word, put_int, put_word
from services.collector.kernels.memory import EXEMPLAR_COUNT
from services.collector.kernels.messages import check_message
from services.collector.kernels.schema import DEPTH_POINT, EXEMPLAR
from services.collector.kernels.wire import FAILED, read_length


@kernel
def read_fixed64(buf: Address, pos: int, end: int) -> tuple[np.uint64, int]:
    """Eight bytes, and the position after them."""
    if end - pos < 8:
        return np.uint64(0), FAILED
    return load_word(buf, pos), pos + 8


@kernel
def fixed64_into(buf: Address, pos: int, end: int, row: Address, column: int) -> int:
    """Eight bytes into a column; `column` counts in words from `row`."""
    if end - pos < 8:
        return FAILED
    put_word(row, column, load_word(buf, pos))
    return pos + 8


@kernel
def optional_into(buf: Address, pos: int, end: int, row: Address, column: int, height: int) -> int:
    """An optional double: its bits into column `column`, 1 into the next."""
    put_int(row, (column + 1) * height, 1)
    return fixed64_into(buf, pos, end, row, column * height)


@kernel
def clear_row(row: Address, height: int, first: int, last: int) -> None:
    """Zeros into columns `first` to `last` (excluded) of a row."""
    for column in range(first, last):
        put_int(row, column * height, 0)


@kernel
def point_attribute(buf: Address, pos: int, end: int, work: Address) -> int:
    """An attribute of a point; `pos` is at its length."""
    length, pos = read_length(buf, pos, end)
    if pos < 0:
        return FAILED
    return add_attribute(buf, pos, pos + length, DEPTH_POINT - 1, work, LEVEL_POINT)


@kernel
def point_exemplar(buf: Address, pos: int, end: int, work: Address, living: int) -> int:
    """Check and count an exemplar of a point; `pos` is at its length."""
    length, pos = read_length(buf, pos, end)
    if pos < 0:
        return FAILED
    put_int(work, EXEMPLAR_COUNT, get_int(work, EXEMPLAR_COUNT) + living)
    return check_message(buf, pos, pos + length, EXEMPLAR, DEPTH_POINT - 1, work)
