"""Single values of OTLP/JSON: what each kind of protobuf field takes, and how it is written.

Strict where a value could be misread, tolerant where the specification is: 64-bit integers as
numbers or as text, doubles as numbers or as text. What a field cannot take is a ValueError that
says what it must be. Knows no message and no path.

Source: https://protobuf.dev/programming-guides/json/
"""

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

Reader = Callable[[Any], Any]

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NAMED_DOUBLES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_EXACT_FLOAT = 2.0**53
"""Above this a number with a fraction or an exponent may no longer be the integer that was meant."""
_MAX_NUMBER_CHARS = 400


def _integer(low: int, high: int) -> Reader:
    problem = f"must be an integer from {low} to {high}"

    def read(value: Any) -> int:
        kind = type(value)
        if kind is str and _INTEGER.fullmatch(value):
            number = int(value)
        elif kind is int:
            number = value
        elif kind is float and value.is_integer() and abs(value) <= _EXACT_FLOAT:
            number = int(value)
        else:
            raise ValueError(problem)
        if not low <= number <= high:
            raise ValueError(problem)
        return number

    return read


def _read_enum(value: Any) -> int:
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise ValueError("must be the integer value of the enum, not its name")
    return value


def _read_double(value: Any) -> float:
    kind = type(value)
    if kind is str:
        named = _NAMED_DOUBLES.get(value)
        if named is not None:
            return named
        if len(value) > _MAX_NUMBER_CHARS or not _NUMBER.fullmatch(value):
            raise ValueError('must be a number, or one of "NaN", "Infinity" and "-Infinity"')
    elif kind is not float and kind is not int:
        raise ValueError('must be a number, or one of "NaN", "Infinity" and "-Infinity"')
    try:
        number = float(value)
    except OverflowError as err:
        raise ValueError("is outside the range of doubles") from err
    if math.isinf(number):
        raise ValueError("is outside the range of doubles")
    return number


def _read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def _read_string(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("must be a string")
    try:
        value.encode()
    except UnicodeEncodeError as err:
        raise ValueError("holds half of a surrogate pair, which is no text") from err
    return value


def _read_base64(value: Any) -> bytes:
    if type(value) is str:
        text = value.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise ValueError("must be a string in base64")


def read_hex(value: Any) -> bytes:
    """A trace or span id: hexadecimal digits of either case, or nothing.

    Raises:
        ValueError: anything else, base64 included.
    """
    if type(value) is str and (value.isalnum() or not value):
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise ValueError("must be a string of hexadecimal digits")


_INT32 = _integer(-(2**31), 2**31 - 1)
_INT64 = _integer(-(2**63), 2**63 - 1)
_UINT32 = _integer(0, 2**32 - 1)
_UINT64 = _integer(0, 2**64 - 1)

READERS: dict[int, Reader] = {
    FieldDescriptor.TYPE_DOUBLE: _read_double,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_BOOL: _read_bool,
    FieldDescriptor.TYPE_STRING: _read_string,
    FieldDescriptor.TYPE_BYTES: _read_base64,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_ENUM: _read_enum,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SINT64: _INT64,
}
"""By protobuf field type."""
