"""Attribute values as people filter on them."""

from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from services.collector.attribute_text import attribute_texts, value_text
from tests.otlp_requests import any_value, attribute


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("GET", "GET"),
        ("", ""),
        (200, "200"),
        (-(2**63), "-9223372036854775808"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (b"\x00\xff", "AP8="),
        (["a", 1, None], '["a",1,null]'),
        ({"a": {"b": [True]}}, '{"a":{"b":[true]}}'),
        ({"ü": float("inf")}, '{"ü":"Infinity"}'),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    if isinstance(value, list):
        message = AnyValue()
        message.array_value.values.extend(AnyValue() if one is None else any_value(one) for one in value)
    else:
        message = any_value(value)

    assert value_text(message) == text


def test_a_value_that_is_not_set_is_empty() -> None:
    assert value_text(AnyValue()) == ""


def test_the_last_of_a_repeated_key_wins() -> None:
    assert attribute_texts([attribute("k", "a"), attribute("k", "b")]) == {"k": "b"}
