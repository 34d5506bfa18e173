"""A report as canonical JSON (RFC 8785): the one form that is hashed, stored, and rendered from.

Objects have sorted keys and no white space. There are no JSON numbers: integers are strings of digits, as in
protobuf's JSON, since a double holds no month of nanoseconds to the last one in every reader. Fractions are
`{"decimal": floored, "exact": "n/d"}`, instants (`_ms`) RFC 3339 in UTC under `<name>_time`, enums their
names.
"""

import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache

from services.sla.reports.model import SCHEMA, ReportInput

Json = None | bool | str | list["Json"] | dict[str, "Json"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMALS = 12
_PRINTABLE_BITS = 512
"""Longer numbers are written in base 16: Python refuses to print thousands of decimal digits."""


def canonical_json(report: ReportInput) -> bytes:
    """The report's bytes; equal reports have equal bytes.

    Raises:
        ValueError: a float is in it, or a Decimal that is not finite.
    """
    content = _encode(report)
    assert isinstance(content, dict)
    content["schema"] = SCHEMA
    return _bytes(content)


def content_sha256(content: bytes) -> str:
    """SHA-256 of canonical bytes, lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes) -> dict[str, Json]:
    """The content as plain JSON values.

    Raises:
        ValueError: it is not the content of a report that this code can read.
    """
    value: Json = json.loads(content)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ValueError(f"not a report of schema {SCHEMA}")
    return value


def read_report(content: bytes) -> ReportInput:
    """The report that canonical bytes were written from: `canonical_json` of it gives them again.

    Raises:
        ValueError: it is not the content of a report that this code can read.
    """
    value = parse(content)
    del value["schema"]
    report = _decode(value, ReportInput, "")
    assert isinstance(report, ReportInput)
    return report


def exact_text(value: Fraction) -> str:
    """`n/d`; in hexadecimal where it is long."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _PRINTABLE_BITS:
        return f"{value.numerator:#x}/{value.denominator:#x}"
    return f"{value.numerator}/{value.denominator}"


def decimal_text(value: Fraction, decimals: int = _DECIMALS) -> str:
    """A fraction in decimals, floored, without zeros at the end."""
    steps = value.numerator * 10**decimals // value.denominator
    sign, steps = ("-", -steps) if steps < 0 else ("", steps)
    whole, rest = divmod(steps, 10**decimals)
    text = f"{sign}{whole}.{rest:0{decimals}d}" if decimals else f"{sign}{whole}"
    return text.rstrip("0").rstrip(".") if decimals else text


def time_text(instant_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    instant = _EPOCH + timedelta(milliseconds=instant_ms)
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def value_bytes(value: Json) -> bytes:
    """Any JSON value in canonical form."""
    return _bytes(value)


def _bytes(value: Json) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _encode(value: object) -> Json:
    match value:
        case None | bool():
            return value
        case Enum():
            return value.name
        case int():
            return str(value)
        case str():
            # A lone surrogate has no UTF-8 form; names come from outside.
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case Fraction():
            return {"decimal": decimal_text(value), "exact": exact_text(value)}
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{value} cannot stand in a report")
            return f"{value:f}"
        case tuple():
            return [_encode(element) for element in value]
    if not is_dataclass(value) or isinstance(value, type):
        raise ValueError(f"a {type(value).__name__} cannot stand in a report")
    return {
        _key(field.name): _encode_field(field.name, getattr(value, field.name)) for field in fields(value)
    }


def _key(name: str) -> str:
    return f"{name[:-3]}_time" if name.endswith("_ms") else name


def _encode_field(name: str, value: object) -> Json:
    if name.endswith("_ms") and isinstance(value, int):
        return time_text(value)
    return _encode(value)


@cache
def _hints(kind: type) -> Mapping[str, object]:
    return typing.get_type_hints(kind)


def _decode(value: Json, kind: object, name: str) -> object:
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        (kind,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        element = typing.get_args(kind)[0]
        return tuple(_decode(one, element, name) for one in value)
    if kind is Fraction and isinstance(value, dict):
        numerator, _, denominator = str(value["exact"]).partition("/")
        return Fraction(int(numerator, 0), int(denominator, 0))
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        return _decode_object(value, kind)
    if kind is bool and isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _decode_text(value, kind, name)
    raise ValueError(f"{name or 'the report'} is no {kind}")


def _decode_text(text: str, kind: object, name: str) -> object:
    if kind is int and name.endswith("_ms"):
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
    if kind is int:
        return int(text)
    if kind is str:
        return text
    if kind is Decimal:
        return Decimal(text)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[text]
    raise ValueError(f"{name} is no {kind}")


def _decode_object(value: Mapping[str, Json], kind: type) -> object:
    given: dict[str, object] = {}
    hints = _hints(kind)
    for field in fields(kind):
        key = _key(field.name)
        if key in value:
            given[field.name] = _decode(value[key], hints[field.name], field.name)
        elif field.default is MISSING:
            raise ValueError(f"{kind.__name__} has no {key}")
    unknown = set(value) - {_key(field.name) for field in fields(kind)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    return kind(**given)
