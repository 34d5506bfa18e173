"""Work queues in memory, held to the same contract as `work_queue.py`; see `log_memory.py`."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from services.common.clock import Clock
from services.common.hints import Hint, wait_for_hint
from services.common.log_port import Ack
from services.common.streams import DUPLICATE_WINDOW_NS

_LOOK_AGAIN_S = 0.2


@dataclass(slots=True)
class _Work:
    seq: int
    subject: str
    data: bytes
    due_ns: int
    deliveries: int = 0


class MemoryWorkQueue:
    """`WorkQueue` in memory; redelivery is judged on the clock."""

    def __init__(self, clock: Clock, *, ack_wait_s: float = 30.0) -> None:
        self._clock = clock
        self._ack_wait_ns = round(ack_wait_s * 1e9)
        self._work: dict[int, _Work] = {}
        self._ids: dict[str, tuple[int, int]] = {}
        self._seqs = itertools.count(1)
        self._hint = Hint()

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        timeout_s: float = 5.0,  # noqa: ARG002 - it answers at once
    ) -> Ack:
        """See `WorkQueue.publish`."""
        now_ns = self._clock.now_ns()
        known = self._ids.get(msg_id)
        if known is not None and now_ns - known[1] <= DUPLICATE_WINDOW_NS:
            return Ack(known[0], duplicate=True)
        seq = next(self._seqs)
        self._ids[msg_id] = (seq, now_ns)
        self._work[seq] = _Work(seq, subject, bytes(data), now_ns)
        self._hint.notify()
        return Ack(seq, duplicate=False)

    async def fetch(self, n: int, *, wait_s: float) -> Sequence["MemoryJob"]:
        """See `WorkQueue.fetch`."""
        deadline_ns = self._clock.monotonic_ns() + round(wait_s * 1e9)
        while True:
            ticket = self._hint.ticket
            now_ns = self._clock.now_ns()
            due = [work for work in self._work.values() if work.due_ns <= now_ns][:n]
            left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
            if due or left_s <= 0:
                return [self._hand_out(work, now_ns) for work in due]
            await wait_for_hint(ticket, min(left_s, _LOOK_AGAIN_S), self._clock)

    def _hand_out(self, work: _Work, now_ns: int) -> "MemoryJob":
        work.deliveries += 1
        work.due_ns = now_ns + self._ack_wait_ns
        return MemoryJob(self, work)

    def _remove(self, seq: int) -> None:
        self._work.pop(seq, None)

    def _postpone(self, seq: int, delay_s: float) -> None:
        if seq in self._work:
            self._work[seq].due_ns = self._clock.now_ns() + round(delay_s * 1e9)
            self._hint.notify()


class MemoryJob:
    """`Job` in memory."""

    def __init__(self, queue: MemoryWorkQueue, work: _Work) -> None:
        self._queue = queue
        self._seq = work.seq
        self.subject = work.subject
        self.data = work.data
        self.deliveries = work.deliveries

    async def ack(self) -> None:
        """See `Job.ack`."""
        self._queue._remove(self._seq)

    async def retry(self, delay_s: float) -> None:
        """See `Job.retry`."""
        self._queue._postpone(self._seq, delay_s)

    async def drop(self, reason: str) -> None:  # noqa: ARG002 - recorded by the caller
        """See `Job.drop`."""
        self._queue._remove(self._seq)

    async def in_progress(self) -> None:
        """See `Job.in_progress`."""
        self._queue._postpone(self._seq, self._queue._ack_wait_ns / 1e9)
