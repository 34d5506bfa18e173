"""The applied configuration, live: every process folds the CONFIG stream into the same state.

Reading is `ConfigFeed`, writing is `apply_document` and `delete_document`. Records that this
release cannot read are logged and skipped, so a bad one never takes the rest down. What the
documents mean is not decided here.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from services.common.clock import Clock
from services.common.config_entries import Change, decode, encode, message_id, subject_for
from services.common.documents import Document, DocumentKey, DocumentSpec, Kind, version_of
from services.common.errors import Aborted, InvalidArgument, ThreeninesError, Unavailable
from services.common.log_port import Entry, Log

_logger = logging.getLogger(__name__)
_STREAM = "CONFIG"
_WAIT_S = 1.0
_RETRY_S = 0.5
_REMEMBERED = frozenset({Kind.MAINTENANCE_WINDOW})
"""Kinds of which what was in force says something about the past."""
SpecT = TypeVar("SpecT", bound=DocumentSpec, covariant=True)


@dataclass(frozen=True, slots=True)
class AppliedDocument(Generic[SpecT]):
    """A document as it is in force; `seq` is its place in the CONFIG stream, `time_ns` when the log got it,
    `actor` who put it there."""

    kind: Kind
    tenant: str | None
    name: str
    spec: SpecT
    seq: int
    time_ns: int = 0
    actor: str = ""

    @property
    def key(self) -> DocumentKey:
        """The same as `Document.key`."""
        return (self.kind, self.tenant, self.name, version_of(self.spec))


@dataclass(frozen=True, slots=True)
class Former(Generic[SpecT]):
    """A document that was in force until log time `until_ns`: then another took its place, or nothing."""

    document: AppliedDocument[SpecT]
    until_ns: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """Where a document is in the stream, and whether this call put it there."""

    seq: int
    changed: bool


class ConfigFeed:
    """The current documents, kept up to date by a task of the running event loop."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._documents: dict[DocumentKey, AppliedDocument[DocumentSpec]] = {}
        self._undated: dict[tuple[str | None, str], AppliedDocument[DocumentSpec]] = {}
        self._former: list[Former[DocumentSpec]] = []
        self._callbacks: list[Callable[[], None]] = []
        self._seq = 0
        self._skipped = 0
        self._moved = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def seq(self) -> int:
        """The last sequence that is folded in."""
        return self._seq

    @property
    def skipped(self) -> int:
        """Records that could not be read; each one is in our log."""
        return self._skipped

    async def start(self) -> None:
        """Read up to the present end, then keep following. Waits while the log is down."""
        while True:
            try:
                await self._catch_up()
                break
            except Unavailable as err:
                _logger.warning("configuration feed waits for the log: %s", err)
                await self._clock.sleep(err.retry_after_s or _RETRY_S)
        self._task = asyncio.create_task(self._follow(), name="config-feed")

    async def stop(self) -> None:
        """End the task; what was read stays readable."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def documents(self, kind: Kind | str, tenant: str | None = None) -> list[AppliedDocument[DocumentSpec]]:
        """The documents of a kind in order of tenant, name and version; of one tenant when it is given."""
        found = [
            document
            for document in self._documents.values()
            if document.kind == kind and (tenant is None or document.tenant == tenant)
        ]
        return sorted(found, key=lambda document: (document.tenant or "", document.name, document.key[-1]))

    def specs(self, spec_type: type[SpecT], tenant: str | None = None) -> list[AppliedDocument[SpecT]]:
        """The documents whose spec has that type: `feed.specs(ContractSpec, "acme")`."""
        kinds = {
            document.kind for document in self._documents.values() if isinstance(document.spec, spec_type)
        }
        return [
            cast("AppliedDocument[SpecT]", document)
            for kind in sorted(kinds)
            for document in self.documents(kind, tenant)
            if isinstance(document.spec, spec_type)
        ]

    def former(self, spec_type: type[SpecT]) -> list[Former[SpecT]]:
        """Documents that are no longer in force, in the order in which they ceased to be; of kinds whose
        past counts: maintenance windows."""
        return [
            cast("Former[SpecT]", one) for one in self._former if isinstance(one.document.spec, spec_type)
        ]

    def get(self, kind: Kind | str, tenant: str | None, name: str) -> AppliedDocument[DocumentSpec] | None:
        """One document, or None; of a contract the version with the latest date."""
        if Kind(kind) is not Kind.CONTRACT:
            return self._documents.get((Kind(kind), tenant, name, ""))
        found = [one for one in self.documents(kind, tenant) if one.name == name]
        return found[-1] if found else None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop after each change; it must not block."""
        self._callbacks.append(callback)

    async def wait_for(self, seq: int) -> None:
        """Return once the record at `seq` is folded in: read your own `apply_document`."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._seq >= seq)

    async def _catch_up(self) -> None:
        state = await self._log.stream_info(_STREAM)
        while self._seq < state.last_seq:
            entries = await self._log.read(_STREAM, self._seq + 1, wait_s=_WAIT_S)
            if entries:
                await self._fold(entries)
                continue
            # The last records may have been deleted; then no entry will ever carry that sequence.
            state = await self._log.stream_info(_STREAM)
            if state.first_seq > state.last_seq:
                await self._advance(state.last_seq)

    async def _follow(self) -> None:
        while True:
            try:
                entries = await self._log.read(_STREAM, self._seq + 1, wait_s=_WAIT_S)
            except Unavailable as err:
                _logger.warning("configuration feed: %s", err)
                await self._clock.sleep(err.retry_after_s or _RETRY_S)
                continue
            if entries:
                await self._fold(entries)

    async def _fold(self, entries: list[Entry]) -> None:
        changed = False
        for entry in entries:
            try:
                self._apply(entry, decode(entry.subject, entry.data))
                changed = True
            except ThreeninesError as err:
                self._skipped += 1
                _logger.warning("configuration record %d (%s) skipped: %s", entry.seq, entry.subject, err)
        if changed:
            self._seq = entries[-1].seq
            self._tell()
        await self._advance(entries[-1].seq)

    def _apply(self, entry: Entry, change: Change) -> None:
        if change.kind is Kind.CONTRACT and not change.version:
            self._forget_undated(change)
        before = self._documents.get(change.key)
        if before is not None and change.kind in _REMEMBERED:
            self._former.append(Former(before, entry.time_ns, deleted=change.document is None))
        if change.document is None:
            self._documents.pop(change.key, None)
            return
        applied = AppliedDocument(
            change.kind,
            change.tenant,
            change.name,
            change.document.spec,
            entry.seq,
            entry.time_ns,
            change.actor,
        )
        self._documents[change.key] = applied
        if change.kind is Kind.CONTRACT and not change.version:
            self._undated[change.tenant, change.name] = applied

    def _forget_undated(self, change: Change) -> None:
        """A contract under a subject without a date has one version: the next record replaces it."""
        old = self._undated.pop((change.tenant, change.name), None)
        if old is not None and self._documents.get(old.key) is old:
            del self._documents[old.key]

    def _tell(self) -> None:
        for callback in self._callbacks:
            try:
                callback()
            # A subscriber's defect must not cut off every other subscriber.
            except Exception:
                _logger.exception("a subscriber of the configuration feed failed")

    async def _advance(self, seq: int) -> None:
        async with self._moved:
            self._seq = seq
            self._moved.notify_all()


async def put_document(
    log: Log, document: Document, *, actor: str, clock: Clock, expected_seq: int | None = None
) -> Applied:
    """Put a document into the CONFIG stream unless it is there exactly so already.

    With `expected_seq` only on top of that record (0: none), which the caller has read.

    Raises:
        InvalidArgument: NOT_APPLICABLE; Platform documents are read from the file by `up`.
        Aborted: FENCED; somebody changed the document at the same time, or since it was read.
        Unavailable: LOG_UNAVAILABLE, LOG_FULL.
    """
    if document.kind is Kind.PLATFORM:
        raise InvalidArgument("a Platform document is not applied: give it to `up`", reason="NOT_APPLICABLE")
    version = document.key[-1]
    change = Change(document.kind, document.tenant, document.name, document, actor, clock.now_ns(), version)
    return await _put(log, change, expected_seq)


async def apply_document(log: Log, document: Document, *, actor: str, clock: Clock) -> int:
    """`put_document`, for callers that only need the sequence to wait for."""
    return (await put_document(log, document, actor=actor, clock=clock)).seq


async def delete_document(log: Log, key: DocumentKey, *, actor: str, clock: Clock) -> Applied:
    """Take a document out of force; not changed when it was not there. Errors as `put_document`."""
    kind, tenant, name, version = key
    return await _put(log, Change(kind, tenant, name, None, actor, clock.now_ns(), version))


async def _put(log: Log, change: Change, expected_seq: int | None = None) -> Applied:
    subject = subject_for(*change.key)
    last = await log.last_entry(_STREAM, subject)
    last_seq = 0 if last is None else last.seq
    known = last
    if last is None and change.version:
        known = await _undated(log, change)
    known_seq = 0 if known is None else known.seq
    if expected_seq not in (None, known_seq):
        raise Aborted("the document changed since it was read", reason="FENCED", next_step="Read it again.")
    if _unchanged(known, change):
        return Applied(known_seq, changed=False)
    ack = await log.append(
        _STREAM,
        subject,
        encode(change),
        msg_id=message_id(subject, last_seq, change),
        expect_last_subject_seq=last_seq,
    )
    return Applied(ack.seq, changed=True)


async def _undated(log: Log, change: Change) -> Entry | None:
    """The same version of a contract as an earlier release stored it, under a subject without a date."""
    entry = await log.last_entry(_STREAM, subject_for(change.kind, change.tenant, change.name))
    try:
        stored = None if entry is None else decode(entry.subject, entry.data)
    except ThreeninesError:
        return None
    return entry if stored is not None and stored.document and stored.key == change.key else None


def _unchanged(last: Entry | None, change: Change) -> bool:
    """Whether the document is in force exactly so; never when this release cannot read the last record."""
    if last is None:
        return change.document is None
    try:
        return decode(last.subject, last.data).document == change.document
    except ThreeninesError:
        return False
