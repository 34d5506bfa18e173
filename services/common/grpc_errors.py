"""The table of errors and the one interceptor that turns them into gRPC statuses.

Servicers raise and never abort. What is in the table reaches the caller with its reason and
details; anything else becomes INTERNAL with a fixed text and an id under which the stack is
logged. A service adds no code here: its errors inherit their status from the class they extend.
"""

import inspect
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, NoReturn, TypeAlias

import grpc

from services.common import errors
from services.common.errors import InvalidArgument, NotBuilt, ThreeninesError
from services.common.grpc_details import DETAILS_KEY, clipped, status_bytes

_log = logging.getLogger(__name__)

STATUS_BY_ERROR: Mapping[type[ThreeninesError], grpc.StatusCode] = MappingProxyType(
    {
        errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
        errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
        errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
        errors.NotFound: grpc.StatusCode.NOT_FOUND,
        errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
        errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
        errors.Aborted: grpc.StatusCode.ABORTED,
        errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
        errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
        errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
        errors.NotBuilt: grpc.StatusCode.UNIMPLEMENTED,
    }
)

# What protoc's Python plugin raises in the methods of a base servicer that nobody overrode.
_GENERATED_TEXT = "Method not implemented!"

Behaviour = Callable[[Any, Any], Any]
# Text, because gRPC's classes are generic only in their type stubs.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = (
    "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]"
)


def status_of(error: type[ThreeninesError]) -> grpc.StatusCode | None:
    """The status of an error class: its own, or that of the nearest class it extends."""
    for parent in error.__mro__:
        if parent in STATUS_BY_ERROR:
            return STATUS_BY_ERROR[parent]
    return None


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Answers every error of a handler; install it outermost.

    It also answers a request that cannot be decoded with INVALID_ARGUMENT (gRPC itself would say
    INTERNAL), and a method that nobody built with UNIMPLEMENTED, reason RPC_NOT_BUILT.
    """

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Wrap the handler, whichever of the four kinds it is."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        return rewrapped(handler, lambda behaviour: _guarded(behaviour, handler, method))


def rewrapped(handler: Handler, wrap: Callable[[Behaviour], Behaviour]) -> Handler:
    """The same kind of handler around `wrap(behaviour)`, its decoder made harmless.

    The new behaviour must be a coroutine function; responses of a stream are written to the
    context, which works for every way in which the wrapped one may stream.
    """
    make: Any
    if handler.request_streaming and handler.response_streaming:
        behaviour, make = handler.stream_stream, grpc.stream_stream_rpc_method_handler
    elif handler.request_streaming:
        behaviour, make = handler.stream_unary, grpc.stream_unary_rpc_method_handler
    elif handler.response_streaming:
        behaviour, make = handler.unary_stream, grpc.unary_stream_rpc_method_handler
    else:
        behaviour, make = handler.unary_unary, grpc.unary_unary_rpc_method_handler
    assert behaviour is not None, "a handler has the behaviour of its kind"
    wrapped: Handler = make(
        wrap(behaviour), _harmless(handler.request_deserializer), handler.response_serializer
    )
    return wrapped


async def run_behaviour(behaviour: Behaviour, request: Any, context: Any) -> Any:
    """Call a handler's behaviour, be it plain, a coroutine or an async generator.

    Returns the response of a unary answer; writes those of a streamed one to the context.
    """
    result = behaviour(request, context)
    if inspect.isasyncgen(result):
        async with aclosing(result) as responses:
            async for response in responses:
                await context.write(response)
        return None
    return await result if inspect.isawaitable(result) else result


class _Undecodable:
    """Stands for a request whose bytes are not the message that they should be."""


_UNDECODABLE = _Undecodable()


def _harmless(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if decode is None:
        return None

    def decode_or_mark(data: bytes) -> Any:
        try:
            return decode(data)
        except Exception:  # whatever a decoder raises means the same: these bytes are no request
            return _UNDECODABLE

    return decode_or_mark


def _decoded(request: Any) -> Any:
    if request is _UNDECODABLE:
        raise InvalidArgument("the request is not a valid message of its type", reason="REQUEST_UNDECODABLE")
    return request


async def _decoded_each(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _decoded(request)


def _guarded(behaviour: Behaviour, handler: Handler, method: str) -> Behaviour:
    async def guarded(request: Any, context: Any) -> Any:
        try:
            checked = _decoded_each(request) if handler.request_streaming else _decoded(request)
            return await run_behaviour(behaviour, checked, context)
        except grpc.aio.AbortError:
            raise  # the health and reflection services abort by themselves
        except ThreeninesError as err:
            await _answer(context, err, method)
        except NotImplementedError as err:
            if str(err) != _GENERATED_TEXT:
                await _answer_unexpected(context, err, method)
            await _answer(context, NotBuilt(f"{method} is not built yet in this release"), method)
        except Exception as err:  # the last line of defence: nothing may reach the caller unmapped
            await _answer_unexpected(context, err, method)

    return guarded


async def _answer(context: Any, error: ThreeninesError, method: str) -> NoReturn:
    code = status_of(type(error))
    if code is None:
        await _answer_unexpected(context, error, method)
    _log.debug("%s answered %s %s: %s", method, code.name, error.reason, error.message)
    await _abort(context, code, error)


async def _answer_unexpected(context: Any, error: Exception, method: str) -> NoReturn:
    if context.cancelled() or context.done():
        raise error  # the caller has gone: there is nobody to tell, and it is often why it failed
    error_id = secrets.token_hex(6)
    _log.error("%s failed unexpectedly, error id %s", method, error_id, exc_info=error)
    shown = ThreeninesError(
        f"internal error; its id in the server's log is {error_id}",
        reason="INTERNAL",
        metadata={"error_id": error_id},
    )
    await _abort(context, grpc.StatusCode.INTERNAL, shown)


async def _abort(context: Any, code: grpc.StatusCode, error: ThreeninesError) -> NoReturn:
    details = status_bytes(error, code)
    trailers = (*(context.trailing_metadata() or ()), (DETAILS_KEY, details))
    await context.abort(code, clipped(error.message), trailers)
    raise AssertionError("abort always raises")
