"""A defect of ours, as an answer after which a sender sends again.

INTERNAL and 500 make OTLP clients drop their data; what failed for a reason that nobody foresaw may succeed
after a restart or in the next release. Knows no transport beyond the name of what was called.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from services.common.errors import ThreeninesError, Unavailable
from services.common.grpc_errors import status_of

_log = logging.getLogger(__name__)

_RETRY_S = 5.0

Response = TypeVar("Response")
Behaviour = Callable[[bytes, Any], Awaitable[Response]]


def unexpected(called: str, error: Exception) -> Unavailable:
    """The answer to a defect, which is logged with its stack under an id that the caller hears."""
    error_id = secrets.token_hex(6)
    _log.error("%s failed unexpectedly, error id %s", called, error_id, exc_info=error)
    return Unavailable(
        f"internal error; its id in the server's log is {error_id}",
        reason="INTERNAL",
        retry_after_s=_RETRY_S,
        metadata={"error_id": error_id},
    )


def sent_again(behaviour: Behaviour[Response], called: str) -> Behaviour[Response]:
    """The same behaviour of a gRPC method, but what nobody foresaw raises Unavailable."""

    async def answered(request: bytes, context: Any) -> Response:
        try:
            return await behaviour(request, context)
        # The last line of defence: whatever it was, its caller must not drop its data.
        except Exception as err:
            known = isinstance(err, ThreeninesError) and status_of(type(err)) is not None
            if known or context.cancelled() or context.done():
                raise
            raise unexpected(called, err) from err

    return answered
