"""The record of the stream OTLP: what is durable before a client hears "accepted".

    "TNR1" | u8 kind | u8 tenant length | u16 request count | tenant
    per request: 16 bytes request id | u32 points | u32 raw length | u32 bitmap length | bitmap
    u8 codec | payload: the raw requests one after the other

Little endian. Kind 1 holds OTLP requests of one tenant, kind 2 is a TICK. The layout is for ever:
old logs are replayed by new releases, so a change gets a new magic. This module knows bytes only.
"""

import hashlib
import struct
import threading
from collections.abc import Sequence

import zstandard
from blake3 import blake3

from services.collector.errors import CorruptRecord
from services.collector.model import LoggedRequest, Record

MAGIC = b"TNR1"
REQUEST_ID_BYTES = 16
TICK_TENANT = "tick"

_KIND_REQUESTS = 1
_KIND_TICK = 2
_CODEC_NONE = 0
_CODEC_ZSTD = 1
_HEAD = struct.Struct("<4sBBH")
_REQUEST = struct.Struct("<16sIII")
_ZSTD = zstandard.ZstdCompressionParameters.from_level(1, hash_log=15, min_match=5)
"""For requests of metrics up to a quarter faster than plain level 1, and a tenth smaller."""
_SMALLEST_COMPRESSED = 256
"""Below this many bytes zstd's frame costs more than it saves."""


class _Contexts(threading.local):
    """What a thread compresses with again and again."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(compression_params=_ZSTD)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def request_id(tenant: str, raw: bytes) -> bytes:
    """The 128-bit id by which a resend is recognised: the head of BLAKE3 over tenant, NUL and the bytes.

    It has to resist who would have another's request taken for a resend, at a speed that does not show:
    BLAKE3 hashes the pieces of a request side by side, four times as fast as SHA-256 with its own
    instructions. Ids are made here and nowhere else, so those of an older release still stand in the log.
    """
    digest = blake3(tenant.encode() + b"\0")
    digest.update(raw)
    return digest.digest(REQUEST_ID_BYTES)


def message_id(record: bytes, nonce: bytes) -> str:
    """`Nats-Msg-Id` of one append.

    The nonce is drawn once per append and kept over its retries, so that only our own publish
    retries are deduplicated by the log, never two requests of a client that happen to be equal.
    """
    return hashlib.blake2b(record, digest_size=16, key=nonce).hexdigest()


def compress(payload: bytes) -> tuple[int, bytes]:
    """(codec, bytes): zstd where it pays."""
    if len(payload) < _SMALLEST_COMPRESSED:
        return _CODEC_NONE, payload
    packed = _contexts.compressor.compress(payload)
    return (_CODEC_ZSTD, packed) if len(packed) < len(payload) else (_CODEC_NONE, payload)


def encode_requests(tenant: str, requests: Sequence[LoggedRequest]) -> bytes:
    """The bytes of a record that holds `requests` of `tenant`."""
    name = tenant.encode()
    parts = [_HEAD.pack(MAGIC, _KIND_REQUESTS, len(name), len(requests)), name]
    for request in requests:
        parts.append(
            _REQUEST.pack(request.request_id, request.point_count, len(request.raw), len(request.rejected))
        )
        parts.append(request.rejected)
    codec, payload = compress(b"".join(request.raw for request in requests))
    parts.append(bytes((codec,)))
    parts.append(payload)
    return b"".join(parts)


def encode_tick() -> bytes:
    """The bytes of a TICK: log time moves by when it is appended, it carries nothing."""
    name = TICK_TENANT.encode()
    return _HEAD.pack(MAGIC, _KIND_TICK, len(name), 0) + name + bytes((_CODEC_NONE,))


def decode_record(data: bytes) -> Record:
    """The record in `data`.

    Raises:
        CorruptRecord: another magic, kind or codec, or lengths that do not fit.
    """
    heads, tenant, kind, offset = _decode_heads(data)
    if kind == _KIND_TICK:
        return Record(tenant=tenant, tick=True)
    payload = _decompress(data, offset, sum(length for _, _, length, _ in heads))
    requests: list[LoggedRequest] = []
    start = 0
    for identifier, points, length, rejected in heads:
        raw = payload[start : start + length]
        requests.append(LoggedRequest(identifier, raw, points, rejected))
        start += length
    return Record(tenant=tenant, requests=tuple(requests))


def decode_heads(data: bytes) -> Record:
    """As `decode_record`, without unpacking the payload: every `raw` is empty."""
    heads, tenant, kind, _ = _decode_heads(data)
    requests = tuple(LoggedRequest(identifier, b"", points, bits) for identifier, points, _, bits in heads)
    unpacked = sum(length for _, _, length, _ in heads)
    return Record(tenant=tenant, requests=requests, tick=kind == _KIND_TICK, unpacked_bytes=unpacked)


def _decode_heads(data: bytes) -> tuple[list[tuple[bytes, int, int, bytes]], str, int, int]:
    try:
        magic, kind, name_length, count = _HEAD.unpack_from(data)
        if magic != MAGIC or kind not in {_KIND_REQUESTS, _KIND_TICK}:
            raise _unreadable(magic, kind)
        offset = _HEAD.size + name_length
        tenant = data[_HEAD.size : offset].decode("ascii")
        heads: list[tuple[bytes, int, int, bytes]] = []
        for _ in range(count):
            identifier, points, length, bitmap_length = _REQUEST.unpack_from(data, offset)
            offset += _REQUEST.size
            heads.append((identifier, points, length, data[offset : offset + bitmap_length]))
            offset += bitmap_length
    except (struct.error, UnicodeDecodeError) as err:
        raise CorruptRecord("a record is shorter than its header says") from err
    return heads, tenant, kind, offset


def _decompress(data: bytes, offset: int, length: int) -> bytes:
    if offset >= len(data):
        raise CorruptRecord("a record ends before its payload")
    codec, packed = data[offset], data[offset + 1 :]
    if codec == _CODEC_ZSTD:
        try:
            packed = _contexts.decompressor.decompress(packed, max_output_size=length)
        except zstandard.ZstdError as err:
            raise CorruptRecord("the payload of a record cannot be decompressed") from err
    elif codec != _CODEC_NONE:
        raise CorruptRecord(f"a record with codec {codec}")
    if len(packed) != length:
        raise CorruptRecord(f"a payload of {len(packed)} bytes where the header says {length}")
    return packed


def _unreadable(magic: bytes, kind: int) -> CorruptRecord:
    text = f"a record with magic {magic!r} and kind {kind}"
    if magic[:3] == MAGIC[:3] and magic != MAGIC:
        return CorruptRecord(text, reason="LOG_RECORD_VERSION_UNKNOWN")
    return CorruptRecord(text)
