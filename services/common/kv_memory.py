"""Key-value buckets in memory, held to the same contract as `kv.py`; see `log_memory.py`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.common.clock import Clock
from services.common.errors import Aborted, AlreadyExists
from services.common.hints import Hint, wait_for_hint
from services.common.kv import check_key
from services.common.log_port import KvChange, KvEntry

_WATCH_S = 5.0


@dataclass(frozen=True, slots=True)
class _Held:
    value: bytes | None  # None = deleted
    revision: int
    expires_ns: int | None


@dataclass(slots=True)
class _Bucket:
    keys: dict[str, _Held] = field(default_factory=dict)
    revision: int = 0
    hint: Hint = field(default_factory=Hint)


class MemoryKeyValue:
    """`KeyValue` in memory; time to live is judged on the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    async def get(self, bucket: str, key: str) -> KvEntry | None:
        """See `KeyValue.get`."""
        held = self._live(bucket, key)
        if held is None or held.value is None:
            return None
        return KvEntry(held.value, held.revision, key)

    async def create(self, bucket: str, key: str, value: bytes, *, ttl_s: int | None = None) -> int:
        """See `KeyValue.create`."""
        if await self.get(bucket, key) is not None:
            raise AlreadyExists(f"{bucket} has {key}", reason="KEY_EXISTS")
        return self._write(bucket, key, value, ttl_s)

    async def update(
        self, bucket: str, key: str, value: bytes, *, revision: int, ttl_s: int | None = None
    ) -> int:
        """See `KeyValue.update`."""
        self._check_revision(bucket, key, revision)
        return self._write(bucket, key, value, ttl_s)

    async def put(self, bucket: str, key: str, value: bytes) -> int:
        """See `KeyValue.put`."""
        check_key(key)
        return self._write(bucket, key, value, None)

    async def delete(self, bucket: str, key: str, *, revision: int | None = None) -> None:
        """See `KeyValue.delete`."""
        if revision is not None:
            self._check_revision(bucket, key, revision)
        elif await self.get(bucket, key) is None:
            return
        self._write(bucket, key, None, None)

    async def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """See `KeyValue.keys`."""
        names = sorted(name for name in self._bucket(bucket).keys if name.startswith(prefix))
        return [name for name in names if await self.get(bucket, name) is not None]

    async def watch(self, bucket: str, prefix: str = "") -> AsyncIterator[KvChange]:
        """See `KeyValue.watch`."""
        held, seen = self._bucket(bucket), 0
        while True:
            ticket = held.hint.ticket
            for revision, key, value in self._changes(bucket, prefix, seen):
                seen = revision
                yield KvChange(key, value, revision)
            await wait_for_hint(ticket, _WATCH_S, self._clock)

    def _changes(self, bucket: str, prefix: str, seen: int) -> list[tuple[int, str, bytes | None]]:
        names = [name for name in self._bucket(bucket).keys if name.startswith(prefix)]
        live = [(name, held) for name in names if (held := self._live(bucket, name)) is not None]
        return sorted((held.revision, name, held.value) for name, held in live if held.revision > seen)

    def _bucket(self, bucket: str) -> _Bucket:
        return self._buckets.setdefault(bucket, _Bucket())

    def _live(self, bucket: str, key: str) -> _Held | None:
        check_key(key)
        held = self._bucket(bucket).keys.get(key)
        expired = held is not None and held.expires_ns is not None
        if held is not None and expired and (held.expires_ns or 0) <= self._clock.now_ns():
            return None
        return held

    def _check_revision(self, bucket: str, key: str, revision: int) -> None:
        held = self._live(bucket, key)
        current = 0 if held is None else held.revision
        if current != revision:
            raise Aborted(
                f"{bucket}/{key} has another revision",
                reason="FENCED",
                metadata={"last_subject_seq": str(current)},
            )

    def _write(self, bucket: str, key: str, value: bytes | None, ttl_s: int | None) -> int:
        held = self._bucket(bucket)
        held.revision += 1
        expires_ns = None if ttl_s is None else self._clock.now_ns() + ttl_s * 1_000_000_000
        held.keys[key] = _Held(value, held.revision, expires_ns)
        held.hint.notify()
        return held.revision
