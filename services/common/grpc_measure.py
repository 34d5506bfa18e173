"""The interceptor that measures how long calls take, by method and status code.

Streams are left out: how long one lasts says nothing of how quickly it is answered. It knows no backend; what
it measures becomes a histogram of the process's own metrics.
"""

from typing import Any

import grpc

from services.common.clock import Clock, SystemClock
from services.common.grpc_errors import Behaviour, Continuation, Handler, rewrapped, run_behaviour
from services.common.telemetry import Telemetry

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
# Probes would hide how calls do.
_UNMEASURED = ("/grpc.health.", "/grpc.reflection.")


class MeasureInterceptor(grpc.aio.ServerInterceptor):
    """Records `common.rpc.duration`; install it outermost, so that refused calls are measured too."""

    def __init__(self, telemetry: Telemetry, clock: Clock | None = None) -> None:
        self._telemetry = telemetry
        self._clock = clock or SystemClock()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Wrap unary handlers."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        if method.startswith(_UNMEASURED):
            return handler
        return rewrapped(handler, lambda behaviour: self._measured(behaviour, method.lstrip("/")))

    def _measured(self, behaviour: Behaviour, method: str) -> Behaviour:
        async def measured(request: Any, context: Any) -> Any:
            began_ns = self._clock.monotonic_ns()
            try:
                return await run_behaviour(behaviour, request, context)
            finally:
                seconds = (self._clock.monotonic_ns() - began_ns) / 1e9
                code = code_name(context)
                self._telemetry.record("common.rpc.duration", seconds, method=method, code=code)

        return measured


def code_name(context: Any) -> str:
    """The status that a call ends with, as far as it is set: OK otherwise, CANCELLED when the caller left."""
    if context.cancelled():
        return "CANCELLED"
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _NAMES.get(code or 0, "UNKNOWN")
