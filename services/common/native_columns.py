"""How one column of each type looks on the wire of ClickHouse's Native format.

Native is the format that the server reads with the least work: every column is one contiguous
run of bytes. This module turns NumPy arrays and strings into those bytes and knows nothing of
tables, connections or tenants. Layout: https://clickhouse.com/docs/interfaces/formats/Native
and the serializations in ClickHouse's src/DataTypes/Serializations.

Offsets follow ClickHouse's own convention everywhere: `ends[i]` is the end of row i in the flat
values, so `ends` has one element per row and its last is the length of the flat values.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

NumpyArray: TypeAlias = NDArray[Any]
Ends: TypeAlias = NDArray[np.integer[Any]]

_VARINT_1 = 1 << 7
_DICTIONARY_HEAD = struct.Struct("<QQQ")
_OWN_KEYS = 1 << 9
_LAST_CODES = (1 << 8, 1 << 16, 1 << 32)
_PREFIXES = [bytes((length,)) for length in range(_VARINT_1)]


@dataclass(frozen=True, slots=True)
class PackedStrings:
    """Strings in one buffer: row i is `data[ends[i-1]:ends[i]]`."""

    data: bytes
    ends: Ends


@dataclass(frozen=True, slots=True)
class CodedStrings:
    """Few distinct strings, many rows: row i is `values[codes[i]]`.

    One value with `codes` of zeros is a constant column and costs one multiplication.
    """

    values: Sequence[bytes | str]
    codes: Ends

    @staticmethod
    def constant(value: bytes | str, rows: int) -> "CodedStrings":
        """The same string in each of `rows` rows."""
        return CodedStrings((value,), np.zeros(rows, dtype=np.uint8))


Strings: TypeAlias = PackedStrings | CodedStrings | Sequence[bytes] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Nullable:
    """Numbers with absent ones: where `nulls` is true the value is sent as NULL."""

    values: NumpyArray
    nulls: NDArray[np.bool_]

    @staticmethod
    def of(values: Iterable[float | None]) -> "Nullable":
        """From Python floats, None for NULL."""
        rows = list(values)
        nulls = np.fromiter((value is None for value in rows), dtype=np.bool_, count=len(rows))
        return Nullable(
            np.array([0.0 if value is None else value for value in rows], dtype=np.float64), nulls
        )


@dataclass(frozen=True, slots=True)
class Arrays:
    """Arrays: row i is `values[ends[i-1]:ends[i]]`."""

    values: "NumpyArray | Strings"
    ends: Ends

    @staticmethod
    def of(rows: Sequence[Sequence[float] | NumpyArray], dtype: Any) -> "Arrays":
        """From one sequence per row."""
        ends = np.cumsum([len(row) for row in rows], dtype=np.uint64)
        parts = [np.asarray(row, dtype=dtype) for row in rows if len(row)]
        return Arrays(np.concatenate(parts) if parts else np.empty(0, dtype=dtype), ends)


@dataclass(frozen=True, slots=True)
class Maps:
    """String maps: row i has `keys[ends[i-1]:ends[i]]` with the values at the same places."""

    keys: Strings
    values: Strings
    ends: Ends

    @staticmethod
    def of(rows: Sequence[Mapping[str, str]]) -> "Maps":
        """From one mapping per row."""
        ends = np.cumsum([len(row) for row in rows], dtype=np.uint64)
        keys = list(chain.from_iterable(rows))
        values = list(chain.from_iterable(row.values() for row in rows))
        return Maps(keys, values, ends)


Bytes: TypeAlias = bytes | memoryview
"""A piece of a block; a view has the array's own memory, which must not change before it is sent."""

Column: TypeAlias = NumpyArray | Strings | Nullable | Arrays | Maps | Sequence[int] | Sequence[float]


def varint(value: int) -> bytes:
    """Unsigned LEB128, the length prefix of Native."""
    out = bytearray()
    while value >= _VARINT_1:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number_bytes(data: Any, dtype: str) -> tuple[Bytes, int]:
    """A fixed-width column as (bytes, rows).

    Raises:
        TypeError: the array would have to be cast with a possible loss.
        OverflowError: a Python number does not fit.
    """
    target = np.dtype(dtype)
    array = data if isinstance(data, np.ndarray) else np.asarray(data, dtype=target)
    if array.ndim != 1:
        raise TypeError(f"a column has one dimension, not {array.ndim}")
    # NumPy calls int64 to float64 safe; above 2**53 it is not.
    rounded = target.kind == "f" and array.dtype.kind in "iu" and array.dtype.itemsize >= target.itemsize
    if rounded or not np.can_cast(array.dtype, target, casting="safe"):
        raise TypeError(f"a column of {array.dtype} cannot be sent as {target} without a possible loss")
    return np.ascontiguousarray(array, target).view(np.uint8).data, len(array)


