"""What services may ask of the log, the key-value store and the work queue.

The ports and their values, and nothing of any engine: adapters are `log_nats.py`, `kv.py`,
`work_queue.py` (JetStream) and the `*_memory.py` beside them, held to one contract suite each.
Import these names from `services.common.log`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

MSG_ID_HEADER = "Nats-Msg-Id"
# The server's limit of 8 MiB counts headers too, and it cuts the connection of who exceeds it.
MAX_RECORD_BYTES = (8 << 20) - 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the log holds it. `time_ns` is the server's append time, Unix nanoseconds."""

    seq: int
    subject: str
    time_ns: int
    data: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ack:
    """The log has the record at `seq`; `duplicate` when it had it before this call."""

    seq: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream stands. An empty stream has `first_seq == last_seq + 1`.

    `created_ns` (Unix nanoseconds) is the stream's incarnation: sequences of two incarnations
    have nothing to do with each other.
    """

    first_seq: int
    last_seq: int
    messages: int
    bytes: int
    created_ns: int


class Log(Protocol):
    """Durable, ordered streams, addressed by sequence."""

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
        """Append one record; returning means that it is durable.

        MUST retry unknown outcomes with the same `msg_id` until `timeout_s`, and MUST store a
        `msg_id` once within the stream's duplicate window (2 minutes), also over retries by the
        caller. With `expect_last_subject_seq` the record is stored only if the subject's last
        sequence is that one (0 = the subject is empty).

        Raises:
            Unavailable: LOG_UNAVAILABLE, outcome unknown: it may still be stored later.
                LOG_FULL, not stored.
            Aborted: FENCED, the subject's last sequence is another.
            InvalidArgument: RECORD_TOO_LARGE, WRONG_STREAM, BAD_SUBJECT.
        """
        ...

    async def read(
        self,
        stream: str,
        from_seq: int,
        *,
        max_messages: int = 1000,
        max_bytes: int = 8 << 20,
        wait_s: float = 0.0,
    ) -> list[Entry]:
        """Entries from `from_seq` on, in order, without a hole (deleted sequences are skipped).

        Waits up to `wait_s` for the first and answers [] when there is none. May be shorter than
        what is there; holds at least one entry when there is one, even one larger than
        `max_bytes`. On a replicated stream a follower may answer, which lags but has no hole.

        Raises:
            Unavailable: LOG_UNAVAILABLE (also for a stream that nobody declared); read again.
        """
        ...

    async def last_seq(self, stream: str) -> int:
        """The last sequence given out, 0 for a new stream."""
        ...

    async def first_seq(self, stream: str) -> int:
        """The first sequence still held; last_seq + 1 for an empty stream."""
        ...

    async def last_entry(self, stream: str, subject: str) -> Entry | None:
        """The last entry of one subject (no wildcards), as the stream's leader has it."""
        ...

    async def stream_info(self, stream: str) -> StreamState:
        """Where the stream stands.

        Raises:
            NotFound: STREAM_NOT_FOUND.
            Unavailable: LOG_UNAVAILABLE.
        """
        ...


@dataclass(frozen=True, slots=True)
class KvEntry:
    """A key's value. `revision` rises with every write to the bucket, also over deletes."""

    value: bytes
    revision: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class KvChange:
    """One change that a watcher sees; `value` is None when the key was deleted."""

    key: str
    value: bytes | None
    revision: int


class KeyValue(Protocol):
    """Small state with compare-and-set. A read proves no ownership; only a CAS write does.

    Keys: `[-/_=.a-zA-Z0-9]+`, neither starting nor ending with a dot. Every call raises
    Unavailable (LOG_UNAVAILABLE) when the store does not answer within 5 s.
    """

    async def get(self, bucket: str, key: str) -> KvEntry | None:
        """The current value, or None."""
        ...

    async def create(self, bucket: str, key: str, value: bytes, *, ttl_s: int | None = None) -> int:
        """Write a key that must not exist; its revision. With `ttl_s` (whole seconds) it
        disappears by itself.

        Raises:
            AlreadyExists: KEY_EXISTS.
        """
        ...

    async def update(
        self, bucket: str, key: str, value: bytes, *, revision: int, ttl_s: int | None = None
    ) -> int:
        """Replace the value of exactly this revision. Without `ttl_s` the key becomes permanent.

        Raises:
            Aborted: FENCED, the key has another revision or is gone.
        """
        ...

    async def put(self, bucket: str, key: str, value: bytes) -> int:
        """Write whatever was there; the new revision."""
        ...

    async def delete(self, bucket: str, key: str, *, revision: int | None = None) -> None:
        """Delete; nothing happens when the key is not there.

        Raises:
            Aborted: FENCED, `revision` was given and is not the current one.
        """
        ...

    async def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys that start with `prefix`, sorted; on a replicated store it may lag."""
        ...

    def watch(self, bucket: str, prefix: str = "") -> AsyncIterator[KvChange]:
        """The current keys, then every change, in revision order. Changes that follow each
        other closely may be seen as the last one only; expiry by ttl is not reported."""
        ...


class Job(Protocol):
    """One delivery of one piece of work. Exactly one of ack, retry and drop ends it."""

    @property
    def subject(self) -> str:
        """Where it was published."""
        ...

    @property
    def data(self) -> bytes:
        """What was published."""
        ...

    @property
    def deliveries(self) -> int:
        """How often it was handed out, this time included (1 = first)."""
        ...

    async def ack(self) -> None:
        """Done; it is removed once this returns."""
        ...

    async def retry(self, delay_s: float) -> None:
        """Not now; it comes again after `delay_s`."""
        ...

    async def drop(self, reason: str) -> None:
        """Never again; it is removed. The reason is for the caller's own records."""
        ...

    async def in_progress(self) -> None:
        """Still working: the time until redelivery starts anew."""
        ...


class WorkQueue(Protocol):
    """Work that is handed out at least once until somebody acknowledges it."""

    async def publish(self, subject: str, data: bytes, *, msg_id: str, timeout_s: float = 5.0) -> Ack:
        """Add work; errors as `Log.append`."""
        ...

    async def fetch(self, n: int, *, wait_s: float) -> Sequence[Job]:
        """Up to `n` jobs, waiting up to `wait_s` for the first; [] when there is none.

        Raises:
            Unavailable: LOG_UNAVAILABLE.
        """
        ...


class Engine(Protocol):
    """The log engine as a service gets it from its composition root."""

    @property
    def log(self) -> Log:
        """The streams."""
        ...

    @property
    def kv(self) -> KeyValue:
        """The buckets."""
        ...

    async def queue(self, stream: str, consumer: str, *, ack_wait_s: float = 30.0) -> WorkQueue:
        """The work queue of a stream; every worker of one kind uses the same consumer name."""
        ...

    async def probe(self) -> None:
        """Return when the engine answers now, raise Unavailable otherwise (health probes)."""
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...
