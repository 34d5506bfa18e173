"""What OTLP's messages look like on the wire, as far as the decoder has to look into them.

Tags are written as on the wire (field number << 3 | wire type). A test compares all of it with the
descriptors of the `opentelemetry-proto` package.
Source: https://github.com/open-telemetry/opentelemetry-proto (v1.11.0).
"""

import numpy as np

MAX_DEPTH = 100
"""Levels of messages and groups below the request: protobuf's own default."""

# Depths left inside the messages that have kernels of their own.
DEPTH_RESOURCE_METRICS = MAX_DEPTH - 1
DEPTH_SCOPE_METRICS = MAX_DEPTH - 2
DEPTH_METRIC = MAX_DEPTH - 3
DEPTH_DATA = MAX_DEPTH - 4
DEPTH_POINT = MAX_DEPTH - 5

# Kinds of messages in FIELDS; as an entry of FIELDS: the field is such a message.
OPAQUE, STRING, RESOURCE, ENTITY_REF, SCOPE, KEY_VALUE, ANY_VALUE, ARRAY, KEY_VALUES = range(9)
RESOURCE_METRICS, SCOPE_METRICS, METRIC, EXEMPLAR, QUANTILE = range(9, 14)
KINDS = 14
FIELD_LIMIT = 16

_FIELDS = {
    RESOURCE: {1: KEY_VALUE, 3: ENTITY_REF},
    ENTITY_REF: {1: STRING, 2: STRING, 3: STRING, 4: STRING},
    SCOPE: {1: STRING, 2: STRING, 3: KEY_VALUE},
    KEY_VALUE: {1: STRING, 2: ANY_VALUE},
    ANY_VALUE: {1: STRING, 5: ARRAY, 6: KEY_VALUES},
    ARRAY: {1: ANY_VALUE},
    KEY_VALUES: {1: KEY_VALUE},
    RESOURCE_METRICS: {1: RESOURCE, 2: SCOPE_METRICS, 3: STRING},
    SCOPE_METRICS: {1: SCOPE, 2: METRIC, 3: STRING},
    METRIC: {1: STRING, 2: STRING, 3: STRING, 12: KEY_VALUE},
    EXEMPLAR: {7: KEY_VALUE},
    QUANTILE: {},
}


def _table() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    table = np.zeros((KINDS, FIELD_LIMIT), np.uint8)
    for kind, fields in _FIELDS.items():
        for number, content in fields.items():
            table[kind, number] = content
    return table


FIELDS = _table()
"""FIELDS[kind, number]: what a delimited field holds, OPAQUE when nobody has to look."""

# Metric.data: tags, and the codes of metric types in segments and in the columns.
TAG_GAUGE, TAG_SUM, TAG_HISTOGRAM, TAG_EXP_HISTOGRAM, TAG_SUMMARY = 0x2A, 0x3A, 0x4A, 0x52, 0x5A
GAUGE, SUM, HISTOGRAM, EXP_HISTOGRAM, SUMMARY = range(1, 6)
TYPES = 6
NUMBERS = SUM
"""Gauges and sums share one table of rows, counted under this type."""

VALUE_NONE, VALUE_INT, VALUE_DOUBLE = range(3)
"""Codes of the column `kind` of number points and exemplars."""

# Exemplars of a point, by metric type.
TAG_EXEMPLAR = (0, 0x2A, 0x2A, 0x42, 0x5A, 0)
