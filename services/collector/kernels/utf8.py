"""Whether bytes are UTF-8: proto3 refuses strings that are not. Nothing else is known here.

Source: the Unicode Standard, table 3-7 (well-formed UTF-8 byte sequences): no overlong forms, no
surrogates, nothing beyond U+10FFFF.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import Address, load_byte, load_word

HIGH_BITS = np.uint64(0x8080808080808080)


@kernel
def valid_utf8(buf: Address, pos: int, end: int) -> bool:
    """True when `buf[pos:end]` is well-formed."""
    while pos < end:
        if end - pos >= 8 and load_word(buf, pos) & HIGH_BITS == 0:
            pos += 8
            continue
        lead = load_byte(buf, pos)
        if lead < 0x80:
            pos += 1
            continue
        more = _continuations(buf, pos, end, lead)
        if more == 0:
            return False
        pos += 1 + more
    return True


@kernel
def _continuations(buf: Address, pos: int, end: int, lead: int) -> int:
    """How many bytes follow `lead` in a well-formed sequence at `pos`; 0: it is not one."""
    more = 0
    low, high = 0x80, 0xBF
    if 0xC2 <= lead <= 0xDF:
        more = 1
    elif 0xE0 <= lead <= 0xEF:
        more = 2
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    elif 0xF0 <= lead <= 0xF4:
        more = 3
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    if more == 0 or end - pos <= more:
        return 0
    second = load_byte(buf, pos + 1)
    if second < low or second > high:
        return 0
    for place in range(pos + 2, pos + 1 + more):
        if load_byte(buf, place) & 0xC0 != 0x80:
            return 0
    return more
