"""The errors that callers may see, one class for each outcome.

    ThreeninesError
    |-- InvalidArgument      the request can never succeed as it is
    |-- Unauthenticated      no credential, or not one that we know
    |-- PermissionDenied     a known credential that may not do this
    |-- NotFound             the named thing does not exist
    |-- AlreadyExists        the named thing exists already
    |-- FailedPrecondition   right request, wrong state: change the state first
    |-- Aborted              lost a race or a fence: read again, then retry
    |-- ResourceExhausted    a quota or a limit; retryable only with a delay
    |-- Unavailable          a dependency is down; always retryable
    |-- DeadlineExceeded     the caller's time ran out; the outcome may be unknown
    `-- NotBuilt             the contract has it, this release does not

Each carries a machine reason, a sentence for people, the field where there is one, and what to
do next. Services subclass these; `grpc_errors.py` maps them to status codes. This module knows
no transport.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

_NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is wrong, and why."""

    field: str
    reason: str


class ThreeninesError(Exception):
    """What every error of ours can say.

    Args:
        message: one sentence for people; never holds a secret.
        reason: UPPER_SNAKE_CASE, at most 63 characters, stable: programs branch on it.
        field: the path of the field that is wrong, where there is one.
        violations: every wrong field with its reason, where there are several.
        next_step: what the caller can do about it.
        retry_after_s: seconds after which a retry makes sense; None means do not retry.
        metadata: further facts for programs.
    """

    default_reason = "ERROR"
    default_retry_after_s: float | None = None

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        field: str | None = None,
        violations: Sequence[FieldViolation] = (),
        next_step: str | None = None,
        retry_after_s: float | None = None,
        metadata: Mapping[str, str] = _NO_METADATA,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.field = field
        self.violations = tuple(violations) or (
            (FieldViolation(field, message),) if field is not None else ()
        )
        self.next_step = next_step
        self.retry_after_s = self.default_retry_after_s if retry_after_s is None else retry_after_s
        self.metadata = dict(metadata)


class InvalidArgument(ThreeninesError):
    """The request can never succeed as it is."""

    default_reason = "INVALID_ARGUMENT"


class Unauthenticated(ThreeninesError):
    """No credential, or not one that we know."""

    default_reason = "UNAUTHENTICATED"


class PermissionDenied(ThreeninesError):
    """A known credential that may not do this."""

    default_reason = "PERMISSION_DENIED"


class NotFound(ThreeninesError):
    """The named thing does not exist."""

    default_reason = "NOT_FOUND"


class AlreadyExists(ThreeninesError):
    """The named thing exists already."""

    default_reason = "ALREADY_EXISTS"


class FailedPrecondition(ThreeninesError):
    """Right request, wrong state: change the state first."""

    default_reason = "FAILED_PRECONDITION"


class Aborted(ThreeninesError):
    """Lost a race or a fence: read again, then retry."""

    default_reason = "ABORTED"


class ResourceExhausted(ThreeninesError):
    """A quota or a limit; retryable only when it names a delay."""

    default_reason = "RESOURCE_EXHAUSTED"


class Unavailable(ThreeninesError):
    """A dependency is down; always retryable."""

    default_reason = "UNAVAILABLE"
    default_retry_after_s = 1.0


class DeadlineExceeded(ThreeninesError):
    """The caller's time ran out; the outcome may be unknown."""

    default_reason = "DEADLINE_EXCEEDED"


class NotBuilt(ThreeninesError):
    """The contract has it, this release does not."""

    default_reason = "RPC_NOT_BUILT"
