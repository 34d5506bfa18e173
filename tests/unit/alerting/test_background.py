"""What runs behind an alert: configuration, history, and the windows' memory."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.alerting import records
from services.alerting.catalog import ConfigCatalog
from services.alerting.config import AlertingConfig
from services.alerting.memory import MemoryHistory
from services.alerting.model import BurnRate, Slice
from services.alerting.ports import AttemptRow
from services.alerting.recorder import BufferedRecorder
from services.alerting.store import EventStorer
from services.alerting.window import Window
from services.common.clock import ManualClock
from services.common.config_feed import ConfigFeed, apply_document
from services.common.documents import load_documents
from services.common.environment import ConfigurationError
from services.common.errors import Unavailable
from services.common.log_memory import MemoryEngine
from services.common.settings import Settings
from tests.unit.alerting.transitions_text import outage_story

CONTRACT = """
kind: Tenant
metadata: {name: acme}
spec: {}
---
kind: Contract
metadata: {tenant: acme, name: gold}
spec:
  time_zone: UTC
  effective_from: 2026-01-01
  objectives:
    - {name: availability, type: availability, target: "99.9%", window: 30d}
    - {name: latency, type: latency, target: "2s", window: 30d}
    - {name: lax, type: availability, target: "90%", window: 30d}
---
kind: Receiver
metadata: {tenant: acme, name: hook}
spec: {type: webhook, url: "http://127.0.0.1:1/a", headers_from_env: {Authorization: HOOK_AUTH}}
---
kind: Receiver
metadata: {tenant: "*", name: hook}
spec: {type: webhook, url: "http://127.0.0.1:1/b", send_resolved: false}
"""
RULE = """
kind: AlertRule
metadata: {tenant: acme, name: slow-burn}
spec:
  {type: burn_rate, objective: gold/availability, long: 6h, short: 30m, budget_share: "5%", severity: ticket}
"""


class Configured:
    """A feed over a log in memory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "config.yaml"
        self.clock = ManualClock()
        self.engine = MemoryEngine(self.clock)
        self.feed = ConfigFeed(self.engine.log, self.clock)
        self.catalog = ConfigCatalog(self.feed, {"HOOK_AUTH": "Bearer x"})

    async def apply(self, text: str) -> None:
        self._path.write_text(text)
        for document in load_documents([self._path]):
            seq = await apply_document(self.engine.log, document, actor="test", clock=self.clock)
        self.clock.advance(10)
        await self.feed.wait_for(seq)


@pytest.fixture
async def configured(tmp_path: Path) -> AsyncIterator[Configured]:
    made = Configured(tmp_path)
    await made.feed.start()
    yield made
    await made.feed.stop()


async def test_a_contract_alone_brings_the_shipped_rules(configured: Configured) -> None:
    await configured.apply(CONTRACT)
    rules = configured.catalog.rules("acme")

    assert {(rule.name, rule.objective) for rule in rules} == {
        ("outage", "gold/availability"),
        ("outage", "gold/lax"),
        ("burn-rate-1h-5m", "gold/availability"),
    }
    (refused,) = configured.catalog.refused("acme")
    assert refused.rule.objective == "gold/lax"
    assert refused.reason.startswith("DEAD_RULE")
    assert configured.catalog.tenants() == {"acme"}


async def test_the_first_lost_point_of_stored_data_pages_without_any_rule_applied(
    configured: Configured,
) -> None:
    """Point 9: 100 % of data availability has no budget, so the threshold is none at all."""
    stored = '- {name: stored, type: data_availability, target: "100%", window: month}\n'
    lax = '- {name: lax, type: availability, target: "90%", window: 30d}\n'
    await configured.apply(CONTRACT.replace(lax, stored))

    (rule,) = [one for one in configured.catalog.rules("acme") if one.objective == "gold/stored"]

    assert isinstance(rule.condition, BurnRate)
    assert (rule.name, rule.severity) == ("burn-rate-1h-5m", "page")
    assert (rule.condition.threshold, rule.condition.min_bad) == (0, 1)


