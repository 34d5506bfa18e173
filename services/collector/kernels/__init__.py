"""From the bytes of an OTLP request to columns, compiled: arrays in, arrays out.

`envelope.scan_request`, `points.fill_points`, `lists.fill_lists` and `lists.fill_exemplars` are the passes
over a request; `series_table` finds series by their hashes. They know the wire format and the shape of
OTLP's messages, and nothing of protobuf's library, tenants, the log or tables of a store. All accept and
refuse what protobuf's own parser (upb) accepts and refuses.
"""

import numpy as np

from services.collector.kernels import envelope, judge, lists, memory, points, rows, series_table
from services.collector.kernels.machine import Ints, Words


def warm() -> None:
    """Compile every kernel (or load it from the cache), so that no request pays for it."""
    raw = np.frombuffer(b"\x0a\x00", np.uint8)
    work = memory.new_work(np.ones(memory.SECRETS, np.uint64))
    segments = np.zeros((1, memory.SEGMENT_WIDTH), np.int64)
    headers = np.zeros((1, 2), np.uint64)
    table = np.zeros((16, 1), np.uint64)
    words, ints = np.zeros(1, np.uint64), np.zeros(1, np.int64)

    envelope.scan_request(raw, work, segments, headers)
    points.fill_points(raw, work, segments, headers, (table, table, table, table, table))
    lists.fill_lists(raw, work, segments, (table, table, table, table, table), (words,) * 6)
    lists.fill_exemplars(raw, work, segments, table)
    keys, references = np.zeros((4, 2), np.uint64), np.full(4, series_table.MISSING, np.int64)
    series_table.insert_series(words, words, ints, keys, references)
    series_table.find_series(words, words, keys, references, ints.copy())
    series_table.number_series(ints, np.zeros((4, 2), np.int64), ints.copy(), ints.copy())
    _warm_rows(words, ints)
    small = np.zeros(1, np.uint32)
    temporality = np.zeros(1, np.int32)
    temporality.flags.writeable = False  # as in every table of series
    judge.suspicious(words, 1, 1, small, ints, temporality, ints, np.zeros(1, np.uint8))


def _warm_rows(words: Words, ints: Ints) -> None:
    bits, marks = np.zeros(1, np.uint8), np.zeros(1, np.bool_)
    rows.times_to_ms(words, words, ints.copy(), ints.copy(), bits)
    rows.reach(ints, marks, ints, ints, bits, marks, ints, ints.copy(), ints.copy())
    rows.order_rows(ints, ints, words, ints, ints.copy(), ints.copy())
    rows.find_runs(ints, words, marks)
    rows.order_points(ints, ints, ints, ints, ints.copy(), ints.copy(), ints.copy())
    rows.pick_times(ints, ints, ints, ints.copy(), ints.copy())
