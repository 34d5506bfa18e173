"""OTLP bytes to columns by the kernels, with protobuf's parser only for series not seen before.

`decode` is the one place that reads requests: `receive` uses it to judge points, the writer to store
them, and both must see the same. It gives exactly what protobuf's parser and a walk over its messages
would give, and refuses what it would refuse. Three passes: the envelope (`envelope.py`), the points
(`points.py`), and, where there are any, lists and exemplars (`lists.py`). Knows no tenant, no log and no
tables.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector import columns
from services.collector.decode_columns import exemplar_columns, sum_up_lengths, type_columns
from services.collector.decode_series import filtered_attributes, read_series
from services.collector.errors import RequestTooLarge, Undecodable
from services.collector.kernels import envelope, lists, memory, points, series_table
from services.collector.kernels.machine import Ints, Words
from services.collector.model import U8, U64
from services.collector.series_directory import SeriesDirectory, SeriesFacts

_FIRST_SEGMENTS = 256
_KEPT_ROWS = 1 << 16
"""A thread does not keep more memory than for so many rows between requests."""

_VALUES_FOR_A_POINT = 16
"""Bounds, bucket counts and quantiles that a request may hold for each point that it may have: a list
element of one byte becomes a word, as an empty point of two bytes becomes thirty."""

_NOTHING = np.frombuffer(bytearray(1), np.uint8)[:0]
_NOTHING.flags.writeable = False  # as arrays over bytes are: one type, one compiled version of each kernel
_NO_EXEMPLARS = np.zeros((memory.EXEMPLAR_COLUMNS, 0), np.uint64)


def parse(raw: bytes) -> ExportMetricsServiceRequest:
    """The request as a message, without fields that this release does not know.

    Raises:
        Undecodable: not a valid request: broken framing, wrong UTF-8, nested too deep.
    """
    try:
        request = ExportMetricsServiceRequest.FromString(raw)
    except DecodeError as err:
        raise _undecodable() from err
    request.DiscardUnknownFields()
    return request


def fresh_secrets() -> U64:
    """Secrets for the hashes of one process."""
    drawn = np.frombuffer(secrets.token_bytes(8 * memory.SECRETS), np.uint64).copy()
    drawn[-1] = np.uint64(2**64 - 1)
    return drawn


Allocate = Callable[[tuple[int, ...]], Words]
"""Gives memory of a shape, with any content."""


def new_words(shape: tuple[int, ...]) -> Words:
    """Memory from numpy."""
    return np.empty(shape, np.uint64)


class _Memory(threading.local):
    """What a decoding thread uses again and again."""

    def __init__(self, secret_words: U64, allocate: Allocate) -> None:
        self._allocate = allocate
        self.work: Words = allocate((memory.WORK_WORDS,))
        self.work[:] = memory.new_work(secret_words)
        self._numbering: Ints = np.zeros((_FIRST_SEGMENTS, 2), np.int64)
        self.resize(_FIRST_SEGMENTS)

    def resize(self, rows: int) -> None:
        """Room for so many segments and metrics."""
        self.segments: Ints = self._allocate((rows, memory.SEGMENT_WIDTH)).view(np.int64)
        self.headers: Words = self._allocate((rows, 2))

    def numbering(self, series: int) -> Ints:
        """Room for `number_series` over so many points."""
        slots = 1 << (2 * series + 1).bit_length()
        if slots > _KEPT_ROWS:
            return np.empty((slots, 2), np.int64)
        if slots > len(self._numbering):
            self._numbering = np.empty((slots, 2), np.int64)
        return self._numbering[:slots]

    def totals(self) -> list[int]:
        """The totals of the last pass."""
        totals: list[int] = self.work[memory.STATUS : memory.TOTALS_END].view(np.int64).tolist()
        return totals


class _Passes(NamedTuple):
    """What the passes over one request left."""

    points: int
    tables: tuple[Words, ...]
    values: tuple[Words, ...]
    exemplars: Words


class Decoder:
    """Decodes requests, remembering the series that it has seen; safe for many threads."""

    def __init__(
        self, secret_words: U64, directory: SeriesDirectory | None = None, allocate: Allocate = new_words
    ) -> None:
        self.directory = directory or SeriesDirectory()
        self._allocate = allocate
        self._memory = _Memory(secret_words, allocate)

    def decode(self, raw: bytes, *, most_points: int | None = None) -> columns.Decoded:
        """The points of a request as columns, in the order as received.

        Raises:
            Undecodable: not a valid request: broken framing, wrong UTF-8, nested too deep.
            RequestTooLarge: REQUEST_TOO_MANY_POINTS, it has more than `most_points`; as many exemplars,
                metrics and stretches of points, and 16 times as many list elements, are too many as well.
                REQUEST_SERIES_TOO_LARGE, its new series take too much. Neither without `most_points`.
        """
        return self.decode_array(raw, np.frombuffer(raw, np.uint8) if raw else _NOTHING, most_points)

    def decode_array(self, raw: bytes, buf: U8, most_points: int | None = None) -> columns.Decoded:
        """As `decode`, of bytes that are at hand as an array too."""
        count, tables, values, exemplars = self._read(buf, most_points)
        common = tables[0]
        numbers, histograms, exp_histograms, summaries = type_columns(tables, values)
        hash_a, hash_b = common[memory.HASH_A, :count], common[memory.HASH_B, :count]
        series, index = self._series(raw, hash_a, hash_b, bounded=most_points is not None)
        return columns.Decoded(
            series=series,
            type=common[memory.TYPE, :count].astype(np.uint8),
            series_index=index,
            time_ns=common[memory.TIME, :count],
            start_ns=common[memory.START, :count],
            flags=common[memory.FLAGS, :count].astype(np.uint32),
            numbers=numbers,
            histograms=histograms,
            exp_histograms=exp_histograms,
            summaries=summaries,
            exemplars=exemplar_columns(raw, exemplars, filtered_attributes),
        )

    def _read(self, buf: U8, most_points: int | None) -> _Passes:
        own, allocate = self._memory, self._allocate
        totals = _scan(own, buf, most_points)
        count = totals[memory.POINT_COUNT - memory.STATUS]
        heights = (count, *totals[memory.ROW_COUNTS - memory.STATUS + 2 :])
        tables: tuple[Words, ...] = tuple(
            [
                allocate((width, height + 1))
                for width, height in zip(memory.TABLE_WIDTHS, heights, strict=True)
            ]
        )
        points.fill_points(buf, own.work, own.segments, own.headers, tables)
        totals = own.totals()
        if totals[0] < 0:
            raise _undecodable()
        values: tuple[Words, ...] = ()
        exemplars = _NO_EXEMPLARS
        if any(heights[2:]):
            lengths = sum_up_lengths(tables)
            _check_most(sum(lengths), most_points, _VALUES_FOR_A_POINT)
            values = tuple([allocate((length,)) for length in lengths])
            lists.fill_lists(buf, own.work, own.segments, tables, values)
        if found := totals[memory.EXEMPLAR_COUNT - memory.STATUS]:
            _check_most(found, most_points)
            exemplars = allocate((memory.EXEMPLAR_COLUMNS, found))
            lists.fill_exemplars(buf, own.work, own.segments, exemplars)
        return _Passes(count, tables, values, exemplars)

    def _series(
        self, raw: bytes, hash_a: U64, hash_b: U64, *, bounded: bool
    ) -> tuple[columns.SeriesTable, Ints]:
        def read(places: Sequence[int]) -> list[SeriesFacts]:
            return read_series(parse(raw), places, bounded=bounded)

        generation, found = self.directory.resolve(hash_a, hash_b, read)
        index, distinct = np.empty(len(found), np.int64), np.empty(len(found), np.int64)
        count = series_table.number_series(found, self._memory.numbering(len(found)), index, distinct)
        return generation.table(distinct[:count]), index


def _scan(own: _Memory, buf: U8, most_points: int | None) -> list[int]:
    if len(own.segments) > _KEPT_ROWS:
        own.resize(_FIRST_SEGMENTS)
    envelope.scan_request(buf, own.work, own.segments, own.headers)
    totals = own.totals()
    rows = max(totals[1], totals[2])
    _check_most(rows, most_points)
    if totals[0] >= 0 and rows > len(own.segments):
        own.resize(max(rows, 2 * len(own.segments)))
        envelope.scan_request(buf, own.work, own.segments, own.headers)
        totals = own.totals()
    if totals[0] < 0:
        raise _undecodable()
    _check_most(totals[memory.POINT_COUNT - memory.STATUS], most_points)
    return totals


def _check_most(found: int, most_points: int | None, times: int = 1) -> None:
    """Refuse before memory is taken: 64 MiB of empty points would become 8 GB."""
    if most_points is not None and found > times * most_points:
        raise RequestTooLarge(
            f"the request has more than {most_points} points, or what takes the memory of so many",
            reason="REQUEST_TOO_MANY_POINTS",
            next_step="send fewer points per request",
        )


def _undecodable() -> Undecodable:
    return Undecodable(
        "the body is not a serialised ExportMetricsServiceRequest",
        field="body",
        next_step="send OTLP metrics as the OpenTelemetry SDKs encode them",
    )


_DECODER = Decoder(fresh_secrets())


def decode(raw: bytes, *, most_points: int | None = None) -> columns.Decoded:
    """The points of a request as columns, in the order as received.

    Raises:
        Undecodable: not a valid request: broken framing, wrong UTF-8, nested too deep.
        RequestTooLarge: REQUEST_TOO_MANY_POINTS, REQUEST_SERIES_TOO_LARGE, as `Decoder.decode`.
    """
    return _DECODER.decode(raw, most_points=most_points)


def remembered_series() -> SeriesDirectory:
    """What `decode` remembers of series in this process."""
    return _DECODER.directory
