"""Sessions and running queries: who may run now, on which handle, with which settings.

A session keeps its handle between requests (temporary tables, SET, USE). A request without one gets a handle
that nobody has changed: a fresh one, or a spare on which only SELECTs ran under the same settings, since
making one ready costs more than a small SELECT. Must not know HTTP framing.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.embedded.clickhouse_engine import TAG_SETTING, Engine, Handle
from services.embedded.clickhouse_errors import Code, refuse
from services.embedded.clickhouse_request import QueryRequest

_MOST_SPARES = 32
_OF_ONE_REQUEST = ("log_comment", TAG_SETTING)


@dataclass(slots=True)
class Running:
    """One query between its arrival and its answer. `tag` is unique, `query_id` the client's or made up."""

    query_id: str
    tag: str
    client_gone: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    read_only: bool = False


class RunningQueries:
    """The queries of this moment by id, so that an id is never used twice at once."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._by_id: dict[str, Running] = {}

    def begin(self, query_id: str) -> Running:
        """Register a query. Raises ClickHouseError 216 when its id is running, 202 when too many run."""
        tag = str(uuid.uuid4())
        running = Running(query_id or tag, tag)
        with self._lock:
            if running.query_id in self._by_id:
                raise refuse(
                    Code.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                    f"Query with id = {running.query_id} is already running.",
                )
            if len(self._by_id) >= self.limit:
                raise refuse(
                    Code.TOO_MANY_SIMULTANEOUS_QUERIES,
                    f"Too many simultaneous queries. Maximum: {self.limit}.",
                )
            self._by_id[running.query_id] = running
        return running

    def end(self, running: Running) -> None:
        """Forget a query: its id is free again."""
        with self._lock:
            self._by_id.pop(running.query_id, None)
        running.done.set()

    def all(self) -> list[Running]:
        """The queries running now."""
        with self._lock:
            return list(self._by_id.values())


@dataclass(slots=True)
class _Session:
    handle: Handle
    seconds: float
    last_used: float
    database: str = "default"
    current_database: str = "default"
    applied: dict[str, str] = field(default_factory=dict)
    busy: bool = True


@dataclass(slots=True)
class Lease:
    """A handle made ready for one request. `in_session` means its state outlives the request.

    Whoever ran a USE on it sets `changed_database`; whoever ran nothing but a SELECT to its end, `unchanged`.
    """

    handle: Handle
    in_session: bool
    changed_database: bool = False
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class _Spare:
    database: str
    settings: dict[str, str]
    handle: Handle


class Handles:
    """Hands out a ready handle per request and keeps those of sessions until they expire."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float]) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._spares: list[_Spare] = []
        self._changes = 0

    @contextmanager
    def lease(self, request: QueryRequest, running: Running) -> Iterator[Lease]:
        """A handle with the request's settings and database applied."""
        if request.session_id:
            with self._session(request, running) as lease:
                yield lease
            return
        settings = _settings(request, running)
        readonly = settings.pop("readonly", "")
        own = {name: settings.pop(name) for name in _OF_ONE_REQUEST}
        changes, handle = self._changes, None
        if request.writes_allowed:
            handle = self._spare(request.database, settings)
        ready = handle is not None
        handle = handle or self._engine.open_handle()
        lease = Lease(handle, in_session=False)
        try:
            handle.set(own if ready else {**settings, **own})
            if request.database and not ready:
                handle.use(request.database)
            # Last, since nothing can be set after it; 2 = reads only, but settings in the query are allowed.
            if not request.writes_allowed:
                handle.set({"readonly": readonly if readonly not in {"", "0"} else "2"})
            yield lease
        except BaseException:
            lease.unchanged = False
            raise
        finally:
            spare = _Spare(request.database, settings, handle)
            if not (lease.unchanged and request.writes_allowed and self._keep(spare, changes)):
                handle.close()

    def forget_spares(self) -> None:
        """Something was changed that a spare handle may still have as it was: its database may be gone."""
        with self._lock:
            self._changes += 1
            spares, self._spares = self._spares, []
        for spare in spares:
            spare.handle.close()

    def close(self) -> None:
        """Close every session and every spare."""
        self.forget_spares()
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.handle.close()

    def _spare(self, database: str, settings: dict[str, str]) -> Handle | None:
        """The one that was used last, of those with this database and these settings."""
        with self._lock:
            for k in range(len(self._spares) - 1, -1, -1):
                if (self._spares[k].database, self._spares[k].settings) == (database, settings):
                    return self._spares.pop(k).handle
        return None

    def _keep(self, spare: _Spare, changes: int) -> bool:
        dropped = None
        with self._lock:
            if changes != self._changes:
                return False
            self._spares.append(spare)
            if len(self._spares) > _MOST_SPARES:
                dropped = self._spares.pop(0)
        if dropped is not None:
            dropped.handle.close()
        return True

    @contextmanager
    def _session(self, request: QueryRequest, running: Running) -> Iterator[Lease]:
        session = self._take(request)
        try:
            settings = _settings(request, running)
            settings.pop(
                "readonly", None
            )  # could never be unset again: the statement's class is checked instead
            _adjust(session, settings)
            target = request.database or session.database
            if target != session.current_database:
                session.handle.use(target)
                session.current_database = target
            lease = Lease(session.handle, in_session=True)
            yield lease
            if lease.changed_database:
                now = session.handle.run("SELECT currentDatabase()").bytes().decode().rstrip("\n")
                session.database = session.current_database = now
        finally:
            self._give_back(session, request)

    def _take(self, request: QueryRequest) -> _Session:
        now = self._monotonic()
        with self._lock:
            expired = [k for k, s in self._sessions.items() if not s.busy and now - s.last_used > s.seconds]
            dropped = [self._sessions.pop(key) for key in expired]
            session = self._sessions.get(request.session_id)
            if session is None:
                if request.session_must_exist:
                    raise refuse(Code.SESSION_NOT_FOUND, f"Session {request.session_id} not found.")
                session = _Session(self._engine.open_handle(), request.session_seconds, now)
                self._sessions[request.session_id] = session
            elif session.busy:
                raise refuse(
                    Code.SESSION_IS_LOCKED, f"Session {request.session_id} is locked by a concurrent client."
                )
            session.busy = True
        for old in dropped:
            old.handle.close()
        return session

    def _give_back(self, session: _Session, request: QueryRequest) -> None:
        with self._lock:
            session.busy = False
            session.last_used = self._monotonic()
            session.seconds = request.session_seconds
            closing = request.close_session and self._sessions.pop(request.session_id, None) is not None
        if closing:
            session.handle.close()


def _settings(request: QueryRequest, running: Running) -> dict[str, str]:
    return {"log_comment": running.query_id, **request.settings, TAG_SETTING: running.tag}


def _adjust(session: _Session, wanted: dict[str, str]) -> None:
    """Change only what differs from the session's last request; URL settings do not outlive theirs."""
    gone = [name for name in session.applied if name not in wanted]
    session.handle.unset(gone)
    for name in gone:
        del session.applied[name]
    changed = {name: value for name, value in wanted.items() if session.applied.get(name) != value}
    session.handle.set(changed)
    session.applied.update(changed)
