"""AlertService on a real server: what it lists, and to whom."""

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from services.alerting.list import AlertLists
from services.alerting.memory import MemoryCatalog, MemoryHistory
from services.alerting.policy import DAY_NS, Objective, shipped_rules
from services.alerting.ports import AttemptRow
from services.alerting.serve import build_alerting_server
from services.alerting.snapshot import Position, SnapshotStore
from services.common.auth import Role, mint_token
from services.common.auth_tokens import sha256_hex
from services.common.clock import ManualClock
from services.common.config_feed import ConfigFeed, apply_document
from services.common.documents_model import Document, Kind
from services.common.documents_platform import TokenSpec
from services.common.environment import Secret
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port
from services.common.log_memory import MemoryEngine
from services.common.settings import Settings
from tests.unit.alerting.rules_text import outage
from tests.unit.alerting.transitions_text import outage_story
from threenines.alerting.v1 import alert_service_pb2 as service_pb2
from threenines.alerting.v1 import alert_service_pb2_grpc as service_grpc
from threenines.alerting.v1 import alerting_pb2

FRACTIONS = (Fraction(999, 1000), Fraction(1, 2), Fraction(9, 10))
ADMIN = "the-admin-token-of-this-test"
STORIES = {tenant: outage_story(rule=outage(tenant=tenant)) for tenant in ("acme", "globex")}
FIRING = {tenant: story[0] for tenant, story in STORIES.items()}


