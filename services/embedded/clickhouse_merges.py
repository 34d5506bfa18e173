"""Merges come last on the cores that they share with whoever waits for an answer.

At nice 0 they made the collector beside them answer up to 0.7 s late under load, at 19 they still keep up
(tests/bench/bench_overload.py, bench_soak.py). The engine's own setting for this does nothing without
CAP_SYS_NICE, though any process may lower the priority of its own threads (setpriority(2)). Linux only:
elsewhere nothing changes.
"""

import os
import threading
import time
from pathlib import Path

NICE = 19
_THREAD = "MergeMutate"
_LOOK_S = 0.5


def merges_last() -> int:
    """Lower the priority of the engine's threads that merge; how many there are, 0 before its first table."""
    found = 0
    try:
        for thread in Path("/proc/self/task").iterdir():
            if (thread / "comm").read_text().rstrip() == _THREAD:
                os.setpriority(os.PRIO_PROCESS, int(thread.name), NICE)
                found += 1
    except OSError:
        return found  # no such directory here, or a thread that has just ended
    return found


def start_merging_last() -> None:
    """Do it as soon as the engine has such threads, beside everything else; they stay until its end."""
    threading.Thread(target=_until_found, name="merges-last", daemon=True).start()


def _until_found() -> None:
    while Path("/proc/self/task").exists() and not merges_last():
        time.sleep(_LOOK_S)
    # The first was seen while the others were about to start.
    time.sleep(_LOOK_S)
    merges_last()
