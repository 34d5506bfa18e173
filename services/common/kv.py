"""Key-value buckets on JetStream.

A bucket is a stream that keeps the last message of each subject. It is written here over plain
requests, because the client library's updates take no time to live (a renewed lease would become
permanent) and its key filter is a substring test.
"""

import itertools
import re
from collections.abc import AsyncIterator

from services.common.errors import Aborted, AlreadyExists, InvalidArgument
from services.common.log_nats import NatsHints, poll
from services.common.log_port import MSG_ID_HEADER, Entry, KvChange, KvEntry
from services.common.nats_api import EXPECT_SUBJECT_SEQ_HEADER, NatsApi
from services.common.streams import bucket_stream

_OPERATION_HEADER = "KV-Operation"
_TTL_HEADER = "Nats-TTL"
# A marker must outlive every watcher that has not seen it; a watcher that is away for longer
# starts anew from the current keys.
_MARKER_TTL_S = 3600
_PAGE = 1000
_WATCH_S = 5.0
_KEY = re.compile(r"[-/_=.a-zA-Z0-9]+")


class NatsKeyValue:
    """`KeyValue` on JetStream."""

    def __init__(self, api: NatsApi) -> None:
        self._api = api
        self._hints = NatsHints(api)
        # Unique per connection and call: lets a retry recognise its own earlier success.
        self._nonce = api.client.new_inbox()
        self._calls = itertools.count()

    async def get(self, bucket: str, key: str) -> KvEntry | None:
        """See `KeyValue.get`."""
        last = await self._api.last_message(bucket_stream(bucket), _subject(bucket, key))
        if last is None or _deleted(last):
            return None
        return KvEntry(last.data, last.seq, key)

    async def create(self, bucket: str, key: str, value: bytes, *, ttl_s: int | None = None) -> int:
        """See `KeyValue.create`."""
        expected = 0
        while True:
            try:
                return await self._write(bucket, key, value, expected=expected, ttl_s=ttl_s)
            except Aborted:
                last = await self._api.last_message(bucket_stream(bucket), _subject(bucket, key))
                if last is not None and not _deleted(last):
                    raise AlreadyExists(f"{bucket} has {key}", reason="KEY_EXISTS") from None
                expected = 0 if last is None else last.seq

    async def update(
        self, bucket: str, key: str, value: bytes, *, revision: int, ttl_s: int | None = None
    ) -> int:
        """See `KeyValue.update`."""
        return await self._write(bucket, key, value, expected=revision, ttl_s=ttl_s)

    async def put(self, bucket: str, key: str, value: bytes) -> int:
        """See `KeyValue.put`."""
        return await self._write(bucket, key, value)

    async def delete(self, bucket: str, key: str, *, revision: int | None = None) -> None:
        """See `KeyValue.delete`."""
        if revision is None and await self.get(bucket, key) is None:
            return
        await self._write(bucket, key, b"", expected=revision, ttl_s=_MARKER_TTL_S, operation="DEL")

    async def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """See `KeyValue.keys`."""
        stream, start, keys = bucket_stream(bucket), 1, []
        while entries := await self._scan(stream, start):
            keys += [_key(entry) for entry in entries if not _deleted(entry)]
            start = entries[-1].seq + 1
        # A key that was written while we paged shows twice.
        return sorted({key for key in keys if key.startswith(prefix)})

    async def watch(self, bucket: str, prefix: str = "") -> AsyncIterator[KvChange]:
        """See `KeyValue.watch`."""
        stream, start = bucket_stream(bucket), 1
        hint = await self._hints.of(stream)
        while True:
            entries = await poll(
                lambda: self._scan(stream, start),  # noqa: B023 - called before `start` moves
                hint,
                self._api.clock,
                _WATCH_S,
            )
            for entry in entries:
                start = entry.seq + 1
                if _key(entry).startswith(prefix):
                    value = None if _deleted(entry) else entry.data
                    yield KvChange(_key(entry), value, entry.seq)

    async def _scan(self, stream: str, start: int) -> list[Entry]:
        return await self._api.batch(stream, {"seq": start, "batch": _PAGE})

    async def _write(
        self,
        bucket: str,
        key: str,
        value: bytes,
        *,
        expected: int | None = None,
        ttl_s: int | None = None,
        operation: str | None = None,
    ) -> int:
        headers = {MSG_ID_HEADER: f"{self._nonce}.{next(self._calls)}"}
        if expected is not None:
            headers[EXPECT_SUBJECT_SEQ_HEADER] = str(expected)
        if ttl_s is not None:
            headers[_TTL_HEADER] = str(ttl_s)
        if operation is not None:
            headers[_OPERATION_HEADER] = operation
        subject = _subject(bucket, key)
        ack = await self._api.publish(bucket_stream(bucket), subject, value, headers=headers)
        return ack.seq


def check_key(key: str) -> None:
    """Raise InvalidArgument (BAD_KEY) for what cannot be a key."""
    if not _KEY.fullmatch(key) or key.startswith(".") or key.endswith(".") or ".." in key:
        raise InvalidArgument(f"{key!r} cannot be a key", reason="BAD_KEY")


def _subject(bucket: str, key: str) -> str:
    check_key(key)
    return f"$KV.{bucket}.{key}"


def _key(entry: Entry) -> str:
    return entry.subject.split(".", 2)[2]


def _deleted(entry: Entry) -> bool:
    return entry.headers.get(_OPERATION_HEADER) in ("DEL", "PURGE")
