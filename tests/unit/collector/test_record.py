"""The record of the log: what is written can be read back for ever."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.errors import CorruptRecord
from services.collector.model import LoggedRequest, Record
from services.collector.record import (
    decode_heads,
    decode_record,
    encode_requests,
    encode_tick,
    message_id,
    request_id,
)

_REQUESTS = st.lists(
    st.builds(
        LoggedRequest,
        request_id=st.binary(min_size=16, max_size=16),
        raw=st.binary(max_size=2000),
        point_count=st.integers(0, 2**32 - 1),
        rejected=st.binary(max_size=20),
    ),
    max_size=4,
)


@given(requests=_REQUESTS, tenant=st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True))
def test_what_was_encoded_is_decoded(requests: list[LoggedRequest], tenant: str) -> None:
    record = decode_record(encode_requests(tenant, requests))

    assert record == Record(tenant=tenant, requests=tuple(requests))


@given(requests=_REQUESTS)
def test_heads_hold_everything_but_the_bytes(requests: list[LoggedRequest]) -> None:
    heads = decode_heads(encode_requests("acme", requests))

    assert [(one.request_id, one.point_count, one.rejected) for one in heads.requests] == [
        (one.request_id, one.point_count, one.rejected) for one in requests
    ]


def test_the_layout_is_the_documented_one() -> None:
    request = LoggedRequest(b"i" * 16, b"raw", 9, b"\x01\x01")

    assert encode_requests("acme", [request]) == (
        b"TNR1\x01\x04\x01\x00acme" + b"i" * 16 + b"\x09\0\0\0\x03\0\0\0\x02\0\0\0\x01\x01" + b"\x00raw"
    )


def test_a_tick_carries_nothing() -> None:
    assert decode_record(encode_tick()) == Record(tenant="tick", tick=True)
    assert decode_heads(encode_tick()).tick


def test_large_payloads_are_compressed() -> None:
    request = LoggedRequest(b"i" * 16, b"metric" * 10_000, 1)

    record = encode_requests("acme", [request])

    assert len(record) < 1000
    assert decode_record(record).requests[0].raw == request.raw


@given(st.data())
def test_a_broken_record_is_corrupt_and_nothing_else(data: st.DataObject) -> None:
    request = LoggedRequest(b"i" * 16, b"metric" * 100, 1, b"\x01")
    record = bytearray(encode_requests("acme", [request]))
    cut = data.draw(st.integers(0, len(record)))
    place = data.draw(st.integers(0, len(record) - 1))
    record[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(CorruptRecord):
        decode_record(bytes(record[:cut]))


@pytest.mark.parametrize(
    "data", [b"", b"TNR2\x01\x00\x00\x00", b"TNR1\x03\x00\x00\x00\x00", b"TNR1\x01\x00\x00\x00"]
)
def test_other_magics_and_kinds_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        decode_record(data)


def test_the_request_id_depends_on_tenant_and_bytes() -> None:
    assert request_id("acme", b"x").hex() == "2996cde99a576ecf02c4b0d2222f68ce"
    assert len({request_id("acme", b"x"), request_id("acmex", b""), request_id("beta", b"x")}) == 3


def test_the_message_id_tells_appends_apart() -> None:
    assert message_id(b"record", b"n1") == message_id(b"record", b"n1")
    assert message_id(b"record", b"n1") != message_id(b"record", b"n2")
