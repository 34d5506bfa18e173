"""Where a batch ends: points, bytes as they are in the log, and bytes of the requests as received."""

from services.collector.model import LoggedRequest
from services.collector.record import encode_requests
from services.collector.write_batches import MAX_UNPACKED_BYTES, cut
from services.common.log_port import Entry


def entry(seq: int, *, points: int = 1, raw: bytes = b"") -> Entry:
    """A record with one request of acme."""
    request = LoggedRequest(seq.to_bytes(16, "big"), raw, points)
    return Entry(seq, "otlp.0.acme", seq, encode_requests("acme", [request]), {})


def test_a_batch_ends_before_it_has_more_points_than_it_may_and_is_never_empty() -> None:
    entries = [entry(1, points=9), entry(2, points=4), entry(3, points=6), entry(4)]

    assert [one.seq for one in cut(entries, max_points=10)] == [1]
    assert [one.seq for one in cut(entries[1:], max_points=10)] == [2, 3]
    assert [one.seq for one in cut(entries, max_points=1)] == [1]


def test_requests_that_compress_well_do_not_come_together_in_one_batch() -> None:
    large = entry(1, raw=bytes(MAX_UNPACKED_BYTES // 2))
    assert len(large.data) < 10_000, "64 MiB that the log holds in some kilobytes"

    assert len(cut([large] * 5, max_points=10)) == 2
    assert len(cut([entry(1, raw=bytes(100))] * 5, max_points=10)) == 5


def test_a_record_that_cannot_be_read_ends_no_batch() -> None:
    broken = Entry(1, "otlp.0.acme", 1, b"junk", {})

    assert len(cut([broken, entry(2), broken], max_points=1)) == 3
