"""Fields that this release does not know: their extent, for every wire type, groups included.

A field whose wire type is not the one of its definition counts as unknown too.
"""

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import Address, get_int, put_int
from services.collector.kernels.memory import GROUPS_AT
from services.collector.kernels.wire import (
    DELIMITED,
    END_GROUP,
    FAILED,
    FIXED32,
    FIXED64,
    START_GROUP,
    VARINT,
    read_any_tag,
    read_length,
    read_varint,
)


@kernel
def skip_value(buf: Address, pos: int, end: int, tag: int, depth: int, work: Address) -> int:
    """The position after the value of an unknown field whose tag was read.

    `depth` is how many levels of messages and groups may still be opened.
    """
    if tag & 7 != START_GROUP:
        return _skip_plain(buf, pos, end, tag)
    opened = 0
    while True:
        kind = tag & 7
        if kind == START_GROUP:
            if opened == depth:
                return FAILED
            put_int(work, GROUPS_AT + opened, tag >> 3)
            opened += 1
        elif kind == END_GROUP:
            opened -= 1
            if get_int(work, GROUPS_AT + opened) != tag >> 3:
                return FAILED
            if opened == 0:
                return pos
        else:
            pos = _skip_plain(buf, pos, end, tag)
            if pos < 0:
                return FAILED
        tag, pos = read_any_tag(buf, pos, end)
        if pos < 0:
            return FAILED


@kernel
def _skip_plain(buf: Address, pos: int, end: int, tag: int) -> int:
    kind = tag & 7
    if kind == DELIMITED:
        length, pos = read_length(buf, pos, end)
        return pos + length if pos >= 0 else FAILED
    if kind == VARINT:
        _, pos = read_varint(buf, pos, end)
        return pos
    width = 8 if kind == FIXED64 else 4
    if (kind != FIXED64 and kind != FIXED32) or end - pos < width:
        return FAILED
    return pos + width
