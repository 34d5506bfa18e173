"""Model to proto and back, pure and total. Floats appear here and only here: for display."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.alerting.list import (
    ACTIVE_STATES,
    AlertQuery,
    NotificationQuery,
    NotificationView,
    Page,
    PageRequest,
)
from services.alerting.model import BurnRate, Outage, Rule, State, Transition
from services.alerting.ports import AttemptRow
from services.common.errors import InvalidArgument
from threenines.alerting.v1 import alert_service_pb2 as service_pb2
from threenines.alerting.v1 import alerting_pb2

_STATES = {
    State.NORMAL: alerting_pb2.ALERT_STATE_NORMAL,
    State.PENDING: alerting_pb2.ALERT_STATE_PENDING,
    State.FIRING: alerting_pb2.ALERT_STATE_FIRING,
    State.RECOVERING: alerting_pb2.ALERT_STATE_RECOVERING,
    State.NO_DATA: alerting_pb2.ALERT_STATE_NO_DATA,
    State.ERROR: alerting_pb2.ALERT_STATE_ERROR,
}
_SEVERITIES = {
    "critical": alerting_pb2.SEVERITY_CRITICAL,
    "page": alerting_pb2.SEVERITY_CRITICAL,
    "ticket": alerting_pb2.SEVERITY_WARNING,
}
_NOTIFICATION_STATES = {
    "queued": alerting_pb2.NOTIFICATION_STATE_PENDING,
    "accepted": alerting_pb2.NOTIFICATION_STATE_DELIVERED,
    "dead": alerting_pb2.NOTIFICATION_STATE_DEAD,
    "held": alerting_pb2.NOTIFICATION_STATE_SUPPRESSED,
}


# -- requests ---------------------------------------------------------------------------------


def alert_query(request: service_pb2.ListAlertsRequest) -> AlertQuery:
    """Raises InvalidArgument for an unknown state, operator or expression."""
    states = frozenset(_state(number) for number in request.states) or ACTIVE_STATES
    rule = request.rule.rpartition("/")[2]
    bare = service_pb2.ListAlertsRequest()
    bare.CopyFrom(request)
    bare.ClearField("page_token")
    bare.ClearField("page_size")
    return AlertQuery(
        parent=request.parent,
        states=states,
        matches=_matching(request.matchers),
        rule=rule,
        page=PageRequest(request.page_size, request.page_token),
        text=bare.SerializeToString(deterministic=True).hex(),
    )


def notification_query(request: service_pb2.ListNotificationsRequest) -> NotificationQuery:
    """Raises InvalidArgument for an unknown state."""
    states = {_notification_state(number) for number in request.states}
    alert = request.alert.rpartition("/")[2]
    receiver = request.receiver

    def wanted(view: NotificationView) -> bool:
        row = view.decision
        return (
            (not states or view.state in states)
            and (not alert or row.fingerprint == alert)
            and (not receiver or row.receiver == receiver)
        )

    bare = service_pb2.ListNotificationsRequest()
    bare.CopyFrom(request)
    bare.ClearField("page_token")
    bare.ClearField("page_size")
    return NotificationQuery(
        parent=request.parent,
        wanted=wanted,
        from_ns=request.start_time.ToNanoseconds() if request.HasField("start_time") else None,
        to_ns=request.end_time.ToNanoseconds() if request.HasField("end_time") else None,
        page=PageRequest(request.page_size, request.page_token),
        text=bare.SerializeToString(deterministic=True).hex(),
    )


def _state(number: int) -> State:
    for state, value in _STATES.items():
        if value == number:
            return state
    raise InvalidArgument(f"unknown state {number}", field="states")


def _notification_state(number: int) -> str:
    for state, value in _NOTIFICATION_STATES.items():
        if value == number:
            return state
    raise InvalidArgument(f"unknown state {number}", field="states")


def _matching(matchers: Sequence[alerting_pb2.Matcher]) -> Callable[[Transition], bool]:
    checks = [_matcher(index, matcher) for index, matcher in enumerate(matchers)]
    return lambda change: all(check(change.labels) for check in checks)


def _matcher(index: int, matcher: alerting_pb2.Matcher) -> Callable[[Mapping[str, str]], bool]:
    label, value, operator = matcher.label, matcher.value, matcher.operator
    if operator == alerting_pb2.MATCH_OPERATOR_EQUAL:
        return lambda labels: labels.get(label, "") == value
    if operator == alerting_pb2.MATCH_OPERATOR_NOT_EQUAL:
        return lambda labels: labels.get(label, "") != value
    if operator not in (alerting_pb2.MATCH_OPERATOR_REGEX, alerting_pb2.MATCH_OPERATOR_NOT_REGEX):
        raise InvalidArgument("a matcher needs an operator", field=f"matchers[{index}].operator")
    # Python's own expressions could be made to run for ever; RE2 comes with silences.
    raise InvalidArgument(
        "expressions are not built yet: use EQUAL or NOT_EQUAL",
        reason="REGEX_NOT_BUILT",
        field=f"matchers[{index}].operator",
    )


# -- answers ----------------------------------------------------------------------------------


def alerts_to_proto(
    found: tuple[list[Transition], Page, int],
) -> service_pb2.ListAlertsResponse:
    """A page of alerts."""
    changes, page, watermark_ns = found
    return service_pb2.ListAlertsResponse(
        alerts=[alert_to_proto(change) for change in changes],
        next_page_token=page.next_token,
        watermark_time=_time(watermark_ns),
    )


def alert_to_proto(change: Transition) -> alerting_pb2.Alert:
    """An alert as its last transition left it."""
    new = change.new
    value, threshold = _compared(change)
    parent = f"tenants/{change.tenant}"
    return alerting_pb2.Alert(
        name=f"{parent}/alerts/{change.fingerprint}",
        tenant=parent,
        rule=f"{parent}/rules/{change.rule}",
        fingerprint=change.fingerprint,
        labels=dict(change.labels),
        annotations=dict(change.annotations),
        severity=_SEVERITIES.get(change.severity, alerting_pb2.SEVERITY_UNSPECIFIED),
        state=_STATES[new.state],
        active_time=_time(new.pending_ns or change.old.pending_ns),
        fired_time=_time(change.started_ns),
        resolved_time=_time(change.at_ns if change.resolves else 0),
        evaluation_time=_time(change.at_ns),
        value=None if value is None else float(value),
        threshold=None if threshold is None else float(threshold),
        objective=f"{parent}/objectives/{change.objective}",
        data_complete=False,
        error=change.finding.reason if new.state is State.ERROR else "",
        sequence=change.slices_seq,
    )


def _compared(change: Transition) -> tuple[Fraction | None, Fraction | None]:
    """What was compared with what: error rates, as shares."""
    value = change.finding.value
    if "long_bad" in value:
        total = int(value["long_total"])
        rate = Fraction(int(value["long_bad"]), total) if total else None
        return rate, Fraction(str(value["threshold"]))
    if "total" in value:
        return Fraction(int(value["bad"]), int(value["total"])), Fraction(str(value["down_above"]))
    return None, None


def rules_to_proto(found: tuple[list[tuple[Rule, str]], Page]) -> service_pb2.ListRulesResponse:
    """A page of rules."""
    rules, page = found
    return service_pb2.ListRulesResponse(
        rules=[rule_to_proto(rule, refused) for rule, refused in rules], next_page_token=page.next_token
    )


def rule_to_proto(rule: Rule, refused: str) -> alerting_pb2.Rule:
    """A rule; one that is refused says why in the annotation `refused`."""
    parent = f"tenants/{rule.tenant}"
    shown = alerting_pb2.Rule(
        name=f"{parent}/rules/{rule.name}",
        display_name=rule.name,
        severity=_SEVERITIES.get(rule.severity, alerting_pb2.SEVERITY_UNSPECIFIED),
        objective=f"{parent}/objectives/{rule.objective}",
        for_duration=_duration(rule.for_ns),
        keep_firing_for_duration=_duration(rule.keep_firing_for_ns),
        interval=Duration(seconds=1),
        labels={"severity": rule.severity},
        annotations={"refused": refused} if refused else {},
        version=rule.version,
        built_in=rule.built_in,
    )
    match rule.condition:
        case Outage() as outage:
            shown.kind = alerting_pb2.RULE_KIND_OUTAGE
            shown.threshold = float(outage.down_above)
            shown.min_total_count = outage.min_requests
        case BurnRate() as burn:
            shown.kind = alerting_pb2.RULE_KIND_BURN_RATE
            shown.threshold = float(burn.factor)
            shown.min_bad_count = burn.min_bad
            shown.long_window.CopyFrom(_duration(burn.long_ns))
            shown.short_window.CopyFrom(_duration(burn.short_ns))
    return shown


def notifications_to_proto(
    found: tuple[list[NotificationView], Page],
) -> service_pb2.ListNotificationsResponse:
    """A page of notifications."""
    views, page = found
    return service_pb2.ListNotificationsResponse(
        notifications=[notification_to_proto(view) for view in views], next_page_token=page.next_token
    )


def notification_to_proto(view: NotificationView) -> alerting_pb2.Notification:
    """A notification with its attempts."""
    row = view.decision
    parent = f"tenants/{row.tenant}"
    accepted = [attempt.at_ns for attempt in view.attempts if attempt.outcome == "accepted"]
    return alerting_pb2.Notification(
        name=f"{parent}/notifications/{row.id}",
        receiver=row.receiver,
        group_key=row.group_key,
        idempotency_key=row.id,
        firing=row.status == "firing",
        alerts=[f"{parent}/alerts/{row.fingerprint}"],
        state=_NOTIFICATION_STATES[view.state],
        reason=row.reason,
        create_time=_time(row.decided_ns),
        deliver_time=_time(accepted[0] if accepted else 0),
        attempts=[_attempt(attempt) for attempt in view.attempts],
    )


def _attempt(row: AttemptRow) -> alerting_pb2.NotificationAttempt:
    return alerting_pb2.NotificationAttempt(
        attempt=row.attempt,
        receiver=row.receiver,
        start_time=_time(row.at_ns - row.duration_ms * 1_000_000),
        duration=_duration(row.duration_ms * 1_000_000),
        status_code=row.status_code,
        error=row.error,
        reason=row.reason,
        retry_after=_duration(row.retry_after_ms * 1_000_000) if row.retry_after_ms else None,
    )


def _time(time_ns: int) -> Timestamp | None:
    """None for 0, which is how the model writes "not yet"."""
    if time_ns <= 0:
        return None
    return Timestamp(seconds=time_ns // 1_000_000_000, nanos=time_ns % 1_000_000_000)


def _duration(length_ns: int) -> Duration:
    return Duration(seconds=length_ns // 1_000_000_000, nanos=length_ns % 1_000_000_000)
