"""SLICES between its writer and its reader: what the slicer publishes, alerting understands."""

from services.alerting.slices import decode_slices
from services.sla.model import Distribution, DistributionKind, Revision, Slice, SliceMessage
from services.sla.payload import message_to_json


def test_alerting_reads_what_the_slicer_writes() -> None:
    written = Slice(
        start_ms=1_760_000_000_000,
        length_ms=10_000,
        good=97,
        total=100,
        up_ns=4_000_000_000,
        degraded_ns=1_000_000_000,
        down_ns=0,
        excluded_ns=2_000_000_000,
        no_data_ns=2_500_000_000,
        not_started_ns=500_000_000,
        distribution=Distribution(DistributionKind.EXPONENTIAL, (1, 2, 97), scale=3, offset=-4, zero_count=0),
        sealed=False,
    )
    record = SliceMessage(
        tenant="acme",
        watermark_ns=1_760_000_012_345_678_901,
        applied_seq=7,
        slices=(("gold/availability", Revision(written, revision=3, known_at_ms=1_760_000_012_345)),),
    )
    read = decode_slices(message_to_json(record))

    assert read is not None
    assert (read.tenant, read.watermark_ns) == ("acme", record.watermark_ns)
    (piece,) = read.slices
    assert (piece.objective, piece.start_ms, piece.length_ms) == (
        "gold/availability",
        written.start_ms,
        10_000,
    )
    assert (piece.good, piece.total, piece.bad, piece.revision) == (97, 100, 3, 3)
    assert piece.observed_ns == written.up_ns + written.degraded_ns + written.down_ns
    assert piece.owed_ns == piece.observed_ns + written.no_data_ns


def test_alerting_reads_the_watermark_that_carries_no_slices() -> None:
    read = decode_slices(message_to_json(SliceMessage(None, 1_760_000_000_000_000_001, 8)))

    assert read is not None
    assert (read.tenant, read.watermark_ns, read.slices) == (None, 1_760_000_000_000_000_001, ())
