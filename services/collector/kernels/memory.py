"""Where things are in the memory that kernels and their caller share: work areas, segments, columns.

Everything is 64-bit words, so that one store instruction serves all. A table of columns is one array of
shape (columns, rows + 1): column c of row r is word c * (rows + 1) + r. The row beyond the last takes
the points of dead segments (see `envelope.py`), which are checked like others and then dropped.
"""

import numpy as np

from services.collector.kernels.machine import Words
from services.collector.kernels.schema import MAX_DEPTH, TYPES

# The work area of a thread, in words.
SECRETS = 8
LEVELS, SUMS = 3, 8
KEY_LIMIT, KEY_WIDTH = 128, 3
SECRETS_AT = 0
SUMS_AT = SECRETS_AT + SECRETS
TOTALS_AT = SUMS_AT + LEVELS * SUMS
PLACES_AT = TOTALS_AT + 16
STACK_AT = PLACES_AT + 8
GROUPS_AT = STACK_AT + 2 * (MAX_DEPTH + 1)
KEYS_AT = GROUPS_AT + MAX_DEPTH + 1
WORK_WORDS = KEYS_AT + LEVELS * KEY_LIMIT * KEY_WIDTH

# Totals, in the work area.
STATUS = TOTALS_AT
SEGMENT_COUNT = TOTALS_AT + 1
METRIC_COUNT = TOTALS_AT + 2
POINT_COUNT = TOTALS_AT + 3
EXEMPLAR_COUNT = TOTALS_AT + 4
ROW_COUNTS = TOTALS_AT + 8
"""Rows of each metric type's table; gauges and sums share one."""
TOTALS_END = ROW_COUNTS + TYPES

# Where the tables of the first pass are, and how many rows each of them has.
SEGMENTS_ADDRESS, HEADERS_ADDRESS, CAPACITY = PLACES_AT, PLACES_AT + 1, PLACES_AT + 2

# Segments: stretches of bytes that hold data points of one metric; one row of words each.
SEGMENT_START, SEGMENT_END, SEGMENT_TYPE, SEGMENT_POINTS, SEGMENT_METRIC = range(5)
SEGMENT_PLACE, SEGMENT_ROW, SEGMENT_DEAD = range(5, 8)
SEGMENT_WIDTH = 8

# Columns of all points, and of the rows of each type.
TIME, START, HASH_A, HASH_B, FLAGS, TYPE = range(6)
POINT_COLUMNS = 6
POINT = 0
NUMBER_KIND, NUMBER_INT, NUMBER_DOUBLE = range(1, 4)
NUMBER_COLUMNS = 4
COUNT, SUM_BITS, SUM_SET, MIN_BITS, MIN_SET, MAX_BITS, MAX_SET = range(1, 8)
BOUNDS, COUNTS = 8, 9
HISTOGRAM_COLUMNS = 10
SCALE, ZERO_COUNT, ZERO_THRESHOLD = range(8, 11)
POSITIVE_OFFSET, POSITIVE, NEGATIVE_OFFSET, NEGATIVE = range(11, 15)
EXP_HISTOGRAM_COLUMNS = 15
SUMMARY_SUM, QUANTILES = 2, 3
SUMMARY_COLUMNS = 4
EXEMPLAR_TIME, EXEMPLAR_KIND, EXEMPLAR_INT, EXEMPLAR_DOUBLE, EXEMPLAR_START, EXEMPLAR_END = range(1, 7)
EXEMPLAR_ATTRIBUTES, TRACE_START, TRACE_END, SPAN_START, SPAN_END = range(7, 12)
EXEMPLAR_COLUMNS = 12

TABLE_WIDTHS = (POINT_COLUMNS, NUMBER_COLUMNS, HISTOGRAM_COLUMNS, EXP_HISTOGRAM_COLUMNS, SUMMARY_COLUMNS)
"""Columns of the tables that `fill_points` takes."""


def new_work(secrets: Words) -> Words:
    """The work area of one thread."""
    work = np.zeros(WORK_WORDS, np.uint64)
    work[SECRETS_AT : SECRETS_AT + SECRETS] = secrets
    return work
