"""What became of a remote write request: counted in samples, as its sender counts.

The receiver judges OTLP points, of which one may stand for all samples of a classic histogram.
Pure: numbers in, numbers and sentences out.
"""

from services.collector.otlp_http_errors import Headers
from services.collector.receive import Outcome
from services.collector.remote_write_model import Elements, Loss
from services.collector.remote_write_otlp import Conversion
from services.collector.remote_write_read import Version
from services.collector.validate import unpack_bitmap
from services.common.errors import InvalidArgument


class PartialWrite(InvalidArgument):
    """Something of a request can never be taken; `written` is what was."""

    default_reason = "PARTIAL_WRITE"

    def __init__(self, message: str, written: Elements) -> None:
        super().__init__(message, field="body")
        self.written = written


def written_of(conversion: Conversion, outcome: Outcome) -> Elements:
    """What of the request is in the log."""
    refused = unpack_bitmap(outcome.bitmap, len(conversion.weights)).tolist()
    kept = [weight for weight, out in zip(conversion.weights, refused, strict=True) if not out]
    return Elements(
        sum(weight.samples for weight in kept),
        sum(weight.histograms for weight in kept),
        sum(weight.exemplars for weight in kept),
    )


def lost_points(conversion: Conversion) -> dict[str, int]:
    """Samples and histograms that did not become OTLP, by reason."""
    return {reason.value: lost.points for reason, lost in conversion.losses.items() if lost.points}


def rejection_of(
    version: Version, conversion: Conversion, outcome: Outcome, written: Elements
) -> PartialWrite | None:
    """The error for a request that was not taken as a whole; None when it was.

    Over 1.0 an exemplar without a sample is no error, as with Prometheus itself: senders of 1.0
    have no way to learn which part was written, and would count every sample as lost.
    """
    losses = {
        reason: lost
        for reason, lost in conversion.losses.items()
        if version is Version.V2 or reason is not Loss.EXEMPLAR_WITHOUT_SAMPLE
    }
    if not losses and not outcome.rejected:
        return None
    sent = conversion.sent
    reasons = [f"{reason}: {_amount(lost)}" for reason, lost in sorted(losses.items())]
    reasons += [f"{reason}: {count} points" for reason, count in sorted(outcome.reasons.items())]
    return PartialWrite(
        f"written were {written.samples} of {sent.samples} samples, {written.histograms} of "
        f"{sent.histograms} histograms, {written.exemplars} of {sent.exemplars} exemplars "
        f"({', '.join(reasons)})",
        written,
    )


def written_headers(written: Elements) -> Headers:
    """The headers that version 2.0 wants in every answer."""
    return [
        (b"x-prometheus-remote-write-samples-written", b"%d" % written.samples),
        (b"x-prometheus-remote-write-histograms-written", b"%d" % written.histograms),
        (b"x-prometheus-remote-write-exemplars-written", b"%d" % written.exemplars),
    ]


def _amount(lost: Elements) -> str:
    kinds = ((lost.samples, "samples"), (lost.histograms, "histograms"), (lost.exemplars, "exemplars"))
    return " ".join(f"{count} {kind}" for count, kind in kinds if count) or "nothing to write"
