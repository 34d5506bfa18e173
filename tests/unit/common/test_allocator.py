"""Freed blocks are kept: asking again maps no new pages."""

import resource
import subprocess
import sys

import pytest

_WORK = """
import resource
from services.common.allocator import keep_large_blocks
if {keep}:
    assert keep_large_blocks()
block = bytes(4 << 20)
del block
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = bytearray(b"x") * (4 << 20)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, keep: bool) -> int:
    """Page faults of twenty blocks of 4 MB, one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", _WORK.format(keep=keep)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_large_blocks_come_from_memory_that_is_there() -> None:
    pages = (4 << 20) // resource.getpagesize()
    assert faults(keep=True) < 2 * pages
