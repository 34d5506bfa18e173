"""Whether messages are valid whose content nobody needs yet: resources, scopes, attributes, exemplars.

Driven by the table in `schema.py`, without recursion, so that the depth of what a sender nests costs
no stack.
"""

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import Address, get_int, put_int
from services.collector.kernels.memory import STACK_AT
from services.collector.kernels.schema import FIELD_LIMIT, FIELDS, OPAQUE, STRING
from services.collector.kernels.skip import skip_value
from services.collector.kernels.utf8 import valid_utf8
from services.collector.kernels.wire import DELIMITED, FAILED, read_length, read_tag


@kernel
def check_message(buf: Address, pos: int, end: int, kind: int, depth: int, work: Address) -> int:
    """`end`, or FAILED when `buf[pos:end]` is not a valid message of this kind.

    `depth` is how many levels may be opened inside it.
    """
    opened = 0
    while True:
        while pos == end:
            if opened == 0:
                return end
            opened -= 1
            depth += 1
            end, kind = get_int(work, STACK_AT + 2 * opened), get_int(work, STACK_AT + 2 * opened + 1)
        tag, pos = read_tag(buf, pos, end)
        if pos < 0:
            return FAILED
        if tag & 7 != DELIMITED:
            pos = skip_value(buf, pos, end, tag, depth, work)
        else:
            length, pos = read_length(buf, pos, end)
            content = content_of(kind, tag)
            if pos >= 0 and content > STRING:
                if depth == 0:
                    return FAILED
                put_int(work, STACK_AT + 2 * opened, end)
                put_int(work, STACK_AT + 2 * opened + 1, kind)
                opened += 1
                depth -= 1
                end, kind = pos + length, content
            elif pos >= 0:
                pos = check_text(buf, pos, pos + length, content)
        if pos < 0:
            return FAILED


@kernel
def check_field(buf: Address, pos: int, end: int, tag: int, kind: int, depth: int, work: Address) -> int:
    """The position after one field of a message of this kind whose tag was read, or FAILED."""
    if tag & 7 != DELIMITED:
        return skip_value(buf, pos, end, tag, depth, work)
    length, pos = read_length(buf, pos, end)
    if pos < 0:
        return FAILED
    content = content_of(kind, tag)
    if content <= STRING:
        return check_text(buf, pos, pos + length, content)
    if depth == 0:
        return FAILED
    return check_message(buf, pos, pos + length, content, depth - 1, work)


@kernel
def content_of(kind: int, tag: int) -> int:
    """What a delimited field of a message of this kind holds."""
    number = tag >> 3
    return FIELDS[kind, number] if number < FIELD_LIMIT else OPAQUE


@kernel
def check_text(buf: Address, pos: int, end: int, content: int) -> int:
    """`end`; FAILED when `content` is a string and the bytes are not UTF-8."""
    if content == STRING and not valid_utf8(buf, pos, end):
        return FAILED
    return end
