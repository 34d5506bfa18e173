"""Hashes of bytes and of sets of attributes: the keys under which series are remembered.

Two 64-bit hashes are computed side by side over the same bytes, with different secrets: `a` is looked
up, `b` tells two series with one `a` apart. The secrets are drawn once per process, so that nobody
outside can make hashes meet; the hashes are never stored and mean nothing to another process.

A set of attributes is the sum of the hashes of its members, so their order does not matter. When a key
occurs twice it does (the last one wins), and so does it beyond KEY_LIMIT attributes, where nobody looks
for repeated keys: then the weighted sum, which knows the order, counts instead. Two different encodings
of one series may therefore get two hashes; two different series never share both, but for chance (2**-128).
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import (
    Address,
    fold,
    get_int,
    get_word,
    load_byte,
    load_half,
    load_word,
    put_int,
    put_word,
)
from services.collector.kernels.memory import KEY_LIMIT, KEY_WIDTH, KEYS_AT, SECRETS_AT, SUMS, SUMS_AT

LEVEL_RESOURCE, LEVEL_SCOPE, LEVEL_POINT = range(3)

SET_A, SET_B, LIST_A, LIST_B, REST_A, REST_B, MEMBERS, ORDERED = range(SUMS)

SECRET_MASK = SECRETS_AT + 7
"""The last secret is no secret: a mask over `a`, all ones but in tests that need collisions."""


@kernel
def hash_bytes(buf: Address, pos: int, end: int, work: Address) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Both hashes of the bytes, and the bitwise or of their words (a high bit: not ASCII)."""
    a = get_word(work, 0) ^ np.uint64(end - pos)
    b = get_word(work, 1) ^ np.uint64(end - pos)
    secret_a, secret_b = get_word(work, 2), get_word(work, 3)
    seen = np.uint64(0)
    start = pos
    while end - pos >= 16:
        left, right = load_word(buf, pos), load_word(buf, pos + 8)
        seen |= left | right
        a = fold(left ^ secret_a, right ^ a)
        b = fold(left ^ secret_b, right ^ b)
        pos += 16
    left, right = np.uint64(0), np.uint64(0)
    if end - start >= 8:
        # The last 8 bytes may have been hashed in part already; the length makes that unambiguous.
        right = load_word(buf, end - 8)
        if end - pos > 8:
            left = load_word(buf, pos)
    else:
        for place in range(start, end):
            right = right << np.uint64(8) | np.uint64(load_byte(buf, place))
    seen |= left | right
    return fold(left ^ get_word(work, 4), right ^ a), fold(left ^ get_word(work, 5), right ^ b), seen


@kernel
def begin_set(work: Address, level: int) -> None:
    """Forget the attributes of `level`."""
    for place in range(SUMS):
        put_word(work, SUMS_AT + level * SUMS + place, np.uint64(0))


@kernel
def add_member(
    buf: Address, key: int, length: int, a: np.uint64, b: np.uint64, work: Address, level: int
) -> None:
    """Add an attribute with the hashes `a` and `b`, whose key is at `key`."""
    sums = SUMS_AT + level * SUMS
    count = get_int(work, sums + MEMBERS)
    weight = np.uint64(2 * count + 1)
    put_word(work, sums + SET_A, get_word(work, sums + SET_A) + a)
    put_word(work, sums + SET_B, get_word(work, sums + SET_B) + b)
    put_word(work, sums + LIST_A, get_word(work, sums + LIST_A) + a * weight)
    put_word(work, sums + LIST_B, get_word(work, sums + LIST_B) + b * weight)
    put_int(work, sums + MEMBERS, count + 1)
    if count >= KEY_LIMIT or _known_key(buf, key, length, work, level, count):
        put_int(work, sums + ORDERED, 1)


@kernel
def _known_key(buf: Address, key: int, length: int, work: Address, level: int, count: int) -> bool:
    """Whether one of the first `count` keys has the same bytes; remembers the key."""
    digest = np.uint64(length)
    if length >= 8:
        digest += load_word(buf, key) ^ (load_word(buf, key + length - 8) << np.uint64(3))
    elif length >= 4:
        digest += load_half(buf, key) ^ (load_half(buf, key + length - 4) << np.uint64(31))
    else:
        for place in range(key, key + length):
            digest = digest << np.uint64(8) | np.uint64(load_byte(buf, place))
    keys = KEYS_AT + level * KEY_LIMIT * KEY_WIDTH
    put_word(work, keys + count * KEY_WIDTH, digest)
    put_int(work, keys + count * KEY_WIDTH + 1, key)
    put_int(work, keys + count * KEY_WIDTH + 2, length)
    for other in range(keys, keys + count * KEY_WIDTH, KEY_WIDTH):
        if get_word(work, other) == digest and get_int(work, other + 2) == length:
            at = get_int(work, other + 1)
            same = 0
            while same < length and load_byte(buf, key + same) == load_byte(buf, at + same):
                same += 1
            if same == length:
                return True
    return False


@kernel
def add_rest(buf: Address, pos: int, end: int, kind: int, work: Address, level: int) -> None:
    """Add bytes whose order matters: a field, no attribute, of a message of this kind."""
    rest = SUMS_AT + level * SUMS + REST_A
    a, b, _ = hash_bytes(buf, pos, end, work)
    put_word(work, rest, join(get_word(work, rest), a + np.uint64(kind), work))
    put_word(work, rest + 1, join(get_word(work, rest + 1), b + np.uint64(kind), work))


@kernel
def end_set(work: Address, level: int, outer_a: np.uint64, outer_b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The hashes of all that was added at `level`, joined with those of what is around it."""
    sums = SUMS_AT + level * SUMS
    members = get_word(work, sums + MEMBERS)
    a, b = get_word(work, sums + SET_A), get_word(work, sums + SET_B)
    if get_int(work, sums + ORDERED) != 0:
        a, b = get_word(work, sums + LIST_A), get_word(work, sums + LIST_B)
    a = join(join(a, outer_a, work), get_word(work, sums + REST_A) + members, work)
    b = join(join(b, outer_b, work), get_word(work, sums + REST_B) + members, work)
    return a, b


@kernel
def join(left: np.uint64, right: np.uint64, work: Address) -> np.uint64:
    """One hash of two; `join(x, y)` is not `join(y, x)`."""
    return fold(left ^ get_word(work, 4), right ^ get_word(work, 6))
