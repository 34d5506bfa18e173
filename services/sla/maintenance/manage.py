"""Announcing, cancelling and listing maintenance: documents of the CONFIG stream, checked for who asks.

The stream is the only place where windows live, so every process and region excludes the same time.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.common.auth import Role, current_principal, require_tenant
from services.common.clock import Clock
from services.common.config_feed import AppliedDocument, ConfigFeed, put_document
from services.common.documents import Document, Kind
from services.common.documents_maintenance import MaintenanceRecord, MaintenanceWindowSpec
from services.common.errors import Aborted
from services.common.log_port import Log
from services.sla.errors import BadMaintenanceWindow, MaintenanceWindowExists, MaintenanceWindowNotFound
from services.sla.maintenance.announce import Wish, spec_of
from services.sla.maintenance.exclude import covers, notice_kept
from services.sla.maintenance.feed import MaintenanceBook, window_of
from services.sla.maintenance.model import MaintenanceWindow, WindowState
from services.sla.maintenance.occurrences import state_at
from services.sla.model import Contract, Objective
from services.sla.paging import Page, PageRequest, page_of

_READERS = (Role.READER, Role.OPERATOR, Role.AUDITOR)
_REMEMBERED_MS = 86_400_000


class Contracts(Protocol):
    """Contracts in force."""

    def contracts(self, tenant: str | None = None) -> Sequence[Contract]:
        """Of one tenant when it is given."""
        ...


@dataclass(frozen=True, slots=True)
class WindowView:
    """A window as callers see it. objectives: the keys it covers now, none when it is for all.

    notice_kept: whether its first occurrence counts under the strictest contract that it covers.
    """

    window: MaintenanceWindow
    objectives: tuple[str, ...]
    state: WindowState
    notice_kept: bool


class Maintenance:
    """The use cases."""

    def __init__(
        self,
        *,
        log: Log,
        feed: ConfigFeed,
        clock: Clock,
        contracts: Contracts,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._log = log
        self._feed = feed
        self._clock = clock
        self._contracts = contracts
        self._random_bytes = random_bytes
        self._book = MaintenanceBook(feed)

    def tenant(self, named: str | None) -> str:
        """The tenant that a request is about: the named one, or the caller's own.

        Raises:
            BadMaintenanceWindow: a platform credential has to name it.
        """
        if named is None and current_principal().platform:
            raise BadMaintenanceWindow("name the tenant: this credential has none of its own", field="parent")
        return current_principal().tenant if named is None else named

    async def create(self, tenant: str, wish: Wish) -> WindowView:
        """Announce maintenance; its notice counts from the time that the log gives it.

        Raises:
            BadMaintenanceWindow: every wrong field with its reason.
            MaintenanceWindowExists: the id is taken.
            Unavailable: the log does not answer.
        """
        actor = require_tenant(tenant, Role.OPERATOR).token_id
        spec = spec_of(wish, self._objectives(tenant), creator=actor)
        window_id = wish.window_id or self._new_id(tenant, wish.request_id)
        earlier = self._earlier(tenant, wish.request_id, window_id)
        if earlier is not None:
            return earlier
        try:
            await self._put(Document(Kind.MAINTENANCE_WINDOW, tenant, window_id, spec), actor, expected_seq=0)
        except Aborted:
            # Somebody was faster, or the id was used and deleted; what is there now decides.
            last = await self._log.stream_info("CONFIG")
            await self._feed.wait_for(last.last_seq)
            earlier = self._earlier(tenant, wish.request_id, window_id)
            if earlier is not None:
                return earlier
            raise MaintenanceWindowExists(
                f"the id {window_id} was used before", field="maintenance_window_id"
            ) from None
        return self._view(self._window(tenant, window_id))

    async def cancel(self, tenant: str, window_id: str, reason: str) -> WindowView:
        """Cancel from now on, by log time; a window that is cancelled or over stays as it is.

        Raises:
            MaintenanceWindowNotFound: no such window of the tenant.
            Aborted: FENCED, somebody changed it at the same time.
        """
        actor = require_tenant(tenant, Role.OPERATOR).token_id
        found = self._document(tenant, window_id)
        view = self._view(window_of(found))
        if view.state in (WindowState.CANCELLED, WindowState.ENDED):
            return view
        record = MaintenanceRecord(
            announced_ms=view.window.announced_ms,
            creator=view.window.creator,
            request_id=found.spec.record.request_id if found.spec.record else "",
            cancelled=True,
            cancel_reason=reason,
        )
        spec = found.spec.model_copy(update={"record": record})
        document = Document(Kind.MAINTENANCE_WINDOW, tenant, window_id, spec)
        await self._put(document, actor, expected_seq=found.seq)
        return self._view(self._window(tenant, window_id))

    def page(self, tenant: str, states: Collection[WindowState], page: PageRequest) -> Page[WindowView]:
        """Windows in these states (none: in all), newest first.

        Raises:
            BadPage: size or token.
        """
        require_tenant(tenant, *_READERS)
        views = [self._view(one) for one in reversed(self._book.applied(tenant))]
        return page_of([one for one in views if not states or one.state in states], page)

    def _objectives(self, tenant: str) -> list[Objective]:
        return [each for one in self._contracts.contracts(tenant) for each in one.objectives]

    def _new_id(self, tenant: str, request_id: str) -> str:
        if not request_id:
            return f"mw-{self._random_bytes(6).hex()}"
        # The same request at two replicas at once has to meet in one subject.
        return f"mw-{hashlib.blake2b(f'{tenant} {request_id}'.encode(), digest_size=6).hexdigest()}"

    def _earlier(self, tenant: str, request_id: str, window_id: str) -> WindowView | None:
        """What the same request made before; refuses an id that another one took."""
        found = self._feed.specs(MaintenanceWindowSpec, tenant)
        now_ms = self._clock.now_ns() // 1_000_000
        for one in found:
            view = self._view(window_of(one))
            same = request_id and one.spec.record is not None and one.spec.record.request_id == request_id
            if same and now_ms - view.window.announced_ms < _REMEMBERED_MS:
                return view
        if any(one.name == window_id for one in found):
            raise MaintenanceWindowExists(f"{window_id} is there already", field="maintenance_window_id")
        return None

    def _document(self, tenant: str, window_id: str) -> AppliedDocument[MaintenanceWindowSpec]:
        for found in self._feed.specs(MaintenanceWindowSpec, tenant):
            if found.name == window_id:
                return found
        raise MaintenanceWindowNotFound(f"tenant {tenant} has no maintenance window {window_id}")

    def _window(self, tenant: str, window_id: str) -> MaintenanceWindow:
        return window_of(self._document(tenant, window_id))

    def _view(self, window: MaintenanceWindow) -> WindowView:
        covered = [one for one in self._objectives(window.tenant) if covers(window, one.key)]
        notice_ms = max((one.notice_ms for one in covered), default=0)
        return WindowView(
            window,
            tuple(one.key for one in covered) if window.objectives else (),
            state_at(window, self._clock.now_ns() // 1_000_000),
            notice_kept(window, window.start_ms, notice_ms),
        )

    async def _put(self, document: Document, actor: str, *, expected_seq: int) -> None:
        """Apply and wait until this process sees it, so that the next call does."""
        applied = await put_document(
            self._log, document, actor=actor, clock=self._clock, expected_seq=expected_seq
        )
        await self._feed.wait_for(applied.seq)
