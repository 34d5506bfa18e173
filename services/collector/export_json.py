"""A request as OTLP's JSON: protobuf's mapping with the three exceptions that OTLP makes.

Trace and span ids are hexadecimal, enums are numbers, names are lowerCamelCase:
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

_IDS = frozenset({"traceId", "spanId"})
"""Attributes are lists of key and value, so no key of a sender's can be mistaken for these."""


def to_json(request: ExportMetricsServiceRequest) -> str:
    """One line."""
    plain = MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(_hexadecimal(plain), separators=(",", ":"), ensure_ascii=False)


def _hexadecimal(value: Any) -> Any:
    if isinstance(value, list):
        return [_hexadecimal(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(one).hex() if key in _IDS else _hexadecimal(one) for key, one in value.items()
    }
