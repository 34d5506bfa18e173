"""What the kernels make of each liberty that the wire format gives, one by one."""

import struct
import threading

import numpy as np
import pytest

from services.collector import kernels
from services.collector.columns import Decoded
from services.collector.decode import Decoder, decode, fresh_secrets
from services.collector.errors import Undecodable
from services.collector.kernels import envelope, lists, points, series_table
from services.collector.kernels.utf8 import valid_utf8
from tests.otlp_requests import RequestMaker
from tests.unit.collector.kernels.differential import differences
from tests.unit.collector.kernels.walk import expected
from tests.unit.collector.kernels.wire_generator import varint

NOON = 1_700_000_000_000_000_000


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def fixed(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def pair(key: str, value: str) -> bytes:
    return field(1, key.encode()) + field(2, field(1, value.encode()))


def number_point(*attributes: bytes, value: int = 7) -> bytes:
    return b"".join(field(7, one) for one in attributes) + fixed(3, NOON) + fixed(6, value)


def request(*metrics: bytes, resource: bytes = b"") -> bytes:
    return field(1, field(1, resource) + field(2, b"".join(field(2, metric) for metric in metrics)))


def gauge(*points: bytes, name: str = "load") -> bytes:
    return field(1, name.encode()) + field(5, b"".join(field(1, point) for point in points))


def same_as_protobuf(raw: bytes) -> Decoded:
    decoded = decode(raw)
    assert not differences(expected(raw), decoded)
    return decoded


def refused(raw: bytes) -> None:
    assert expected(raw) is None
    with pytest.raises(Undecodable):
        decode(raw)


def fresh() -> Decoder:
    return Decoder(fresh_secrets())


def test_an_empty_request_has_no_points() -> None:
    assert same_as_protobuf(b"").point_count == 0


def test_shuffled_attributes_are_one_series_without_reading_it_again() -> None:
    decoder = fresh()
    first = decoder.decode(request(gauge(number_point(pair("a", "1"), pair("b", "2"), pair("c", "3")))))
    second = decoder.decode(request(gauge(number_point(pair("c", "3"), pair("a", "1"), pair("b", "2")))))

    assert first.series.identity == second.series.identity
    assert decoder.directory.read == 1


def test_shuffled_resource_attributes_are_one_series_without_reading_it_again() -> None:
    decoder, metric = fresh(), gauge(number_point())
    host, zone = field(1, pair("host.name", "web-1")), field(1, pair("zone", "eu"))
    first = decoder.decode(request(metric, resource=host + zone))
    second = decoder.decode(request(metric, resource=zone + host))

    assert first.series.identity == second.series.identity
    assert decoder.directory.read == 1


def test_of_a_repeated_key_the_last_value_counts_whatever_was_seen_before() -> None:
    one, two = pair("zone", "eu"), pair("zone", "us")
    decoded = same_as_protobuf(
        request(gauge(number_point(one, two), number_point(two, one), number_point(one)))
    )

    assert decoded.series_index.tolist() == [0, 1, 1]


def test_order_counts_beyond_the_keys_that_are_compared() -> None:
    many = [pair(f"key-{place}", "x") for place in range(200)]
    doubled = [*many, pair("key-150", "y")]
    same_as_protobuf(
        request(gauge(number_point(*many), number_point(*doubled), number_point(*doubled[::-1])))
    )


def test_a_name_and_a_resource_after_the_points_are_part_of_the_series() -> None:
    metric = field(5, field(1, number_point())) + field(1, b"late")
    scope = field(2, field(2, metric))
    decoded = same_as_protobuf(field(1, scope + field(1, field(1, pair("host.name", "web-1")))))

    assert decoded.series.metric == ("late",)
    assert b"web-1" in decoded.series.identity[0]


def test_temporality_after_the_points_counts() -> None:
    data = field(1, number_point()) + b"\x10\x02\x18\x01"
    decoded = same_as_protobuf(request(field(1, b"requests") + field(7, data)))

    assert decoded.series.temporality.tolist() == [2]


def test_a_field_of_the_scope_is_not_one_of_what_holds_the_scope() -> None:
    """Field 4 of a scope counts dropped attributes; the same bytes one level up are unknown."""
    decoder, metric = fresh(), field(2, gauge(number_point()))
    inside = decoder.decode(field(1, field(2, field(1, b"\x20\x03") + metric)))
    outside = decoder.decode(field(1, field(2, field(1, b"") + b"\x20\x03" + metric)))

    assert inside.series.identity != outside.series.identity


def test_split_data_is_merged_and_a_replaced_type_leaves_nothing() -> None:
    split = field(5, field(1, number_point(value=1))) + field(5, field(1, number_point(value=2)))
    assert same_as_protobuf(request(split)).numbers.value_int.tolist() == [1, 2]

    replaced = split + field(7, field(1, number_point(value=3)))
    assert same_as_protobuf(request(replaced)).numbers.value_int.tolist() == [3]

    there_and_back = replaced + field(5, field(1, number_point(value=4)))
    assert same_as_protobuf(request(there_and_back)).numbers.value_int.tolist() == [4]


def test_a_replaced_type_is_checked_all_the_same() -> None:
    refused(request(field(5, field(1, b"\x19\x01")) + field(7, field(1, number_point()))))


def test_the_last_of_a_points_two_values_counts() -> None:
    both = fixed(6, 5) + fixed(4, 0x7FF0000000000001)
    decoded = same_as_protobuf(request(gauge(both)))

    assert decoded.numbers.kind.tolist() == [2]
    assert decoded.numbers.value_double.view(np.uint64).tolist() == [0x7FF0000000000001]


def test_lists_may_be_packed_or_not_or_both() -> None:
    packed = field(6, struct.pack("<2Q", 1, 2)) + field(7, struct.pack("<d", 0.5))
    loose = fixed(6, 1) + field(6, struct.pack("<Q", 2)) + b"\x39" + struct.pack("<d", 0.5)
    decoded = same_as_protobuf(request(field(9, field(1, packed) + field(1, loose))))

    assert decoded.histograms.counts.values.tolist() == [1, 2, 1, 2]
    assert decoded.histograms.bounds.ends.tolist() == [1, 2]


def test_split_buckets_of_an_exponential_histogram_are_merged() -> None:
    point = field(8, b"\x08\x03\x12\x02\x01\x02") + field(9, b"\x10\x09") + field(8, b"\x10\x80\x01")
    decoded = same_as_protobuf(request(field(10, field(1, point))))

    assert decoded.exp_histograms.positive_counts.values.tolist() == [1, 2, 128]
    assert decoded.exp_histograms.positive_offset.tolist() == [-2]
    assert decoded.exp_histograms.negative_counts.values.tolist() == [9]


def test_exemplars_keep_their_ids_and_sorted_attributes() -> None:
    exemplar = (
        field(7, pair("b", "2")) + field(7, pair("a", "1")) + field(4, b"span-id-") + field(5, b"t" * 16)
    )
    decoded = same_as_protobuf(request(gauge(number_point() + field(5, exemplar), number_point())))

    assert decoded.exemplars.span_id == (b"span-id-",)
    assert decoded.exemplars.filtered_attributes == (field(1, pair("a", "1")) + field(1, pair("b", "2")),)


def nested(levels: int) -> bytes:
    """A request whose deepest message is `levels` below it."""
    inner = b""
    for level in range(levels - 4, 0, -1):
        inner = field(5 if level % 2 else 1, inner)
    return field(1, field(1, field(1, field(2, inner))))


def test_nesting_ends_where_protobufs_does() -> None:
    same_as_protobuf(nested(100))
    refused(nested(101))


def test_unknown_groups_are_skipped_as_deep_as_protobuf_does() -> None:
    same_as_protobuf(b"\x83\x01" * 100 + b"\x84\x01" * 100)
    refused(b"\x83\x01" * 101 + b"\x84\x01" * 101)
    refused(b"\x83\x01\x8c\x01")
    refused(b"\x84\x01")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x00",
        b"\x80\x00",
        b"\x0e",
        b"\x0f",
        b"\x0a",
        b"\x0a\x01",
        b"\x0a\x80\x80\x80\x80\x80\x00",
        b"\x8a\x80\x80\x80\x80\x00\x00",
        b"\xfa\xff\xff\xff\x1f\x00",
        b"\x98\x06" + b"\xff" * 10 + b"\x00",
        b"\x0a\xff\xff\xff\xff\x0f",
    ],
)
def test_broken_framing_is_refused(raw: bytes) -> None:
    refused(raw)


