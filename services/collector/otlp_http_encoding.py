"""Decompression that cannot be made to expand: in steps, each paid for, up to a hard cap.

A body of a few kilobytes can stand for gigabytes. Output is produced in small steps and stops at
the first byte over the limit, so what a bomb would have become is never in memory. Knows no HTTP
beyond the names of the encodings.
"""

import zlib
from collections.abc import Callable, Iterator
from io import BytesIO

import zstandard

from services.collector.errors import RequestTooLarge
from services.collector.otlp_http_errors import UnsupportedEncoding, WrongBody

_STEP_BYTES = 256 << 10
_ZSTD_WINDOW_BYTES = 8 << 20
"""RFC 9659: what an HTTP recipient must be able to take, and need not exceed."""
_END = b"\xa5" * 1000
_END_FRAME = bytes.fromhex("28b52ffd 00 00") + (len(_END) << 3 | 0b011).to_bytes(3, "little") + _END[:1]
"""RFC 8878 3.1.1: magic, no content size, a window of 1 KB, one last block that repeats one byte."""
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
_ZLIB_METHOD = 8

SUPPORTED = ("gzip", "deflate", "zstd", "identity")


def check_encoding(encoding: str) -> str:
    """The encoding by its one name: lower case, `identity` when there is none.

    Raises:
        UnsupportedEncoding: not one of SUPPORTED, or several on top of each other.
    """
    name = encoding.strip().lower().removeprefix("x-") or "identity"
    if name not in SUPPORTED:
        raise UnsupportedEncoding(
            f"Content-Encoding {encoding[:80]!r} is not one of {', '.join(SUPPORTED)}",
            next_step="compress with gzip, or not at all",
        )
    return name


def decompress(encoding: str, body: bytes, *, max_bytes: int, pay: Callable[[int], None]) -> bytes:
    """The body as it was before compression.

    Args:
        encoding: what `check_encoding` returned.
        body: the whole compressed body.
        max_bytes: the most that may come out.
        pay: called with the size of each step before the next; what it raises ends it all.

    Raises:
        RequestTooLarge: more than `max_bytes` would come out.
        WrongBody: damaged, cut short, or something follows the end.
    """
    if encoding == "identity":
        return body
    parts: list[bytes] = []
    size = 0
    try:
        for part in _steps(encoding, body):
            size += len(part)
            if size > max_bytes:
                raise RequestTooLarge(
                    f"the request is over {max_bytes} bytes once it is decompressed",
                    next_step="send fewer points per request",
                )
            pay(len(part))
            parts.append(part)
    except (zlib.error, zstandard.ZstdError) as err:
        raise _damaged(encoding) from err
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _steps(encoding: str, body: bytes) -> Iterator[bytes]:
    if encoding == "zstd":
        return _zstd_steps(body)
    if encoding == "gzip":
        return _zlib_steps(encoding, body, _GZIP)
    # RFC 9110 8.4.1.2: deflate means the zlib format; some clients send it without that wrapping.
    wrapped = len(body) >= 2 and body[0] & 15 == _ZLIB_METHOD and int.from_bytes(body[:2], "big") % 31 == 0
    return _zlib_steps(encoding, body, _ZLIB if wrapped else _RAW_DEFLATE)


def _zlib_steps(encoding: str, body: bytes, wbits: int) -> Iterator[bytes]:
    """A gzip body may have several members, as files have; the others are one stream."""
    view = memoryview(body)
    stream, place = zlib.decompressobj(wbits), 0
    while place < len(view):
        # In slices, because what is left of the input is copied at every step.
        data: bytes | memoryview = view[place : place + _STEP_BYTES]
        place += len(data)
        while len(data):
            if stream.eof:
                if wbits != _GZIP:
                    raise _damaged(encoding)
                stream = zlib.decompressobj(wbits)
            part = stream.decompress(data, _STEP_BYTES)
            if part:
                yield part
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
    while not stream.eof:
        # Output may still be held back, although all input is taken.
        part = stream.decompress(b"", _STEP_BYTES)
        if not part:
            raise _damaged(encoding)
        yield part


def _zstd_steps(body: bytes) -> Iterator[bytes]:
    """The library is silent about a body that is cut short, so a frame of our own is put behind it.

    It comes out at the end, and whole, only when the body's last frame was complete.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    tail = b""
    with decompressor.stream_reader(BytesIO(body + _END_FRAME), read_across_frames=True) as reader:
        while part := reader.read(_STEP_BYTES):
            tail += part
            if len(tail) > len(_END):
                yield tail[: -len(_END)]
                tail = tail[-len(_END) :]
    if tail != _END or not body:
        raise _damaged("zstd")


def _damaged(encoding: str) -> WrongBody:
    return WrongBody(
        f"the body is not complete and undamaged {encoding} data",
        field="body",
        next_step="send the request again as the SDK encodes it",
    )
