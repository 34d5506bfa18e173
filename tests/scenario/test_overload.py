"""More than the collector can take, for some seconds: memory, refusals, nothing lost.

What `python -m tests.bench overload` shows at length; latency is left to it, as the machine is shared here.
"""

from pathlib import Path

import pytest

from tests.bench.bench_overload import overload

pytestmark = pytest.mark.engines

_MEMORY_MB = 1024


async def test_three_times_the_load_is_refused_in_good_order_within_the_memory(tmp_path: Path) -> None:
    for times in (3.0, 9.0):
        path = tmp_path / f"{times:g}"
        found = await overload(
            path, seconds=6.0, times=times, closed_s=3.0, warm_s=3.0, apart=False, memory_mb=_MEMORY_MB
        )
        # The second only where the machine was much slower while it was asked how much it takes.
        if found.over.refusals:
            break

    over, stored = found.over, found.stored
    assert over.refusals, "it was more than could be taken"
    assert over.acknowledged, "and some of it was taken"
    assert all(why.startswith(("UNAVAILABLE ", "HTTP 503 ")) for why in over.refusals), over.refusals
    assert over.without_delay == 0, over.refusals
    assert over.resident_mb < _MEMORY_MB
    assert (stored.missing, stored.doubled, stored.wrong) == (0, 0, 0)