def test_overlong_varints_within_protobufs_limits_are_read() -> None:
    same_as_protobuf(b"\x8a\x80\x80\x80\x00\x80\x80\x80\x80\x00")
    same_as_protobuf(b"\x98\x06" + b"\xff" * 9 + b"\x7f")


def test_utf8_is_judged_as_python_does() -> None:
    """Every pair of bytes, and every third and fourth byte after the leads that restrict them."""
    tails = (b"", b"\x7f", b"\x80", b"\xbf", b"\xc0", b"\x80\x80", b"\xbf\xbf", b"\x80\x80\x80", b"\x80x")
    for first in range(256):
        for second in range(0x70, 0x100):
            for tail in tails:
                text = bytes((first, second)) + tail
                held = np.frombuffer(text, np.uint8)
                try:
                    text.decode()
                    wanted = True
                except UnicodeDecodeError:
                    wanted = False
                assert valid_utf8(held.ctypes.data, 0, len(text)) is wanted, text


def test_more_metrics_than_a_thread_has_room_for_are_read() -> None:
    same_as_protobuf(request(*(gauge(number_point(), name=f"m{place}") for place in range(1000))))


def test_requests_of_all_types_read_as_protobuf_reads_them() -> None:
    for raw in RequestMaker(3, now_ns=NOON).requests(50, points=40):
        same_as_protobuf(raw)


def test_requests_use_what_warming_up_compiled() -> None:
    """One compiled version of each kernel serves every request: none has to wait for a compiler."""
    kernels.warm()
    for raw in (b"", request(), *RequestMaker(5, now_ns=NOON).requests(20, points=40)):
        fresh().decode(raw)
    compiled = [envelope.scan_request, points.fill_points, lists.fill_lists, lists.fill_exemplars]
    compiled += [series_table.find_series, series_table.insert_series, series_table.number_series]

    assert [len(each.signatures) for each in compiled] == [1] * len(compiled)


def test_threads_that_meet_new_series_at_once_all_read_them_right() -> None:
    decoder = fresh()
    requests = list(RequestMaker(4, now_ns=NOON).requests(40, points=20))
    wanted = [expected(raw) for raw in requests]
    wrong: list[str] = []

    def read() -> None:
        for raw, one in zip(requests, wanted, strict=True):
            wrong.extend(differences(one, decoder.decode(raw)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
