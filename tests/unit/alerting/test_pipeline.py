"""Stages say why; the webhook's bytes are Alertmanager's."""

import json

import pytest

from services.alerting.labels import fingerprint, group_text
from services.alerting.model import Transition
from services.alerting.pipeline import Candidate, Queued, Reason, decide
from services.alerting.ports import Receiver
from services.alerting.webhook import body, payload
from tests.unit.alerting.transitions_text import outage_story

RECEIVER = Receiver("hook", "hook", "http://127.0.0.1:1/hook")
FIRES, RECOVERS, RESOLVES = outage_story()


def reason(change: Transition, queued: Queued | None, receiver: Receiver = RECEIVER) -> tuple[Reason, bool]:
    decision = decide(Candidate(change, alerts_seq=10, receiver=receiver, queued=queued))
    return decision.reason, decision.notification is not None


THIS = Queued(started_ns=FIRES.started_ns, alerts_seq=9)
EARLIER = Queued(started_ns=FIRES.started_ns - 1, alerts_seq=5)


@pytest.mark.parametrize(
    ("change", "queued", "expected"),
    [
        (FIRES, None, (Reason.NEW_ALERT, True)),
        (FIRES, EARLIER, (Reason.NEW_ALERT, True)),
        (FIRES, Queued(FIRES.started_ns, 10), (Reason.ALREADY_QUEUED, False)),
        (RECOVERS, THIS, (Reason.STILL_ACTIVE, False)),
        (RESOLVES, THIS, (Reason.RESOLVED, True)),
        (RESOLVES, None, (Reason.NO_FIRING_SENT, False)),
        (RESOLVES, EARLIER, (Reason.NO_FIRING_SENT, False)),
        (RESOLVES, Queued(FIRES.started_ns, 10), (Reason.ALREADY_QUEUED, False)),
    ],
)
def test_each_decision_has_its_reason(
    change: Transition, queued: Queued | None, expected: tuple[Reason, bool]
) -> None:
    assert reason(change, queued) == expected


def test_a_receiver_may_not_want_to_hear_of_the_end() -> None:
    quiet = Receiver("hook", "hook", "http://127.0.0.1:1/hook", send_resolved=False)

    assert reason(RESOLVES, THIS, quiet) == (Reason.RESOLVED_NOT_WANTED, False)


def test_beginning_and_end_have_keys_of_their_own() -> None:
    ids = set()
    for change, queued in ((FIRES, None), (RESOLVES, THIS)):
        decision = decide(Candidate(change, 10, RECEIVER, queued))
        assert decision.notification is not None
        ids.add(decision.notification.id)

    assert len(ids) == 2


def test_the_fingerprint_is_alertmanagers() -> None:
    """Fixtures of prometheus/common `model/signature_test.go`."""
    assert int(fingerprint({}), 16) == 14695981039346656037
    labels = {"name": "garland, briggs", "fear": "love is not enough"}
    assert int(fingerprint(labels), 16) == 5799056148416392346


def test_group_labels_are_written_as_alertmanager_writes_them() -> None:
    assert group_text({"b": 'x"y\\z\n', "a": "1"}) == '{a="1", b="x\\"y\\\\z\\n"}'


def test_the_payload_is_version_four_and_nothing_else() -> None:
    decision = decide(Candidate(FIRES, 10, RECEIVER, None))
    assert decision.notification is not None
    message = payload(decision.notification, receiver="hook", external_url="http://tn.example")

    labels = {
        "alertname": "outage",
        "objective": "gold/availability",
        "severity": "critical",
        "tenant": "acme",
    }
    annotations = {
        "summary": "acme gold/availability: 30 of 35 requests failed (85.71 %)",
        "description": "SLICE_DOWN. Slice from 2025-10-09T08:53:40.000Z of 10 s, revision 1: "
        "30 bad of 35; down above 1/2. Evaluated at log time 2025-10-09T08:53:50.000Z.",
    }
    assert message == {
        "version": "4",
        "groupKey": '{}:{alertname="outage", tenant="acme"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "hook",
        "groupLabels": {"alertname": "outage", "tenant": "acme"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://tn.example",
        "notification_reason": "new alert",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": "2025-10-09T08:53:50.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://tn.example/tenants/acme/rules/outage",
                "fingerprint": fingerprint(labels),
            }
        ],
    }


def test_the_end_carries_the_time_of_the_beginning() -> None:
    decision = decide(Candidate(RESOLVES, 10, RECEIVER, THIS))
    assert decision.notification is not None
    (alert,) = json.loads(body(decision.notification, receiver="hook", external_url=""))["alerts"]

    assert alert["status"] == "resolved"
    assert alert["startsAt"] == "2025-10-09T08:53:50.000Z"
    assert alert["endsAt"] == "2025-10-09T08:54:40.000Z"
    assert alert["annotations"]["summary"] == "acme gold/availability: recovered from outage"
