"""Errors as google.rpc.Status messages and back.

A status code alone tells a program too little: each error travels with ErrorInfo (reason, domain,
metadata), BadRequest, RetryInfo and LocalizedMessage (the next step) in `grpc-status-details-bin`.
This file is pure: it builds and reads messages and never touches a call.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2

from services.common.errors import FieldViolation, ThreeninesError

DOMAIN = "threenines"
DETAILS_KEY = "grpc-status-details-bin"

# gRPC refuses metadata above 8 KB (soft limit) by default, and the text travels twice: in
# grpc-message, percent-encoded (up to 3x), and inside the details.
_MAX_MESSAGE_CHARS = 600
_MAX_STATUS_BYTES = 4096
_MAX_VALUE_CHARS = 200


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What a client learns from an error; empty where the server said nothing."""

    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    retry_after_s: float | None = None
    next_step: str = ""


def clipped(text: str, limit: int = _MAX_MESSAGE_CHARS) -> str:
    """The text, cut where metadata could not carry it."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def status_proto(error: ThreeninesError, code: grpc.StatusCode) -> status_pb2.Status:
    """The rich status of an error, at most about 4 KB.

    Field violations that do not fit are left out and counted in the ErrorInfo metadata
    `violations_omitted`.
    """
    metadata = {key: clipped(value, _MAX_VALUE_CHARS) for key, value in list(error.metadata.items())[:16]}
    fitting = len(error.violations)
    while True:
        omitted = len(error.violations) - fitting
        counted = metadata if not omitted else {**metadata, "violations_omitted": str(omitted)}
        status = _build(error, code, counted, error.violations[:fitting])
        if status.ByteSize() <= _MAX_STATUS_BYTES or fitting == 0:
            return status
        fitting //= 2


def status_bytes(error: ThreeninesError, code: grpc.StatusCode) -> bytes:
    """`status_proto` as it travels; under overload the same few answers are given thousands of times."""
    if error.violations or error.metadata:
        travelling: bytes = status_proto(error, code).SerializeToString()
        return travelling
    return _plain_bytes(code, error.message, error.reason, error.retry_after_s, error.next_step)


@lru_cache(maxsize=256)
def _plain_bytes(
    code: grpc.StatusCode, text: str, reason: str, retry_after_s: float | None, next_step: str | None
) -> bytes:
    same = ThreeninesError(text, reason=reason, retry_after_s=retry_after_s, next_step=next_step)
    travelling: bytes = status_proto(same, code).SerializeToString()
    return travelling


def read_details(error: grpc.RpcError) -> ErrorDetails:
    """What a server of ours said about an error; empty details for anything that has none."""
    packed = _details_bytes(error)
    if packed is None:
        return ErrorDetails()
    status = status_pb2.Status()
    try:
        status.ParseFromString(packed)
    except message.DecodeError:
        return ErrorDetails()
    return _collect(status)


def _build(
    error: ThreeninesError,
    code: grpc.StatusCode,
    metadata: dict[str, str],
    violations: tuple[FieldViolation, ...],
) -> status_pb2.Status:
    details: list[message.Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    ]
    if violations:
        bad = error_details_pb2.BadRequest()
        for violation in violations:
            bad.field_violations.add(
                field=clipped(violation.field, _MAX_VALUE_CHARS),
                description=clipped(violation.reason, _MAX_VALUE_CHARS),
            )
        details.append(bad)
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if error.next_step:
        next_step = clipped(error.next_step)
        details.append(error_details_pb2.LocalizedMessage(locale="en", message=next_step))
    return status_pb2.Status(
        code=code.value[0], message=clipped(error.message), details=[_packed(each) for each in details]
    )


def _packed(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _details_bytes(error: grpc.RpcError) -> bytes | None:
    trailers = error.trailing_metadata() if isinstance(error, grpc.aio.AioRpcError | grpc.Call) else None
    for key, value in trailers or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return value
    return None


def _collect(status: status_pb2.Status) -> ErrorDetails:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    step = error_details_pb2.LocalizedMessage()
    retry_after_s: float | None = None
    for detail in status.details:
        if detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
        else:
            _ = detail.Unpack(info) or detail.Unpack(bad) or detail.Unpack(step)
    return ErrorDetails(
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations=tuple(FieldViolation(each.field, each.description) for each in bad.field_violations),
        retry_after_s=retry_after_s,
        next_step=step.message,
    )
