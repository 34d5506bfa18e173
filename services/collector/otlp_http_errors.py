"""What only HTTP can get wrong, and every error as an HTTP answer.

The body of an error is the same google.rpc.Status that gRPC carries in its trailers. OTLP clients
send again after 429, 502, 503 and 504 only, so what may succeed later must be one of these, and
nothing that a client sends may be a 500: that means "drop it".

InvalidArgument
|-- WrongBody             damaged, cut short, or not of the length it said
|-- UnsupportedMediaType  neither protobuf nor JSON
`-- UnsupportedEncoding   a compression that is not known here
NotFound
`-- WrongPath             nothing is served there
NotBuilt
`-- WrongMethod           only POST is
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import status_pb2

from services.collector.errors import RequestTooLarge
from services.common.errors import InvalidArgument, NotBuilt, NotFound, ThreeninesError
from services.common.grpc_details import status_proto
from services.common.grpc_errors import status_of

Headers = list[tuple[bytes, bytes]]

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class WrongBody(InvalidArgument):
    """Damaged, cut short, or not of the length it said."""

    default_reason = "BODY_DAMAGED"


class UnsupportedMediaType(InvalidArgument):
    """Neither protobuf nor JSON."""

    default_reason = "CONTENT_TYPE_UNSUPPORTED"


class UnsupportedEncoding(InvalidArgument):
    """A compression that is not known here."""

    default_reason = "CONTENT_ENCODING_UNSUPPORTED"


class WrongPath(NotFound):
    """Nothing is served there."""

    default_reason = "PATH_UNKNOWN"


class WrongMethod(NotBuilt):
    """Only POST is."""

    default_reason = "METHOD_NOT_ALLOWED"


# Where one gRPC code stands for several HTTP ones.
_STATUS_BY_ERROR: Mapping[type[ThreeninesError], int] = MappingProxyType(
    {
        RequestTooLarge: 413,
        UnsupportedMediaType: 415,
        UnsupportedEncoding: 415,
        WrongMethod: 405,
    }
)

_STATUS_BY_CODE: Mapping[grpc.StatusCode, int] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: 400,
        grpc.StatusCode.FAILED_PRECONDITION: 400,
        grpc.StatusCode.UNAUTHENTICATED: 401,
        grpc.StatusCode.PERMISSION_DENIED: 403,
        grpc.StatusCode.NOT_FOUND: 404,
        grpc.StatusCode.ALREADY_EXISTS: 409,
        grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
        grpc.StatusCode.UNIMPLEMENTED: 501,
        # Retryable over gRPC, so they must be over HTTP, whose 409 is not.
        grpc.StatusCode.ABORTED: 503,
        grpc.StatusCode.UNAVAILABLE: 503,
        grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    }
)

_HEADERS: Mapping[int, Headers] = MappingProxyType(
    {
        401: [(b"www-authenticate", b'Bearer realm="threenines"')],
        405: [(b"allow", b"POST")],
    }
)


def encoded(message: Message, media_type: str) -> bytes:
    """A response in the encoding of its request."""
    if media_type == PROTOBUF:
        return message.SerializeToString()
    return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()


def error_answer(error: ThreeninesError) -> tuple[int, Headers, status_pb2.Status]:
    """Status code, further headers and body for an error."""
    code = status_of(type(error))
    assert code is not None, "tests/arch sees to it that every error has a code"
    status = _STATUS_BY_ERROR.get(type(error)) or _STATUS_BY_CODE[code]
    headers = list(_HEADERS.get(status, []))
    if isinstance(error, UnsupportedEncoding):
        headers.append((b"accept-encoding", b"gzip, deflate, zstd"))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    return status, headers, status_proto(error, code)