def bool_bytes(data: Any) -> tuple[bytes, int]:
    """A Bool column: one byte a row, 0 or 1."""
    array = np.asarray(data)
    if array.dtype != np.bool_ and array.size:
        raise TypeError(f"a Bool column needs booleans, not {array.dtype}")
    return array.astype(np.bool_, copy=False).tobytes(), len(array)


def string_bytes(data: Strings) -> tuple[bytes, int]:
    """A String column: each row a varint length and its bytes."""
    if isinstance(data, PackedStrings):
        return _packed_bytes(data), len(data.ends)
    if isinstance(data, CodedStrings):
        return _coded_bytes(data), len(data.codes)
    rows: list[bytes] = [row.encode() if isinstance(row, str) else row for row in data]
    return b"".join(chain.from_iterable(zip(map(_prefix, map(len, rows)), rows, strict=True))), len(rows)


def dictionary_bytes(data: CodedStrings) -> tuple[bytes, int]:
    """A LowCardinality(String) column: version, kind of index, its keys, and a code for each row."""
    keys = string_bytes([_to_bytes(value) for value in data.values])[0]
    kind = next(kind for kind, last in enumerate(_LAST_CODES) if len(data.values) <= last)
    codes = np.asarray(data.codes).astype(f"<u{1 << kind}")
    head = _DICTIONARY_HEAD.pack(1, _OWN_KEYS | kind, len(data.values))
    return b"".join((head, keys, len(codes).to_bytes(8, "little"), codes.tobytes())), len(codes)


def fixed_string_bytes(data: Any, width: int) -> tuple[bytes, int]:
    """A FixedString column from bytes of at most `width`, or a uint8 array of shape (rows, width)."""
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != width:
            raise TypeError(f"FixedString({width}) needs uint8 of shape (rows, {width})")
        return data.tobytes(), len(data)
    rows = [row.encode() if isinstance(row, str) else bytes(row) for row in data]
    if any(len(row) > width for row in rows):
        raise ValueError(f"a value is longer than FixedString({width})")
    return b"".join(row.ljust(width, b"\0") for row in rows), len(rows)


def ends_bytes(ends: Ends, flat_rows: int) -> bytes:
    """Offsets of an Array or Map column, checked against the number of flat values.

    Raises:
        ValueError: they decrease or do not end at the flat length; the server would read garbage.
    """
    wide = np.ascontiguousarray(ends, dtype=np.int64)
    last = int(wide[-1]) if len(wide) else 0
    if last != flat_rows or (len(wide) and (wide[0] < 0 or bool((np.diff(wide) < 0).any()))):
        raise ValueError(f"offsets end at {last} for {flat_rows} flat values, or decrease")
    return wide.astype("<u8").tobytes()


def _prefix(length: int) -> bytes:
    return _PREFIXES[length] if length < _VARINT_1 else varint(length)


def _coded_bytes(data: CodedStrings) -> bytes:
    table = [string_bytes([value])[0] for value in map(_to_bytes, data.values)]
    if len(table) == 1 and not np.any(data.codes):
        return table[0] * len(data.codes)
    return b"".join(map(table.__getitem__, data.codes.tolist()))


def _to_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _packed_bytes(data: PackedStrings) -> bytes:
    """Interleave lengths and payload without a Python loop over rows."""
    ends_bytes(data.ends, len(data.data))
    ends = np.ascontiguousarray(data.ends, dtype=np.int64)
    lengths = np.diff(ends, prepend=np.int64(0))
    prefix_sizes = np.ones(len(lengths), dtype=np.int64)
    bound = _VARINT_1
    while len(lengths) and bound <= int(lengths.max()):
        prefix_sizes += lengths >= bound
        bound <<= 7
    out = np.empty(int(prefix_sizes.sum()) + len(data.data), dtype=np.uint8)
    starts = np.cumsum(prefix_sizes + lengths) - prefix_sizes - lengths
    payload = np.ones(len(out), dtype=np.bool_)
    for place in range(int(prefix_sizes.max(initial=0))):
        rows = prefix_sizes > place
        digit = (lengths[rows] >> (7 * place)) & 0x7F
        more = prefix_sizes[rows] > place + 1
        out[starts[rows] + place] = digit | (more.astype(np.int64) << 7)
        payload[starts[rows] + place] = False
    out[payload] = np.frombuffer(data.data, dtype=np.uint8)
    return out.tobytes()
