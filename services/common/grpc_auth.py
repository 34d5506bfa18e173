"""The interceptor that knows who is calling before any handler runs.

It reads the credential from the call's metadata, asks the Authenticator and keeps the answer in a
context variable for the length of the call. What a caller may do is not decided here but where
the tenant of the request is known (`auth.require_tenant`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import grpc

from services.common.auth import Authenticator, Principal, enter_principal, leave_principal
from services.common.errors import Unauthenticated
from services.common.grpc_errors import Behaviour, Continuation, Handler, rewrapped, run_behaviour

METADATA_KEY = "authorization"

# Probes of load balancers carry no credential, and the contracts are public.
_OPEN_PREFIXES = ("/grpc.health.v1.Health/", "/grpc.reflection.")


class AuthInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a valid credential; install it inside the ErrorInterceptor."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Authenticate first, so that a stranger's request is never read or decoded."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN_PREFIXES):
            return handler
        again = partial(self._authenticator.authenticate, _authorization(handler_call_details))
        try:
            principal = again()
        except Unauthenticated as err:
            return _refusing(err)
        return rewrapped(handler, lambda behaviour: _as_principal(behaviour, principal, again))


def _authorization(details: grpc.HandlerCallDetails) -> str | None:
    for key, value in details.invocation_metadata or ():
        if key == METADATA_KEY:
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return None


def _refusing(error: Unauthenticated) -> Handler:
    async def refuse(_requests: Any, _context: Any) -> NoReturn:
        raise error

    # On the wire every call is a stream; as one, it is answered without waiting for its request.
    handler: Handler = grpc.stream_stream_rpc_method_handler(refuse)
    return handler


def _as_principal(behaviour: Behaviour, principal: Principal, again: Callable[[], Principal]) -> Behaviour:
    async def identified(request: Any, context: Any) -> Any:
        token = enter_principal(principal, again)
        try:
            return await run_behaviour(behaviour, request, context)
        finally:
            leave_principal(token)

    return identified