async def test_a_header_whose_variable_is_not_set_is_told_once_and_the_receiver_stays(
    configured: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    await configured.apply(CONTRACT)
    catalog = ConfigCatalog(configured.feed, {})

    for _ in range(3):
        assert [receiver.headers for receiver in catalog.receivers("acme")] == [{}, {}]
    told = [record.getMessage() for record in caplog.records if "HOOK_AUTH" in record.getMessage()]
    assert len(told) == 1
    assert "Authorization" in told[0]


async def test_rules_of_its_own_take_the_place_of_the_shipped_ones(configured: Configured) -> None:
    await configured.apply(CONTRACT)
    before = configured.catalog.version
    await configured.apply(CONTRACT + "---" + RULE)
    (rule,) = configured.catalog.rules("acme")

    assert isinstance(rule.condition, BurnRate)
    assert (rule.name, rule.condition.factor, rule.severity) == ("slow-burn", 6, "ticket")
    assert not rule.built_in
    assert configured.catalog.version > before


async def test_a_tenant_has_its_receivers_and_the_platforms(configured: Configured) -> None:
    await configured.apply(CONTRACT)
    own, platform = configured.catalog.receivers("acme")

    assert (own.id, own.headers) == ("hook", {"Authorization": "Bearer x"})
    assert (platform.id, platform.name, platform.send_resolved) == ("platform/hook", "hook", False)
    assert [each.id for each in configured.catalog.receivers("globex")] == ["platform/hook"]


async def test_events_are_stored_once_and_from_where_history_ends() -> None:
    clock, history = ManualClock(), MemoryHistory()
    engine = MemoryEngine(clock)
    story = outage_story()
    for change in story:
        await engine.log.append("ALERTS", "alerts.0", records.encode(change), msg_id=change.id)
    await EventStorer(engine.log, history, clock).step(wait_s=0)
    again = EventStorer(engine.log, history, clock)

    assert await again.step(wait_s=0) == 0
    assert [row.change for row in history.events] == story
    assert [row.seq for row in history.events] == [1, 2, 3]


ROW = AttemptRow("acme", 1, "a", 0, "hook", "", "", "outage", "firing", "queued", "NEW_ALERT", 1, 1)


async def test_attempts_wait_for_a_history_that_is_down() -> None:
    history = MemoryHistory()
    recorder = BufferedRecorder(history, ManualClock())
    history.available = False
    recorder.record(ROW)
    with pytest.raises(Unavailable):
        await recorder.flush()
    history.available = True

    assert await recorder.flush() == 1
    assert await recorder.flush() == 0
    assert await history.attempts("acme", from_ns=0, to_ns=10_000_000) == [ROW]


async def test_what_does_not_fit_goes_oldest_first_and_is_counted() -> None:
    history = MemoryHistory()
    recorder = BufferedRecorder(history, ManualClock(), capacity=2)
    for number in range(5):
        recorder.record(replace(ROW, id=str(number)))
    await recorder.flush()

    assert recorder.lost == 3
    assert [row.id for row in await history.attempts(None, from_ns=0, to_ns=10_000_000)] == ["3", "4"]


def test_configuration_names_every_bad_variable() -> None:
    environ = {"THREENINES_EXTERNAL_URL": "nowhere", "THREENINES_TAKEOVER_S": "1"}
    with pytest.raises(ConfigurationError) as caught:
        AlertingConfig.of(Settings(), environ)

    assert {each.field for each in caught.value.violations} == set(environ)
    good = AlertingConfig.of(Settings(), {"THREENINES_EXTERNAL_URL": "http://tn.example/"})
    assert (good.external_url, good.ack_wait_s) == ("http://tn.example", 15.0)


def _slice(start_ms: int, *, revision: int = 1, bad: int = 0) -> Slice:
    return Slice("gold/availability", start_ms, 10, 10 - bad, 10, 0, 0, 0, revision)


def test_the_highest_revision_counts_in_any_order() -> None:
    window = Window()
    for revision, bad in ((2, 5), (3, 7), (1, 9)):
        window.add(_slice(100, revision=revision, bad=bad))

    assert window.sums(100, 110).bad == 7


def test_what_is_forgotten_stays_forgotten() -> None:
    window = Window()
    window.add(_slice(100))
    window.forget_before(110)
    window.add(_slice(100, revision=2))

    assert window.newest_first() == []
    assert window.marks().kept_ms == 110
    assert window.sums(90, 120).owed_ns == 20_000_000
