"""What alerting needs from the world outside, said as Protocols.

The log, the key-value store and the work queue have their ports in `services/common/log_port.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.alerting.model import Rule
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

    @property
    def epoch_seq(self) -> int:
        """Sequence of our EPOCH record: everything of earlier holders is before it."""
        ...

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
