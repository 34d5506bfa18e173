"""Protobuf to model and back for maintenance windows: form is checked here, meaning in the use cases."""

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.documents_maintenance import MOST_TEXT
from services.sla.convert_requests import milliseconds
from services.sla.errors import BadMaintenanceWindow
from services.sla.maintenance.announce import Wish
from services.sla.maintenance.manage import WindowView
from services.sla.maintenance.model import WindowState
from services.sla.names import maintenance_name, parse_maintenance, parse_objective
from services.sla.paging import Page
from threenines.sla.v1 import sla_pb2, sla_service_pb2


def wish_from_proto(request: sla_service_pb2.CreateMaintenanceWindowRequest, tenant: str) -> Wish:
    """The wish for a tenant. Raises BadWindow, BadName, BadMaintenanceWindow (foreign objectives)."""
    window = request.maintenance_window
    times = [
        milliseconds(getattr(window, name), f"maintenance_window.{name}") if window.HasField(name) else None
        for name in ("start_time", "end_time")
    ]
    return Wish(
        title=window.title,
        objectives=tuple(_key(name, i, tenant) for i, name in enumerate(window.objectives)),
        start_ms=times[0],
        end_ms=times[1],
        rule=window.recurrence_rule,
        zone=window.time_zone,
        window_id=request.maintenance_window_id,
        request_id=request.request_id,
        reason=window.reason,
        retroactive=window.retroactive,
    )


def cancel_from_proto(request: sla_service_pb2.CancelMaintenanceWindowRequest) -> tuple[str, str, str]:
    """(tenant, window, reason). Raises BadName, BadMaintenanceWindow."""
    if len(request.reason) > MOST_TEXT:
        raise BadMaintenanceWindow(f"at most {MOST_TEXT} characters", field="reason")
    return *parse_maintenance(request.name), request.reason


def states_from_proto(request: sla_service_pb2.ListMaintenanceWindowsRequest) -> frozenset[WindowState]:
    """The states asked for; none means all. Raises BadMaintenanceWindow."""
    known = {int(state) for state in WindowState}
    if not known.issuperset(request.states):
        raise BadMaintenanceWindow("names a state that there is not", field="states")
    return frozenset(WindowState(state) for state in request.states)


def maintenance_to_proto(view: WindowView) -> sla_pb2.MaintenanceWindow:
    """One window."""
    window = view.window
    cancelled = None if window.cancelled_ms is None else _timestamp(window.cancelled_ms)
    return sla_pb2.MaintenanceWindow(
        name=maintenance_name(window.tenant, window.name),
        title=window.title,
        objectives=[f"tenants/{window.tenant}/objectives/{key}" for key in view.objectives],
        start_time=_timestamp(window.start_ms),
        end_time=_timestamp(window.end_ms),
        recurrence_rule=window.rule,
        time_zone=window.zone,
        create_time=_timestamp(window.announced_ms),
        creator=window.creator,
        notice_kept=view.notice_kept,
        state=sla_pb2.MaintenanceWindowState.ValueType(view.state),
        cancel_time=cancelled,
        reason=window.reason,
        retroactive=window.retroactive,
        cancel_reason=window.cancel_reason,
    )


def maintenances_to_proto(found: Page[WindowView]) -> sla_service_pb2.ListMaintenanceWindowsResponse:
    """One page."""
    return sla_service_pb2.ListMaintenanceWindowsResponse(
        maintenance_windows=[maintenance_to_proto(view) for view in found.items],
        next_page_token=found.next_token,
    )


def _key(name: str, i: int, tenant: str) -> str:
    field = f"maintenance_window.objectives[{i}]"
    owner, key = parse_objective(name, field=field)
    if owner != tenant:
        raise BadMaintenanceWindow("belongs to another tenant", field=field)
    return key


def _timestamp(time_ms: int) -> Timestamp:
    found = Timestamp()
    found.FromMilliseconds(time_ms)
    return found
