"""One attribute (a KeyValue): valid or not, and its share in the hash of the set that it is in.

Nearly every attribute in the world is an ASCII key with an ASCII string, shorter than 128 bytes in
all; those take the short way, which looks at each byte once. Everything else goes through `messages.py`,
as do the other fields of what has attributes (`rest_field`).
"""

from services.collector.kernels._jit import kernel
from services.collector.kernels.hashing import add_member, add_rest, hash_bytes
from services.collector.kernels.machine import Address, load_byte
from services.collector.kernels.messages import check_field, check_message
from services.collector.kernels.schema import KEY_VALUE
from services.collector.kernels.skip import skip_value
from services.collector.kernels.utf8 import HIGH_BITS
from services.collector.kernels.wire import FAILED, read_length, read_tag

_KEY, _VALUE, _STRING = 0x0A, 0x12, 0x0A


@kernel
def add_attribute(buf: Address, pos: int, end: int, depth: int, work: Address, level: int) -> int:
    """Check the attribute in `buf[pos:end]` and add it to the set of `level`; `end` or FAILED."""
    a, b, seen = hash_bytes(buf, pos, end, work)
    if seen & HIGH_BITS == 0 and _plain(buf, pos, end):
        add_member(buf, pos + 2, load_byte(buf, pos + 1), a, b, work, level)
        return end
    if check_message(buf, pos, end, KEY_VALUE, depth, work) < 0:
        return FAILED
    key, length = _find_key(buf, pos, end, depth, work)
    add_member(buf, key, length, a, b, work, level)
    return end


@kernel
def _plain(buf: Address, pos: int, end: int) -> bool:
    """Whether bytes below 0x80 are exactly one key and one string value."""
    if end - pos < 6 or load_byte(buf, pos) != _KEY:
        return False
    value = pos + 2 + load_byte(buf, pos + 1)
    if end - value < 4 or load_byte(buf, value) != _VALUE or load_byte(buf, value + 2) != _STRING:
        return False
    return load_byte(buf, value + 1) == end - value - 2 and load_byte(buf, value + 3) == end - value - 4


@kernel
def _find_key(buf: Address, pos: int, end: int, depth: int, work: Address) -> tuple[int, int]:
    """Where the key of a valid attribute is: the last one that it has."""
    key, length = pos, 0
    while pos < end:
        tag, pos = read_tag(buf, pos, end)
        if tag == _KEY:
            length, pos = read_length(buf, pos, end)
            key = pos
            pos += length
        else:
            pos = skip_value(buf, pos, end, tag, depth, work)
        if pos < 0:
            break
    return key, length


@kernel
def rest_field(
    buf: Address, start: int, pos: int, end: int, tag: int, kind: int, depth: int, work: Address, level: int
) -> int:
    """Check a field from `start` on that is no attribute, and hash it as it stands; the next position."""
    pos = check_field(buf, pos, end, tag, kind, depth, work)
    if pos >= 0:
        add_rest(buf, start, pos, kind, work, level)
    return pos
