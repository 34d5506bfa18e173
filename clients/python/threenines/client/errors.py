"""What a caller learns when a question was not answered: the code, the reason, what to do, when to retry."""

from collections.abc import Iterable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"
_M = TypeVar("_M", bound=Message)


class CallError(Exception):
    """A call that failed.

    Attributes:
        code: the gRPC status code.
        reason: stable and machine readable, such as `OBJECTIVE_NOT_FOUND`; empty when the server gave none.
        message: for people.
        violations: (field, what is wrong with it) of a bad request.
        next_step: what to do about it; empty when the server gave none.
        retry_after_s: seconds after which to ask again; None when asking again does not help.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        violations: tuple[tuple[str, str], ...] = (),
        next_step: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code.name}{f' ({reason})' if reason else ''}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.violations = violations
        self.next_step = next_step
        self.retry_after_s = retry_after_s


def call_error(error: grpc.RpcError) -> CallError:
    """What gRPC raised, as ours; whatever the server packed into its details."""
    call: Any = error  # what stubs raise is also a grpc.Call; their types do not say so
    reason, next_step, violations, retry_after_s = "", "", [], None
    for detail in _details(call.trailing_metadata() or ()):
        if info := _unpacked(detail, error_details_pb2.ErrorInfo):
            reason = info.reason
        if bad := _unpacked(detail, error_details_pb2.BadRequest):
            violations += [(one.field, one.description) for one in bad.field_violations]
        if retry := _unpacked(detail, error_details_pb2.RetryInfo):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
        if step := _unpacked(detail, error_details_pb2.LocalizedMessage):
            next_step = step.message
    return CallError(
        call.code(),
        call.details() or call.code().name,
        reason=reason,
        violations=tuple(violations),
        next_step=next_step,
        retry_after_s=retry_after_s,
    )


def _details(metadata: Iterable[tuple[str, str | bytes]]) -> list[Any]:
    packed = next((value for key, value in metadata if key == _DETAILS_KEY), None)
    if not isinstance(packed, bytes):
        return []
    status = status_pb2.Status()
    try:
        status.ParseFromString(packed)
    except DecodeError:
        return []
    return list(status.details)


def _unpacked(detail: Any, kind: type[_M]) -> _M | None:
    message = kind()
    return message if detail.Unpack(message) else None
