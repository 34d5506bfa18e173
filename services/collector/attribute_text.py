"""Attributes as text, for columns that people filter on. The lossless form is the identity.

A string is itself; numbers and booleans as JSON writes them; bytes in base64; arrays and maps as
compact JSON. This is what the OpenTelemetry Collector's `AsString` does.
"""

import base64
import json
import math
from collections.abc import Iterable
from sys import intern

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

JsonValue = str | bool | int | float | None | list["JsonValue"] | dict[str, "JsonValue"]


def attribute_texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Keys with their values as text; the last of a repeated key wins. Equal keys are one object."""
    return {intern(pair.key): value_text(pair.value) for pair in attributes}


def value_text(value: AnyValue) -> str:
    """One value as text; a value that is not set is the empty string."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind is None:
        return ""
    plain = _json_value(value)
    return plain if isinstance(plain, str) else json.dumps(plain, separators=(",", ":"), ensure_ascii=False)


def _json_value(value: AnyValue) -> JsonValue:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            number = value.double_value
            return number if math.isfinite(number) else _special(number)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            return [_json_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _json_value(pair.value) for pair in value.kvlist_value.values}
        case _:
            return None


def _special(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
