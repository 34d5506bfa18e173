"""One Native block: the body of an INSERT, built from columns.

A block is what makes an INSERT atomic and cheap: one block becomes one part. This module knows
types by their ClickHouse text and nothing of tables, tenants or connections. The layout is the
one of HTTP inserts (protocol revision 0): varint columns, varint rows, then for each column its
name, its type and its data.

LowCardinality is written as its plain type, which the server converts on INSERT; only coded strings,
which are a dictionary already, are sent as one.
"""

import re
from functools import cache
from typing import Any

from services.common.native_columns import (
    Arrays,
    Bytes,
    CodedStrings,
    Column,
    Ends,
    Maps,
    Nullable,
    bool_bytes,
    dictionary_bytes,
    ends_bytes,
    fixed_string_bytes,
    number_bytes,
    string_bytes,
    varint,
)

NUMBERS = {
    "UInt8": "<u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int8": "<i1",
    "Int16": "<i2",
    "Int32": "<i4",
    "Int64": "<i8",
    "Float32": "<f4",
    "Float64": "<f8",
    "Date": "<u2",
}
WRAPPED = re.compile(r"^(Nullable|Array|Map|FixedString|Enum8|DateTime64|DateTime)\((.*)\)$", re.DOTALL)
_SIMPLE_AGGREGATE = re.compile(r"^SimpleAggregateFunction\(\w+,\s*(.*)\)$", re.DOTALL)
_DICTIONARY = "LowCardinality(String)"
_LOW_CARDINALITY = re.compile(r"LowCardinality\(((?:[^()]|\([^()]*\))*)\)")


class Block:
    """Columns of equal length, in the order they were added."""

    def __init__(self) -> None:
        self._rows: int | None = None
        self._parts: list[Bytes] = []
        self._names: list[str] = []

    @property
    def rows(self) -> int:
        """Rows of the block; 0 before the first column."""
        return self._rows or 0

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order: the column list of the INSERT."""
        return tuple(self._names)

    def add(self, name: str, type_text: str, data: Column) -> "Block":
        """Append a column and return the block.

        Args:
            name: column name in the table.
            type_text: ClickHouse type, for example `DateTime64(3, 'UTC')` (int64 milliseconds),
                `Enum8('a' = 1)` (the int8 codes), `Array(UInt64)`; LowCardinality is dropped, unless
                it is one of String and the data are CodedStrings.
            data: what `native_columns` offers for that type.

        Raises:
            TypeError, ValueError: the data does not fit the type, or the length differs.
        """
        body: Bytes
        if type_text == _DICTIONARY and isinstance(data, CodedStrings):
            plain, (body, rows) = _DICTIONARY, dictionary_bytes(data)
        else:
            plain = plain_type(type_text)
            body, rows = _encode(plain, data)
        if self._rows is not None and rows != self._rows:
            raise ValueError(f"column {name} has {rows} rows, the block has {self._rows}")
        self._rows = rows
        self._names.append(name)
        self._parts.append(string_bytes([name, plain])[0])
        self._parts.append(body)
        return self

    def pieces(self) -> tuple[Bytes, ...]:
        """The block on the wire, without a copy of columns that are an array already."""
        return varint(len(self._names)), varint(self.rows), *self._parts

    def to_bytes(self) -> bytes:
        """The block on the wire."""
        return b"".join(self.pieces())


@cache
def plain_type(type_text: str) -> str:
    """The type as it is sent: every LowCardinality(...) replaced by what is inside it."""
    return _LOW_CARDINALITY.sub(r"\1", stored_type(type_text))


@cache
def stored_type(type_text: str) -> str:
    """The type whose bytes a column has: SimpleAggregateFunction(f, T) is stored as T."""
    return _SIMPLE_AGGREGATE.sub(r"\1", type_text.strip())


def _encode(type_text: str, data: Any) -> tuple[Bytes, int]:
    if (dtype := NUMBERS.get(type_text)) is not None:
        return number_bytes(data, dtype)
    if type_text == "String":
        return string_bytes(data)
    if type_text == "Bool":
        return bool_bytes(data)
    if (match := WRAPPED.match(type_text)) is None:
        raise TypeError(f"no Native encoding for type {type_text}")
    return _encode_wrapped(match[1], match[2], data)


def _encode_wrapped(outer: str, inner: str, data: Any) -> tuple[Bytes, int]:
    match outer:
        case "DateTime64":
            return number_bytes(data, "<i8")
        case "DateTime":
            return number_bytes(data, "<u4")
        case "Enum8":
            return number_bytes(data, "<i1")
        case "FixedString":
            return fixed_string_bytes(data, int(inner))
        case "Nullable":
            return _nullable_bytes(inner, data)
        case "Array":
            if not isinstance(data, Arrays):
                raise TypeError("an Array column needs Arrays(values, ends)")
            return _flat(data.ends, [(inner, data.values)])
        case _:
            if not isinstance(data, Maps):
                raise TypeError("a Map column needs Maps(keys, values, ends)")
            key_type, _, value_type = inner.partition(",")
            return _flat(data.ends, [(key_type.strip(), data.keys), (value_type.strip(), data.values)])


def _nullable_bytes(inner: str, data: Any) -> tuple[bytes, int]:
    if not isinstance(data, Nullable):
        raise TypeError("a Nullable column needs Nullable(values, nulls)")
    nulls, rows = bool_bytes(data.nulls)
    body, value_rows = _encode(inner, data.values)
    if rows != value_rows:
        raise ValueError(f"{rows} null marks for {value_rows} values")
    return b"".join((nulls, body)), rows


def _flat(ends: Ends, columns: list[tuple[str, Any]]) -> tuple[bytes, int]:
    encoded = [_encode(type_text, data) for type_text, data in columns]
    flat_rows = encoded[0][1]
    if any(rows != flat_rows for _, rows in encoded):
        raise ValueError("keys and values of a Map column differ in number")
    return b"".join([ends_bytes(ends, flat_rows), *(body for body, _ in encoded)]), len(ends)
