"""Decodes requests whose memory ends where the process may not read: any step too far kills it.

Run as a process: `python -m tests.unit.collector.kernels.guard_pages SEED CASES [break]`. Requests lie once
right before and once right after a page without access, and so does every table that the kernels write.
With `break` it takes the forbidden step itself, to show that the guard bites.
"""

import ctypes
import mmap
import sys

import numpy as np

from services.collector.decode import Decoder, fresh_secrets
from services.collector.errors import Undecodable
from services.collector.kernels.machine import Words
from services.collector.model import U8
from tests.unit.collector.kernels.differential import cases, differences
from tests.unit.collector.kernels.walk import expected

_PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)


def guarded_bytes(size: int, *, at_end: bool) -> U8:
    """Memory of `size` bytes with a page without access before and after it, touching one of them."""
    pages = max(1, -(-size // _PAGE))
    region = np.frombuffer(mmap.mmap(-1, (pages + 2) * _PAGE), np.uint8)
    for page in (0, pages + 1):
        place = ctypes.c_void_p(region.ctypes.data + page * _PAGE)
        assert _LIBC.mprotect(place, ctypes.c_size_t(_PAGE), 0) == 0
    start = (pages + 1) * _PAGE - size if at_end else _PAGE
    return region[start : start + size]


def guarded_words(shape: tuple[int, ...]) -> Words:
    """As `guarded_bytes`, at the end, for the tables that kernels write; every other word is set."""
    words = guarded_bytes(8 * int(np.prod(shape)), at_end=True).view(np.uint64).reshape(shape)
    words.fill(np.uint64(0xDEADBEEFDEADBEEF))
    return words


def outcome(decoder: Decoder, raw: bytes, *, at_end: bool) -> object:
    """The columns, or None when refused."""
    place = guarded_bytes(len(raw), at_end=at_end)
    place[:] = np.frombuffer(raw, np.uint8)
    place.flags.writeable = False
    try:
        return decoder.decode_array(raw, place)
    except Undecodable:
        return None


def main(seed: int, count: int, *, take_the_step: bool) -> None:
    if take_the_step:
        place = guarded_bytes(100, at_end=True)
        ctypes.string_at(place.ctypes.data + 99, 2)
    decoder = Decoder(fresh_secrets(), allocate=guarded_words)
    done = 0
    for raw in cases(seed, count):
        wanted = expected(raw)
        for at_end in (True, False):
            lines = differences(wanted, outcome(decoder, raw, at_end=at_end))
            assert not lines, (raw.hex(), lines)
        done += 1
    print(f"{done} requests, no step beyond their memory")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), take_the_step="break" in sys.argv[3:])
