"""Columns out of the Native bytes that a SELECT answers with: the other half of `native.py`.

Numbers come back as NumPy arrays without a Python object per row, arrays and maps as flat values
with their ends, so that kernels can take them as they are. DateTime64 stays int64 in the ticks of
its type and Enum8 its int8 code: this module converts nothing. It knows no connection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.common.native import NUMBERS, WRAPPED, stored_type
from services.common.native_columns import Arrays, Maps, Nullable, NumpyArray

_LOW_CARDINALITY = "LowCardinality("
_GLOBAL_DICTIONARY = 1 << 8
_CODE_TYPES = ("<u1", "<u2", "<u4", "<u8")

ReadColumn: TypeAlias = NumpyArray | list[bytes] | Nullable | Arrays | Maps


@dataclass(slots=True)
class _Cursor:
    data: bytes
    at: int = 0

    def varint(self) -> int:
        shift = value = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def string(self) -> bytes:
        length = self.varint()
        self.at += length
        return self.data[self.at - length : self.at]

    def numbers(self, dtype: str, rows: int) -> NumpyArray:
        array: NumpyArray = np.frombuffer(self.data, dtype=dtype, count=rows, offset=self.at)
        self.at += array.nbytes
        return array


def read_columns(data: bytes) -> dict[str, ReadColumn]:
    """All blocks of a Native answer, concatenated column by column.

    An answer without a block (no rows, some servers) is an empty dict.

    Raises:
        TypeError: a column type that this reader does not know; cast it in the SELECT.
        ValueError, IndexError: the bytes end in the middle of a block, or are no Native.
    """
    cursor = _Cursor(data)
    found: dict[str, list[ReadColumn]] = {}
    while cursor.at < len(data):
        columns, rows = cursor.varint(), cursor.varint()
        for _ in range(columns):
            name, type_text = cursor.string().decode(), cursor.string().decode()
            if rows:
                # Each LowCardinality starts with a version word, all of them before any data.
                cursor.at += 8 * type_text.count(_LOW_CARDINALITY)
            found.setdefault(name, []).append(_read(cursor, stored_type(type_text), rows))
        if cursor.at > len(data):
            raise ValueError("the answer ends in the middle of a block")
    return {name: _joined(blocks) for name, blocks in found.items()}


def _read(cursor: _Cursor, type_text: str, rows: int) -> ReadColumn:
    if (dtype := NUMBERS.get(type_text)) is not None:
        return cursor.numbers(dtype, rows)
    if type_text == "String":
        return [cursor.string() for _ in range(rows)]
    if type_text == "Bool":
        return cursor.numbers("?", rows)
    if type_text == f"{_LOW_CARDINALITY}String)":
        return _coded(cursor, rows)
    if (match := WRAPPED.match(type_text)) is None:
        raise TypeError(f"no reader for type {type_text}: cast the column in the SELECT")
    return _read_wrapped(cursor, match[1], match[2], rows)


def _read_wrapped(cursor: _Cursor, outer: str, inner: str, rows: int) -> ReadColumn:
    match outer:
        case "DateTime64":
            return cursor.numbers("<i8", rows)
        case "DateTime":
            return cursor.numbers("<u4", rows)
        case "Enum8":
            return cursor.numbers("<i1", rows)
        case "FixedString":
            width = int(inner)
            raw = cursor.numbers("<u1", rows * width).tobytes()
            return [raw[at : at + width] for at in range(0, len(raw), width)]
        case "Nullable":
            nulls: NDArray[np.bool_] = cursor.numbers("?", rows)
            values = _read(cursor, inner, rows)
            if not isinstance(values, np.ndarray):
                raise TypeError(f"no reader for Nullable({inner}): cast the column in the SELECT")
            return Nullable(values, nulls)
        case "Array":
            ends, flat = _ends(cursor, rows)
            items = _read(cursor, inner, flat)
            if not isinstance(items, np.ndarray | list):
                raise TypeError(f"no reader for Array({inner}): cast the column in the SELECT")
            return Arrays(items, ends)
        case _:
            ends, flat = _ends(cursor, rows)
            key_type, _, value_type = inner.partition(",")
            keys = _read(cursor, key_type.strip(), flat)
            texts = _read(cursor, value_type.strip(), flat)
            if not isinstance(keys, list) or not isinstance(texts, list):
                raise TypeError(f"no reader for Map({inner}): cast the column in the SELECT")
            return Maps(keys, texts, ends)


def _coded(cursor: _Cursor, rows: int) -> list[bytes]:
    """LowCardinality(String): a dictionary and one code per row, per granule.

    Source: SerializationLowCardinality.cpp; the low byte of the flags word is the code width.
    """
    out: list[bytes] = []
    while len(out) < rows:
        flags = int(cursor.numbers("<u8", 1)[0])
        if flags & _GLOBAL_DICTIONARY:
            raise TypeError("no reader for shared dictionaries: cast the column in the SELECT")
        table = [cursor.string() for _ in range(int(cursor.numbers("<u8", 1)[0]))]
        codes = cursor.numbers(_CODE_TYPES[flags & 0xFF], int(cursor.numbers("<u8", 1)[0]))
        out.extend(map(table.__getitem__, codes.tolist()))
    return out


def _ends(cursor: _Cursor, rows: int) -> tuple[NDArray[np.uint64], int]:
    ends = cursor.numbers("<u8", rows)
    return ends, int(ends[-1]) if rows else 0


def _joined(blocks: Sequence[ReadColumn]) -> ReadColumn:
    if len(blocks) == 1:
        return blocks[0]
    return _join(blocks)


def _join(blocks: Sequence[Any]) -> ReadColumn:
    first = blocks[0]
    if isinstance(first, list):
        return [row for block in blocks for row in block]
    if isinstance(first, Nullable):
        return Nullable(
            np.concatenate([block.values for block in blocks]),
            np.concatenate([block.nulls for block in blocks]),
        )
    if isinstance(first, Arrays):
        values: Any = _join([block.values for block in blocks])
        return Arrays(values, _join_ends(blocks))
    if isinstance(first, Maps):
        keys = [key for block in blocks for key in block.keys]
        return Maps(keys, [value for block in blocks for value in block.values], _join_ends(blocks))
    return np.concatenate(blocks)


def _join_ends(blocks: Sequence[Any]) -> NDArray[np.uint64]:
    shifted, start = [], 0
    for block in blocks:
        shifted.append(block.ends + np.uint64(start))
        start += int(block.ends[-1]) if len(block.ends) else 0
    return np.concatenate(shifted)
