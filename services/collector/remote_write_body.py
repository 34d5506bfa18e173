"""A remote write request before it is read: which message, and snappy undone under a cap.

Snappy's block format says on its first bytes how large it becomes, so a bomb is refused before
anything of it is in memory. Knows nothing of what the message means.
"""

from collections.abc import Callable
from email.message import Message

import cramjam

from services.collector.errors import RequestTooLarge
from services.collector.otlp_http_body import Scope
from services.collector.otlp_http_errors import PROTOBUF, UnsupportedEncoding, UnsupportedMediaType, WrongBody
from services.collector.remote_write_read import Version

_MOST_EXPANSION = 22
"""A copy of 64 bytes, the longest there is, takes 3 bytes: nothing becomes larger than this."""


def content_type_of(scope: Scope) -> str:
    """The Content-Type of a request with its parameters; empty when there is none."""
    values = [value for name, value in scope["headers"] if name == b"content-type"]
    return str(values[0].decode("latin-1")) if values else ""


def version_of(content_type: str) -> Version:
    """The message that a Content-Type announces; without the parameter `proto` it is that of 1.0.

    Raises:
        UnsupportedMediaType: neither message.
    """
    header = Message()
    header["content-type"] = content_type
    name = header.get_param("proto") or Version.V1.value
    if content_type.partition(";")[0].strip().lower() == PROTOBUF and name in [
        each.value for each in Version
    ]:
        return Version(name)
    raise UnsupportedMediaType(
        f"Content-Type {content_type[:120]!r} is not offered here",
        next_step=" or ".join(f"{PROTOBUF};proto={each.value}" for each in Version) + " are.",
    )


def check_snappy(encoding: str) -> None:
    """Refuse every compression but snappy, which is also what a request without a word has.

    Raises:
        UnsupportedEncoding.
    """
    if encoding.strip().lower() not in ("", "snappy"):
        raise UnsupportedEncoding(
            f"Content-Encoding {encoding[:80]!r} is not offered here", next_step="compress with snappy"
        )


def unsnap(body: bytes, *, max_bytes: int, pay: Callable[[int], None]) -> bytes:
    """What was compressed, in snappy's block format.

    Args:
        body: the whole compressed body.
        max_bytes: the most that may come out.
        pay: called with the size of the result before there is one; what it raises ends it all.

    Raises:
        RequestTooLarge: more than `max_bytes` would come out.
        WrongBody: damaged, cut short, or snappy's framed format.
    """
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > max_bytes:
            raise RequestTooLarge(
                f"the request is over {max_bytes} bytes once it is decompressed",
                next_step="send fewer samples per request",
            )
        if size > _MOST_EXPANSION * len(body):
            raise _damaged()
        pay(size)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as err:
        raise _damaged() from err


def _damaged() -> WrongBody:
    return WrongBody(
        "the body is not complete and undamaged snappy data",
        field="body",
        next_step="use snappy's block format, not the framed one",
    )
