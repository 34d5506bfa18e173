"""What alerting needs from the world outside, said as Protocols.

The log, the key-value store and the work queue have their ports in `services/common/log_port.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.alerting.model import Rule, Transition
from services.alerting.policy import Refusal
from services.common.log_port import Ack


class RuleCatalog(Protocol):
    """The rules that are configured now."""

    @property
    def version(self) -> int:
        """Grows with every change of configuration."""
        ...

    def tenants(self) -> set[str]:
        """Tenants that have at least one rule."""
        ...

    def rules(self, tenant: str) -> tuple[Rule, ...]:
        """The tenant's sound rules; the same configuration MUST give an equal tuple."""
        ...

    def refused(self, tenant: str) -> tuple[Refusal, ...]:
        """Rules that are configured and must not be evaluated."""
        ...


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where notifications of a tenant go.

    `id` is unique among the receivers of a tenant, platform-wide ones (tenant `*`) included.
    """

    id: str
    name: str
    url: str
    send_resolved: bool = True
    headers: Mapping[str, str] | None = None


class ReceiverCatalog(Protocol):
    """The receivers that are configured now."""

    def receivers(self, tenant: str) -> Sequence[Receiver]:
        """The tenant's own and the platform-wide ones, in a fixed order."""
        ...


class AlertsWriter(Protocol):
    """The one fenced writer of `alerts.0`."""

    async def append(self, data: bytes, *, msg_id: str) -> Ack:
        """Append after everything that we appended before.

        Raises:
            Aborted: FENCED, another holder has taken over; nothing was stored.
            Unavailable: the outcome is unknown: stop, take over anew and replay.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a receiver answered. `retry_after` is the header's text, None when absent."""

    status: int
    retry_after: str | None


class HttpPoster(Protocol):
    """Sends one HTTP POST."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer, whatever its status; redirects are not followed.

        Raises:
            Unavailable: no answer (refused, reset, timed out); it may have arrived all the same.
        """
        ...


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One row of the history of notifications.

    `attempt` 0 is the decision of the pipeline (outcome `queued` or `held`), 1 and up are sends
    (outcome `accepted`, `retry` or `dead`). `decided_ns` is log time, `at_ns` the sender's clock.
    """

    tenant: str
    decided_ns: int
    id: str
    attempt: int
    receiver: str
    group_key: str
    fingerprint: str
    rule: str
    status: str
    outcome: str
    reason: str
    at_ns: int
    alerts_seq: int
    status_code: int = 0
    error: str = ""
    duration_ms: int = 0
    retry_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class EventRow:
    """A transition with its place in the stream ALERTS of that incarnation."""

    change: Transition
    seq: int
    incarnation: int


class HistoryStore(Protocol):
    """What is kept for ever: written behind everything else, and never in the way of an alert."""

    async def store_events(self, rows: Sequence[EventRow]) -> None:
        """Store; rows that are there already MUST NOT show twice.

        Raises:
            Unavailable: outcome unknown, store them again.
        """
        ...

    async def last_event_seq(self, incarnation: int) -> int:
        """The highest stored sequence of that incarnation of the stream, 0 without any."""
        ...

    async def store_attempts(self, rows: Sequence[AttemptRow]) -> None:
        """Store; the row of one (id, attempt) MUST show once, the latest `at_ns` of it."""
        ...

    async def attempts(self, tenant: str | None, *, from_ns: int, to_ns: int) -> list[AttemptRow]:
        """Rows decided in [from_ns, to_ns), newest decision first, then by id and attempt.

        Of one tenant, and then MUST NOT show another's; of all when it is None.
        """
        ...


class AttemptRecorder(Protocol):
    """Where attempts are noted; never waits and never fails."""

    def record(self, row: AttemptRow) -> None:
        """Note it; stored later."""
        ...
