"""Protobuf's wire format: varints, tags and lengths, as protobuf's own parser (upb) reads them.

Every function takes a position and the end of the message that it is in, and answers with the next
position, or FAILED. Nothing here knows a message of OTLP.
Source: https://protobuf.dev/programming-guides/encoding/ and upb/wire/reader.h.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import Address, load_byte

FAILED = -1
"""Instead of a position: the bytes are not a valid message."""

VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)

MAX_TAG = (1 << 32) - 1
MAX_LENGTH = (1 << 31) - 1


@kernel
def read_varint(buf: Address, pos: int, end: int) -> tuple[np.uint64, int]:
    """A varint of at most 10 bytes; bits beyond the 64th are dropped."""
    if pos < end:
        first = load_byte(buf, pos)
        if first < 0x80:
            return np.uint64(first), pos + 1
    value = np.uint64(0)
    shift = np.uint64(0)
    stop = min(end, pos + 10)
    while pos < stop:
        byte = load_byte(buf, pos)
        pos += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += np.uint64(7)
    return value, FAILED


@kernel
def _read_short(buf: Address, pos: int, end: int, most: int) -> tuple[int, int]:
    value = 0
    shift = 0
    stop = min(end, pos + 5)
    while pos < stop:
        byte = load_byte(buf, pos)
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > most:
                return 0, FAILED
            return value, pos
        shift += 7
    return 0, FAILED


@kernel
def read_tag(buf: Address, pos: int, end: int) -> tuple[int, int]:
    """A field's number (never 0) and wire type, as on the wire: number << 3 | type."""
    if pos < end:
        first = load_byte(buf, pos)
        if 8 <= first < 0x80:
            return first, pos + 1
    tag, pos = read_any_tag(buf, pos, end)
    if tag < 8:
        return 0, FAILED
    return tag, pos


@kernel
def read_any_tag(buf: Address, pos: int, end: int) -> tuple[int, int]:
    """As `read_tag`, but number 0 passes: upb does not mind it inside unknown groups."""
    return _read_short(buf, pos, end, MAX_TAG)


@kernel
def read_length(buf: Address, pos: int, end: int) -> tuple[int, int]:
    """The length of a delimited field; the field fits into the message."""
    if pos >= end:
        return 0, FAILED
    length = load_byte(buf, pos)
    pos += 1
    if length >= 0x80:
        length, pos = _read_short(buf, pos - 1, end, MAX_LENGTH)
    if pos < 0 or length > end - pos:
        return 0, FAILED
    return length, pos
