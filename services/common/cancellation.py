"""A cancelled task must end, also when a library on the way swallows the cancellation.

nats-py does while it flushes, and `asyncio.wait_for` of Python 3.11 (in nats-py and redis-py too) when the
answer is already there (https://github.com/python/cpython/issues/86296). Most cancellations of a task that
talks to the log were lost to them: a leader that lost its lease would have worked on, and a process that was
asked to stop would have waited for ever. Our own code takes `asyncio.timeout`; ruff bans `wait_for`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heard_cancellation() -> Iterator[None]:
    """Raise CancelledError at the end of the block when its task was cancelled within, whatever came of it.

    For calls of a library; a block that handles the cancellation of its own task is not one for this.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
