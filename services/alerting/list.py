"""What people may see: alerts as they are now, rules as they are evaluated, notifications.

Alerts come from the evaluator's keys and rules from the configuration, so both answer while
ClickHouse is down; notifications are history. Checks who may see what; knows no gRPC.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.alerting.errors import BadPageToken, BadParent, HistoryUnavailable
from services.alerting.model import Rule, State, Transition
from services.alerting.pipeline import digest
from services.alerting.ports import AttemptRow, HistoryStore, RuleCatalog
from services.alerting.records import decode
from services.alerting.snapshot import BUCKET, INSTANCE_PREFIX, SnapshotStore
from services.common.auth import Role, current_principal, require_platform, require_tenant
from services.common.clock import Clock
from services.common.errors import InvalidArgument, Unavailable
from services.common.log_port import KeyValue

_T = TypeVar("_T")

READING_ROLES = (Role.READER, Role.AUDITOR, Role.OPERATOR)
DEFAULT_PAGE = 100
LARGEST_PAGE = 1000
_DAY_NS = 86_400_000_000_000
_PARENT = re.compile(r"tenants/([a-z0-9-]{1,63})")
_EVERY = "-"

ACTIVE_STATES = frozenset(State) - {State.NORMAL}
_SEVERITY_ORDER = {"critical": 0, "page": 1, "ticket": 2}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`page_size` and `page_token` as they came."""

    size: int
    token: str


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """`matches` is the conjunction of the request's matchers."""

    parent: str
    states: frozenset[State]
    matches: Callable[[Transition], bool]
    rule: str
    page: PageRequest
    text: str
    """The filters as text: a page token is good for the same ones only."""


@dataclass(frozen=True, slots=True)
class NotificationQuery:
    """`from_ns` and `to_ns` are None when the request names none."""

    parent: str
    wanted: Callable[["NotificationView"], bool]
    from_ns: int | None
    to_ns: int | None
    page: PageRequest
    text: str


@dataclass(frozen=True, slots=True)
class NotificationView:
    """A decision with the attempts that followed, oldest first."""

    decision: AttemptRow
    attempts: tuple[AttemptRow, ...]

    @property
    def state(self) -> str:
        """`accepted`, `dead`, `held` or `queued`."""
        outcomes = {row.outcome for row in self.attempts}
        for outcome in ("accepted", "dead"):
            if outcome in outcomes:
                return outcome
        return "held" if self.decision.outcome == "held" else "queued"


@dataclass(frozen=True, slots=True)
class Page:
    """Where the next page begins; empty token on the last."""

    next_token: str