def row(tenant: str, **changes: object) -> AttemptRow:
    change = FIRING[tenant]
    made = AttemptRow(
        tenant=tenant,
        decided_ns=change.at_ns,
        id=f"id-{tenant}",
        attempt=0,
        receiver="hook",
        group_key="{}",
        fingerprint=change.fingerprint,
        rule="outage",
        status="firing",
        outcome="queued",
        reason="NEW_ALERT",
        at_ns=change.at_ns,
        alerts_seq=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Place:
    """A server with two tenants' alerts, and a token for each."""

    stub: service_grpc.AlertServiceStub
    history: MemoryHistory
    tokens: dict[str, str]

    def metadata(self, who: str) -> Sequence[tuple[str, str]]:
        return (("authorization", f"Bearer {self.tokens[who]}"),)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    clock = ManualClock(now_ns=FIRING["acme"].at_ns + 60_000_000_000)
    engine, history = MemoryEngine(clock), MemoryHistory()
    store = SnapshotStore(engine.kv)
    tokens = {"admin": ADMIN, "nobody": "tn_aaaaaaaaaaaa_" + "x" * 43}
    await store.save_position(Position(watermark_ns=FIRING["acme"].at_ns))
    for tenant in ("acme", "globex"):
        await store.save_instance(FIRING[tenant])
        await history.store_attempts([row(tenant), row(tenant, attempt=1, outcome="accepted")])
        for role in (Role.READER, Role.WRITER):
            minted = mint_token(secrets.token_bytes)
            tokens[f"{tenant}-{role}"] = minted.text
            spec = TokenSpec(token_id=minted.token_id, tenant=tenant, role=role, sha256=minted.sha256)
            document = Document(Kind.TOKEN, None, minted.token_id, spec)
            await apply_document(engine.log, document, actor="test", clock=clock)
    feed = ConfigFeed(engine.log, clock)
    await feed.start()
    objectives = [
        Objective(tenant, "gold/availability", *FRACTIONS[:1], 30 * DAY_NS, 10**10, *FRACTIONS[1:])
        for tenant in ("acme", "globex")
    ]
    catalog = MemoryCatalog(shipped_rules(objectives))
    health = HealthRegistry(clock)
    health.add_probe("log", engine.probe)
    server = build_alerting_server(
        Settings(alerting_listen="127.0.0.1:0", admin_token_sha256=Secret(sha256_hex(ADMIN))),
        feed=feed,
        health=health,
        lists=AlertLists(kv=engine.kv, catalog=catalog, history=history, clock=clock),
    )
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{bound_port(server)}") as channel:
        yield Place(service_grpc.AlertServiceStub(channel), history, tokens)
    await server.stop(0)
    await feed.stop()


def reason_of(error: grpc.aio.AioRpcError) -> str:
    status = status_pb2.Status()
    details = dict(error.trailing_metadata() or ())
    status.ParseFromString(bytes(details["grpc-status-details-bin"]))
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


@contextmanager
def refused(code: grpc.StatusCode, reason: str) -> Iterator[None]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert (caught.value.code(), reason_of(caught.value)) == (code, reason)


REQUESTS = {
    "ListAlerts": service_pb2.ListAlertsRequest,
    "ListRules": service_pb2.ListRulesRequest,
    "ListNotifications": service_pb2.ListNotificationsRequest,
}


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize(
    ("who", "parent", "code", "reason"),
    [
        ("acme-reader", "tenants/globex", grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH"),
        ("acme-reader", "tenants/-", grpc.StatusCode.PERMISSION_DENIED, "PLATFORM_ONLY"),
        ("acme-writer", "tenants/acme", grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"),
        ("nobody", "tenants/acme", grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN"),
        ("acme-reader", "acme", grpc.StatusCode.INVALID_ARGUMENT, "BAD_PARENT"),
    ],
)
async def test_nobody_reads_another_tenants(
    place: Place, method: str, who: str, parent: str, code: grpc.StatusCode, reason: str
) -> None:
    with refused(code, reason):
        await getattr(place.stub, method)(REQUESTS[method](parent=parent), metadata=place.metadata(who))


@pytest.mark.parametrize("parent", ["", "tenants/acme"])
async def test_a_tenant_sees_its_own_alerts(place: Place, parent: str) -> None:
    request = service_pb2.ListAlertsRequest(parent=parent)
    answer = await place.stub.ListAlerts(request, metadata=place.metadata("acme-reader"))
    change = FIRING["acme"]

    (alert,) = answer.alerts
    assert alert.name == f"tenants/acme/alerts/{change.fingerprint}"
    assert alert.state == alerting_pb2.ALERT_STATE_FIRING
    assert alert.severity == alerting_pb2.SEVERITY_CRITICAL
    assert alert.fired_time.ToNanoseconds() == change.at_ns
    assert (alert.value, alert.threshold) == (pytest.approx(30 / 35), 0.5)
    assert not alert.HasField("resolved_time")
    assert answer.watermark_time.ToNanoseconds() == change.at_ns


async def test_the_platform_sees_all_page_by_page(place: Place) -> None:
    request = service_pb2.ListAlertsRequest(parent="tenants/-", page_size=1)
    tenants = []
    while True:
        answer = await place.stub.ListAlerts(request, metadata=place.metadata("admin"))
        tenants += [alert.tenant for alert in answer.alerts]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    assert sorted(tenants) == ["tenants/acme", "tenants/globex"]


async def test_a_page_token_is_good_for_its_own_request_only(place: Place) -> None:
    request = service_pb2.ListAlertsRequest(parent="tenants/-", page_size=1)
    answer = await place.stub.ListAlerts(request, metadata=place.metadata("admin"))
    other = service_pb2.ListAlertsRequest(parent="tenants/acme", page_token=answer.next_page_token)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "BAD_PAGE_TOKEN"):
        await place.stub.ListAlerts(other, metadata=place.metadata("acme-reader"))


async def test_alerts_are_filtered(place: Place) -> None:
    equal = alerting_pb2.MATCH_OPERATOR_EQUAL
    for value, found in (("critical", 1), ("ticket", 0)):
        matcher = alerting_pb2.Matcher(label="severity", operator=equal, value=value)
        request = service_pb2.ListAlertsRequest(matchers=[matcher])
        answer = await place.stub.ListAlerts(request, metadata=place.metadata("acme-reader"))
        assert len(answer.alerts) == found
    request = service_pb2.ListAlertsRequest(states=[alerting_pb2.ALERT_STATE_NORMAL])
    answer = await place.stub.ListAlerts(request, metadata=place.metadata("acme-reader"))
    assert len(answer.alerts) == 0


async def test_rules_show_what_they_are_made_of(place: Place) -> None:
    answer = await place.stub.ListRules(
        service_pb2.ListRulesRequest(), metadata=place.metadata("acme-reader")
    )
    burn, outage_rule = answer.rules

    assert burn.name == "tenants/acme/rules/burn-rate-1h-5m"
    assert burn.threshold == pytest.approx(14.4)
    assert (burn.long_window.seconds, burn.short_window.seconds) == (3600, 300)
    assert outage_rule.kind == alerting_pb2.RULE_KIND_OUTAGE
    assert outage_rule.keep_firing_for_duration.seconds == 30


async def test_notifications_carry_their_attempts(place: Place) -> None:
    answer = await place.stub.ListNotifications(
        service_pb2.ListNotificationsRequest(), metadata=place.metadata("globex-reader")
    )
    (notification,) = answer.notifications

    assert notification.name == "tenants/globex/notifications/id-globex"
    assert notification.state == alerting_pb2.NOTIFICATION_STATE_DELIVERED
    assert [attempt.attempt for attempt in notification.attempts] == [1]
    assert notification.firing


async def test_alerts_and_rules_answer_while_history_is_down(place: Place) -> None:
    place.history.available = False
    who = place.metadata("acme-reader")
    assert len((await place.stub.ListAlerts(service_pb2.ListAlertsRequest(), metadata=who)).alerts) == 1
    assert len((await place.stub.ListRules(service_pb2.ListRulesRequest(), metadata=who)).rules) == 2
    with refused(grpc.StatusCode.UNAVAILABLE, "HISTORY_UNAVAILABLE"):
        await place.stub.ListNotifications(service_pb2.ListNotificationsRequest(), metadata=who)


async def test_what_is_not_built_says_so(place: Place) -> None:
    with refused(grpc.StatusCode.UNIMPLEMENTED, "RPC_NOT_BUILT"):
        await place.stub.CreateSilence(
            service_pb2.CreateSilenceRequest(), metadata=place.metadata("acme-reader")
        )
