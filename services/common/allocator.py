"""Memory of processes that handle megabytes again and again: glibc's malloc and Python's collector.

By default each block over 128 KiB is mapped from the kernel and given back when it is freed; a service that
receives such blocks all day spends a tenth of its time on fresh zeroed pages. Numbers: mallopt(3).
"""

import ctypes
import gc
import logging

_log = logging.getLogger(__name__)

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_MB = 1 << 20

_COLLECT_AFTER, _OLDER_AFTER = 50_000, 50


def keep_large_blocks(*, kept_bytes: int = 256 * _MB) -> bool:
    """Serve blocks up to 32 MB from the heap and keep up to `kept_bytes` of it when they are freed.

    Returns whether the C library took it; call it before any thread allocates.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library: its own ways are fine
    wanted = (
        (_ARENA_MAX, 2),
        (_MMAP_THRESHOLD, 32 * _MB),
        (_TRIM_THRESHOLD, kept_bytes),
        (_TOP_PAD, 16 * _MB),
    )
    taken = [bool(mallopt(option, value)) for option, value in wanted]
    _log.debug("malloc keeps large blocks: %s", taken)
    return all(taken)


def collect_rarely() -> None:
    """Look for garbage in cycles after tens of thousands of new objects, not after hundreds.

    What is alive when this is called (modules, settings) is never looked at again. Call it once the parts
    of a process are put together.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, _OLDER_AFTER, _OLDER_AFTER)
