"""In-memory adapters, held to the same contract as the real ones; for tests and `--fake`."""

from collections.abc import Mapping, Sequence

from services.alerting.model import Rule
from services.alerting.policy import Refusal
from services.alerting.ports import AttemptRow, EventRow, HttpAnswer, Receiver
from services.common.errors import Unavailable

_MS_NS = 1_000_000


class MemoryHistory:
    """`HistoryStore` in memory. `available = False` behaves like a ClickHouse that is down."""

    def __init__(self) -> None:
        self.available = True
        self._events: dict[tuple[int, int], EventRow] = {}
        self._attempts: dict[tuple[str, str, int], AttemptRow] = {}

    async def ready(self) -> None:
        """Nothing to make."""
        self._check()

    async def store_events(self, rows: Sequence[EventRow]) -> None:
        """See `HistoryStore.store_events`."""
        self._check()
        self._events.update({(row.incarnation, row.seq): row for row in rows})

    async def last_event_seq(self, incarnation: int) -> int:
        """See `HistoryStore.last_event_seq`."""
        self._check()
        return max((seq for known, seq in self._events if known == incarnation), default=0)

    async def store_attempts(self, rows: Sequence[AttemptRow]) -> None:
        """See `HistoryStore.store_attempts`."""
        self._check()
        for row in rows:
            key = (row.tenant, row.id, row.attempt)
            known = self._attempts.get(key)
            if known is None or known.at_ns <= row.at_ns:
                self._attempts[key] = row

    async def attempts(self, tenant: str | None, *, from_ns: int, to_ns: int) -> list[AttemptRow]:
        """See `HistoryStore.attempts`."""
        self._check()
        rows = [
            row
            for row in self._attempts.values()
            if tenant in (None, row.tenant) and from_ns <= row.decided_ns // _MS_NS * _MS_NS < to_ns
        ]
        return sorted(rows, key=lambda row: (-(row.decided_ns // _MS_NS), row.id, row.attempt))

    @property
    def events(self) -> list[EventRow]:
        """All events in order of the stream."""
        return [self._events[key] for key in sorted(self._events)]

    def _check(self) -> None:
        if not self.available:
            raise Unavailable("history is down", reason="CLICKHOUSE_UNAVAILABLE")


class MemoryCatalog:
    """`RuleCatalog` and `ReceiverCatalog` that are told what they hold."""

    def __init__(self, rules: Sequence[Rule] = (), receivers: Sequence[Receiver] = ()) -> None:
        self._rules = tuple(rules)
        self._receivers = tuple(receivers)
        self._version = 1

    def replace(self, rules: Sequence[Rule], receivers: Sequence[Receiver] | None = None) -> None:
        """The configuration changes."""
        self._rules = tuple(rules)
        if receivers is not None:
            self._receivers = tuple(receivers)
        self._version += 1

    @property
    def version(self) -> int:
        """See `RuleCatalog.version`."""
        return self._version

    def tenants(self) -> set[str]:
        """See `RuleCatalog.tenants`."""
        return {rule.tenant for rule in self._rules}

    def rules(self, tenant: str) -> tuple[Rule, ...]:
        """See `RuleCatalog.rules`."""
        return tuple(rule for rule in self._rules if rule.tenant == tenant)

    def refused(self, tenant: str) -> tuple[Refusal, ...]:  # noqa: ARG002 - it holds only sound ones
        """See `RuleCatalog.refused`."""
        return ()

    def receivers(self, tenant: str) -> Sequence[Receiver]:  # noqa: ARG002 - the same for all tenants
        """See `ReceiverCatalog.receivers`."""
        return self._receivers


class MemoryPoster:
    """`HttpPoster` that remembers what was sent and answers what it was told to.

    `answers` are used up in order, None being no answer at all; after them everything is 200.
    """

    def __init__(self, answers: Sequence[HttpAnswer | None] = ()) -> None:
        self.sent: list[tuple[str, bytes, Mapping[str, str]]] = []
        self._answers = list(answers)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """See `HttpPoster.post`."""
        self.sent.append((url, body, dict(headers)))
        answer = self._answers.pop(0) if self._answers else HttpAnswer(200, None)
        if answer is None:
            raise Unavailable("no answer", reason="RECEIVER_UNREACHABLE")
        return answer


class MemoryRecorder:
    """`AttemptRecorder` that keeps everything."""

    def __init__(self) -> None:
        self.rows: list[AttemptRow] = []

    def record(self, row: AttemptRow) -> None:
        """See `AttemptRecorder.record`."""
        self.rows.append(row)
