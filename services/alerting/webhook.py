"""The body that a webhook receives: Alertmanager's payload, version 4, byte for byte its schema.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config and the fields of
`notify/webhook` in prometheus/alertmanager. Nothing of our own stands at the top level: strict
consumers keep working, and what we add is in annotations. Pure.
"""

import json
from typing import Any

from services.alerting.describe import rfc3339
from services.alerting.pipeline import Notification, Reason, Status

CONTENT_TYPE = "application/json"
VERSION = "4"
NOT_ENDED = "0001-01-01T00:00:00Z"
"""Go's zero time: how Alertmanager writes the end of an alert that has none."""

_NOTIFICATION_REASON = {Reason.NEW_ALERT: "new alert", Reason.RESOLVED: "resolved"}


def payload(notification: Notification, *, receiver: str, external_url: str) -> dict[str, Any]:
    """The message. A group holds one alert for now, so common labels are that alert's."""
    alert = _alert(notification, external_url)
    return {
        "version": VERSION,
        "groupKey": notification.group_key,
        "truncatedAlerts": 0,
        "status": notification.status.value,
        "receiver": receiver,
        "groupLabels": dict(notification.group_labels),
        "commonLabels": alert["labels"],
        "commonAnnotations": alert["annotations"],
        "externalURL": external_url,
        "notification_reason": _NOTIFICATION_REASON.get(notification.reason, ""),
        "alerts": [alert],
    }


def body(notification: Notification, *, receiver: str, external_url: str) -> bytes:
    """The bytes to POST; the same notification always gives the same bytes."""
    message = payload(notification, receiver=receiver, external_url=external_url)
    return json.dumps(message, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _alert(notification: Notification, external_url: str) -> dict[str, Any]:
    change = notification.change
    resolved = notification.status is Status.RESOLVED
    return {
        "status": notification.status.value,
        "labels": dict(change.labels),
        "annotations": dict(change.annotations),
        "startsAt": rfc3339(change.started_ns),
        "endsAt": rfc3339(change.at_ns) if resolved else NOT_ENDED,
        "generatorURL": f"{external_url}/tenants/{change.tenant}/rules/{change.rule}" if external_url else "",
        "fingerprint": change.fingerprint,
    }