class AlertLists:
    """The reading half of the alert service."""

    def __init__(self, *, kv: KeyValue, catalog: RuleCatalog, history: HistoryStore, clock: Clock) -> None:
        self._kv = kv
        self._catalog = catalog
        self._history = history
        self._clock = clock

    async def alerts(self, query: AlertQuery) -> tuple[list[Transition], Page, int]:
        """Alerts by urgency, then newest first; the page; log time of the last saved position."""
        tenant = authorised_tenant(query.parent)
        found = [
            change
            for change in await self._instances(tenant)
            if change.new.state in query.states
            and (not query.rule or change.rule == query.rule)
            and query.matches(change)
        ]
        found.sort(key=_urgency)
        shown, page = paginate(found, query.page, f"alerts|{tenant}|{query.text}")
        position = await SnapshotStore(self._kv).position()
        return shown, page, position.watermark_ns

    async def rules(self, parent: str, request: PageRequest) -> tuple[list[tuple[Rule, str]], Page]:
        """Rules in order of tenant and name, each with why it is refused (empty when it is not)."""
        tenant = authorised_tenant(parent)
        tenants = sorted(self._catalog.tenants()) if tenant is None else [tenant]
        found = [(rule, "") for name in tenants for rule in self._catalog.rules(name)]
        found += [(each.rule, each.reason) for name in tenants for each in self._catalog.refused(name)]
        found.sort(key=lambda pair: pair[0].key)
        return paginate(found, request, f"rules|{tenant}")

    async def notifications(self, query: NotificationQuery) -> tuple[list[NotificationView], Page]:
        """Notifications, newest decision first."""
        tenant = authorised_tenant(query.parent)
        # Log time runs with the servers' clocks; a little slack keeps what was just decided in.
        to_ns = self._clock.now_ns() + _DAY_NS // 1440 if query.to_ns is None else query.to_ns
        from_ns = to_ns - _DAY_NS if query.from_ns is None else query.from_ns
        if from_ns >= to_ns:
            raise InvalidArgument("start_time must be before end_time", field="start_time")
        try:
            rows = await self._history.attempts(tenant, from_ns=from_ns, to_ns=to_ns)
        except Unavailable as err:
            raise HistoryUnavailable(
                "notifications are history, and ClickHouse does not answer",
                next_step="Try again; alerts and rules are listed meanwhile.",
            ) from err
        views = [view for view in _views(rows) if query.wanted(view)]
        return paginate(views, query.page, f"notifications|{tenant}|{query.text}")

    async def _instances(self, tenant: str | None) -> list[Transition]:
        prefix = INSTANCE_PREFIX if tenant is None else f"{INSTANCE_PREFIX}{tenant}."
        found = []
        for key in await self._kv.keys(BUCKET, prefix):
            entry = await self._kv.get(BUCKET, key)
            record = None if entry is None else decode(entry.value)
            if isinstance(record, Transition):
                found.append(record)
        return found


def authorised_tenant(parent: str) -> str | None:
    """The tenant of `tenants/{tenant}` that the caller may read; None for all (`tenants/-`).

    Raises:
        BadParent: not such a name.
        PermissionDenied: another tenant's, or all, without being the platform.
    """
    if not parent:
        principal = current_principal()
        parent = f"tenants/{_EVERY}" if principal.platform else f"tenants/{principal.tenant}"
    match = _PARENT.fullmatch(parent)
    if match is None:
        raise BadParent(f"parent must look like tenants/acme, not {parent!r}", field="parent")
    if match[1] == _EVERY:
        require_platform(*READING_ROLES)
        return None
    require_tenant(match[1], *READING_ROLES)
    return match[1]


def paginate(found: Sequence[_T], request: PageRequest, scope: str) -> tuple[list[_T], Page]:
    """One page of a list. A token names the request that it belongs to.

    Raises:
        InvalidArgument: negative size. BadPageToken: not a token of this request.
    """
    if request.size < 0:
        raise InvalidArgument("page_size must not be negative", field="page_size")
    size = min(request.size or DEFAULT_PAGE, LARGEST_PAGE)
    stamp = digest(scope)
    start = _offset(request.token, stamp)
    end = start + size
    token = urlsafe_b64encode(f"{end}.{stamp}".encode()).decode() if end < len(found) else ""
    return list(found[start:end]), Page(token)


def _offset(token: str, stamp: str) -> int:
    if not token:
        return 0
    try:
        offset, _, made_for = urlsafe_b64decode(token.encode()).decode().partition(".")
        if made_for == stamp and offset.isdigit():
            return int(offset)
    except (ValueError, UnicodeError):
        pass
    raise BadPageToken("this page token belongs to no page of this request", field="page_token")


def _urgency(change: Transition) -> tuple[int, int, int, str]:
    calm = 0 if change.new.active else 1
    return (calm, _SEVERITY_ORDER.get(change.severity, 9), -change.at_ns, change.fingerprint)


def _views(rows: Sequence[AttemptRow]) -> list[NotificationView]:
    """Rows of one id belong together; an attempt whose decision is not stored stands for it."""
    grouped: dict[tuple[str, str], list[AttemptRow]] = {}
    for row in rows:
        grouped.setdefault((row.tenant, row.id), []).append(row)
    return [
        NotificationView(group[0], tuple(row for row in group if row.attempt > 0))
        for group in grouped.values()
    ]
