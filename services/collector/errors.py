"""What the collector refuses, by outcome.

InvalidArgument
|-- Undecodable           the bytes are no OTLP metrics request
`-- PointTooLarge         one point alone is over the limit of a record
ResourceExhausted
|-- RequestTooLarge       over the size limit after decompression; a retry cannot help
`-- RateExceeded          the tenant's rate is used up; right to send again after the delay
FailedPrecondition
`-- BatchMismatch         the store holds part of a batch, which cannot be: stop, do not guess
ThreeninesError
`-- CorruptRecord         a record of the log cannot be read back
"""

from services.common.errors import FailedPrecondition, InvalidArgument, ResourceExhausted, ThreeninesError


class Undecodable(InvalidArgument):
    """The bytes are no OTLP metrics request."""

    default_reason = "OTLP_UNDECODABLE"


class PointTooLarge(InvalidArgument):
    """One point alone is over the limit of a record."""

    default_reason = "POINT_TOO_LARGE"


class RequestTooLarge(ResourceExhausted):
    """Over the size limit after decompression; a retry cannot help."""

    default_reason = "REQUEST_TOO_LARGE"


class RateExceeded(ResourceExhausted):
    """The tenant's rate is used up; sending again after the delay is right."""

    default_reason = "RATE_LIMIT"


class BatchMismatch(FailedPrecondition):
    """The store holds another number of rows of a batch than none or all."""

    default_reason = "BATCH_ROW_COUNT_MISMATCH"


class CorruptRecord(ThreeninesError):
    """A record of the log cannot be read back."""

    default_reason = "LOG_RECORD_CORRUPT"
