"""The log in memory: what tests and `--fake` use, held to the same contract as JetStream.

Shipped, not a test double: it has the duplicate window, the fences and the limits of the real
one, with time from the clock. Nothing survives the process. Faults can be ordered
(`fail_next_appends`), since what a service does without its log is half of its behaviour.
"""

from dataclasses import dataclass, field

from services.common.clock import Clock
from services.common.errors import Aborted, InvalidArgument, NotFound, Unavailable
from services.common.hints import Hint, wait_for_hint
from services.common.kv_memory import MemoryKeyValue
from services.common.log_port import MAX_RECORD_BYTES, MSG_ID_HEADER, Ack, Entry, StreamState
from services.common.request_reply_memory import MemoryRequestReply
from services.common.streams import DUPLICATE_WINDOW_NS, STREAMS, check_subject
from services.common.work_queue_memory import MemoryWorkQueue


@dataclass(slots=True)
class _Stream:
    prefix: str
    created_ns: int
    entries: list[Entry] = field(default_factory=list)  # entries[i].seq == i + 1, never deleted
    ids: dict[str, Entry] = field(default_factory=dict)
    last_by_subject: dict[str, Entry] = field(default_factory=dict)
    bytes: int = 0
    hint: Hint = field(default_factory=Hint)


class MemoryLog:
    """`Log` in memory, with every stream of `streams.STREAMS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: list[bool] = []
        self._full = False
        self._streams = {
            spec.name: _Stream(spec.subjects.removesuffix(">"), clock.now_ns()) for spec in STREAMS
        }

    def fail_next_appends(self, n: int, *, stored: bool = False) -> None:
        """Let the next `n` appends raise Unavailable (LOG_UNAVAILABLE), with the record stored
        or not: the caller cannot know which."""
        self._failures += [stored] * n

    def set_full(self, full: bool) -> None:
        """While full, every append raises Unavailable (LOG_FULL)."""
        self._full = full

    async def append(
        self,
        stream: str,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        expect_last_subject_seq: int | None = None,
        timeout_s: float = 5.0,
    ) -> Ack:
        """See `Log.append`; an ordered fault comes at once, not after `timeout_s`."""
        held = self._stream_of(stream, subject, timeout_s)
        if len(data) > MAX_RECORD_BYTES:
            raise InvalidArgument(
                f"a record of {len(data)} bytes is larger than the log takes", reason="RECORD_TOO_LARGE"
            )
        if self._full:
            raise Unavailable(f"{stream} is full", reason="LOG_FULL", retry_after_s=5.0)
        stored = self._failures.pop(0) if self._failures else None
        if stored is False:
            raise _unavailable(stream, timeout_s)
        ack = self._store(held, subject, bytes(data), msg_id, expect_last_subject_seq)
        if stored:
            raise _unavailable(stream, timeout_s)
        return ack

    async def read(
        self,
        stream: str,
        from_seq: int,
        *,
        max_messages: int = 1000,
        max_bytes: int = 8 << 20,
        wait_s: float = 0.0,
    ) -> list[Entry]:
        """See `Log.read`."""
        if stream not in self._streams:
            raise _unavailable(stream, wait_s)
        held = self._known(stream)
        deadline_ns = self._clock.monotonic_ns() + round(wait_s * 1e9)
        while True:
            ticket = held.hint.ticket
            entries = _slice(held.entries, max(from_seq, 1), max_messages, max_bytes)
            left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
            if entries or left_s <= 0:
                return entries
            await wait_for_hint(ticket, left_s, self._clock)

    async def last_seq(self, stream: str) -> int:
        """See `Log.last_seq`."""
        return len(self._known(stream).entries)

    async def first_seq(self, stream: str) -> int:
        """See `Log.first_seq`."""
        return (await self.stream_info(stream)).first_seq

    async def last_entry(self, stream: str, subject: str) -> Entry | None:
        """See `Log.last_entry`."""
        return self._known(stream).last_by_subject.get(subject)

    async def stream_info(self, stream: str) -> StreamState:
        """See `Log.stream_info`."""
        held = self._known(stream)
        return StreamState(1, len(held.entries), len(held.entries), held.bytes, held.created_ns)

    def _known(self, stream: str) -> _Stream:
        if stream not in self._streams:
            raise NotFound(f"there is no stream {stream}", reason="STREAM_NOT_FOUND")
        return self._streams[stream]

    def _stream_of(self, stream: str, subject: str, timeout_s: float) -> _Stream:
        check_subject(subject)
        if not any(subject.startswith(held.prefix) for held in self._streams.values()):
            raise _unavailable(subject, timeout_s)  # nobody listens: the same as a lost server
        held = self._known(stream)
        if not subject.startswith(held.prefix):
            raise InvalidArgument(f"{subject} does not belong to {stream}", reason="WRONG_STREAM")
        return held

    def _store(self, held: _Stream, subject: str, data: bytes, msg_id: str, expected: int | None) -> Ack:
        now_ns = self._clock.now_ns()
        last = held.last_by_subject.get(subject)
        last_seq = 0 if last is None else last.seq
        if expected is not None and expected != last_seq:
            # As a single-node stream: the fence goes first, our own last record excepted.
            if last is not None and last.headers[MSG_ID_HEADER] == msg_id:
                return Ack(last.seq, duplicate=True)
            raise Aborted(
                f"another writer has written to {subject}",
                reason="FENCED",
                metadata={"last_subject_seq": str(last_seq)},
            )
        known = held.ids.get(msg_id)
        if known is not None and now_ns - known.time_ns <= DUPLICATE_WINDOW_NS:
            return Ack(known.seq, duplicate=True)
        entry = Entry(len(held.entries) + 1, subject, now_ns, data, {MSG_ID_HEADER: msg_id})
        held.entries.append(entry)
        held.ids[msg_id] = entry
        held.last_by_subject[subject] = entry
        held.bytes += len(data)
        held.hint.notify()
        return Ack(entry.seq, duplicate=False)


class MemoryEngine:
    """`Engine` in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: dict[str, MemoryWorkQueue] = {}
        self.log = MemoryLog(clock)
        self.kv = MemoryKeyValue(clock)
        self.questions = MemoryRequestReply()

    async def queue(self, stream: str, consumer: str, *, ack_wait_s: float = 30.0) -> MemoryWorkQueue:
        """See `Engine.queue`."""
        name = f"{stream}/{consumer}"
        if name not in self._queues:
            self._queues[name] = MemoryWorkQueue(self._clock, ack_wait_s=ack_wait_s)
        return self._queues[name]

    async def probe(self) -> None:
        """See `Engine.probe`."""

    async def close(self) -> None:
        """See `Engine.close`."""


def _slice(entries: list[Entry], from_seq: int, max_messages: int, max_bytes: int) -> list[Entry]:
    taken: list[Entry] = []
    size = 0
    for entry in entries[from_seq - 1 : from_seq - 1 + max_messages]:
        size += len(entry.data)
        if taken and size > max_bytes:
            break
        taken.append(entry)
    return taken


def _unavailable(what: str, timeout_s: float) -> Unavailable:
    return Unavailable(f"the log did not answer for {what} within {timeout_s:g} s", reason="LOG_UNAVAILABLE")
