"""The pure part of receiving: which points of a request may be stored, and the records' requests.

`examine` decodes and judges, `pack` makes what the log gets; in between others may refuse more
points. No I/O, no clock; both may run beside the event loop.
"""

from dataclasses import dataclass

from services.collector.columns import Decoded
from services.collector.decode import decode
from services.collector.model import LoggedRequest
from services.collector.record import compress, request_id
from services.collector.split import split_request
from services.collector.validate import AcceptLimits, Verdict, validate

_NO_REASONS: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Examined:
    """A request that could be read, the verdict on its points, and its id."""

    decoded: Decoded
    verdict: Verdict
    identifier: bytes

    @property
    def points(self) -> int:
        """Data points of the request."""
        return self.decoded.point_count


def examine(tenant: str, raw: bytes, *, now_ns: int, limits: AcceptLimits) -> Examined:
    """Decode and judge at `now_ns` (Unix nanoseconds).

    Raises:
        Undecodable: the bytes are no request.
        RequestTooLarge: REQUEST_TOO_MANY_POINTS.
    """
    decoded = decode(raw, most_points=limits.most_points)
    return Examined(decoded, validate(decoded, now_ns=now_ns, limits=limits), request_id(tenant, raw))


def pack(
    tenant: str, raw: bytes, *, identifier: bytes, verdict: Verdict, max_record_bytes: int
) -> list[LoggedRequest]:
    """What the log gets of a request: itself, or parts of which each fits a record of that size.

    Nothing when no point is accepted.

    Raises:
        PointTooLarge: one point does not fit.
    """
    points = len(verdict.rejected)
    if verdict.rejected_count == points:
        return []
    parts = split_request(raw, lambda part: _fits(part, max_record_bytes))
    if len(parts) == 1:
        return [LoggedRequest(identifier, raw, points, verdict.bitmap())]
    return _split(tenant, parts, verdict)


def _fits(part: bytes, max_bytes: int) -> bool:
    """Whether a record can hold it: what is small enough as it is, is not compressed to find out."""
    return len(part) <= max_bytes or len(compress(part)[1]) <= max_bytes


def _split(tenant: str, parts: list[bytes], verdict: Verdict) -> list[LoggedRequest]:
    requests: list[LoggedRequest] = []
    place = 0
    for part in parts:
        points = decode(part).point_count
        bits = Verdict(verdict.rejected[place : place + points], _NO_REASONS)
        place += points
        if bits.rejected_count < points:
            requests.append(LoggedRequest(request_id(tenant, part), part, points, bits.bitmap()))
    assert place == len(verdict.rejected), "splitting keeps every point"
    return requests
