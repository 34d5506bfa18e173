"""The second pass: every data point of every segment, from bytes to columns.

Checks all that the first pass left, writes everything of fixed size and, of lists, their lengths. The
types have a file each; this one walks the segments and does what all points have in common.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.exp_histograms import exp_histogram_point
from services.collector.kernels.hashing import LEVEL_POINT, SECRET_MASK, begin_set, end_set
from services.collector.kernels.histograms import histogram_point
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
    FLAGS,
    HASH_A,
    HASH_B,
    POINT,
    SEGMENT_COUNT,
    SEGMENT_DEAD,
    SEGMENT_END,
    SEGMENT_METRIC,
    SEGMENT_PLACE,
    SEGMENT_ROW,
    SEGMENT_START,
    SEGMENT_TYPE,
    SEGMENT_WIDTH,
    START,
    STATUS,
    TIME,
    TYPE,
)
from services.collector.kernels.numbers import number_point
from services.collector.kernels.schema import DEPTH_DATA, EXP_HISTOGRAM, HISTOGRAM, NUMBERS
from services.collector.kernels.skip import skip_value
from services.collector.kernels.summaries import summary_point
from services.collector.kernels.wire import FAILED, read_length, read_tag

_POINT = 0x0A


@kernel
def fill_points(
    raw: Bytes,
    work_area: Words,
    segments: Ints,
    headers: Words,
    tables: tuple[Words, ...],
) -> None:
    """Check and write the points of all segments.

    `tables` are the columns of all points and those of numbers, histograms, exponential histograms and
    summaries (`memory.py`). The total STATUS becomes FAILED when a point is not valid.
    """
    work = address_of(work_area)
    buf, header = address_of(raw), address_of(headers)
    for row in range(get_int(work, SEGMENT_COUNT)):
        segment = address_of(segments) + 8 * row * SEGMENT_WIDTH
        table = tables[max(get_int(segment, SEGMENT_TYPE), NUMBERS) - 1]
        if _segment(buf, segment, header, work, tables[0], table) < 0:
            put_int(work, STATUS, FAILED)
            return


@kernel
def _segment(
    buf: Address, segment: Address, headers: Address, work: Address, points: Words, rows: Words
) -> int:
    kind = get_int(segment, SEGMENT_TYPE)
    width, height = points.shape[1], rows.shape[1]
    all_points, table = address_of(points), address_of(rows)
    place, row, living = width - 1, height - 1, 0
    if get_int(segment, SEGMENT_DEAD) == 0:
        place, row, living = get_int(segment, SEGMENT_PLACE), get_int(segment, SEGMENT_ROW), 1
    metric = headers + 16 * get_int(segment, SEGMENT_METRIC)
    pos, end = get_int(segment, SEGMENT_START), get_int(segment, SEGMENT_END)
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _POINT:
            length, pos = read_length(buf, pos, end)
            put_int(table, POINT * height + row, place)
            pos, time_ns, start_ns, flags = _point(
                buf, pos, pos + length, kind, work, table + 8 * row, height, living
            )
            put_word(all_points, TIME * width + place, time_ns)
            put_word(all_points, START * width + place, start_ns)
            put_word(all_points, FLAGS * width + place, flags & np.uint64(0xFFFFFFFF))
            put_int(all_points, TYPE * width + place, kind)
            a, b = end_set(work, LEVEL_POINT, get_word(metric, 0), get_word(metric, 1))
            put_word(all_points, HASH_A * width + place, a & get_word(work, SECRET_MASK))
            put_word(all_points, HASH_B * width + place, b)
            place += living
            row += living
        else:
            pos = skip_value(buf, pos, end, tag, DEPTH_DATA, work)
        if pos < 0:
            return FAILED
    return end


@kernel
def _point(
    buf: Address, pos: int, end: int, kind: int, work: Address, row: Address, height: int, living: int
) -> tuple[int, np.uint64, np.uint64, np.uint64]:
    begin_set(work, LEVEL_POINT)
    if kind <= NUMBERS:
        return number_point(buf, pos, end, work, row, height, living)
    if kind == HISTOGRAM:
        return histogram_point(buf, pos, end, work, row, height, living)
    if kind == EXP_HISTOGRAM:
        return exp_histogram_point(buf, pos, end, work, row, height, living)
    return summary_point(buf, pos, end, work, row, height)
