"""Resource names: what the contracts call things, into what this service calls them and back."""

import re

from services.sla.errors import BadName
from services.sla.model import Objective

_TENANT = r"tenants/([a-z0-9-]{1,63})"
_ID = r"([a-z0-9-]{1,63})"
_OBJECTIVE = re.compile(f"^{_TENANT}/objectives/{_ID}/{_ID}$")
_CONTRACT = re.compile(f"^{_TENANT}/contracts/{_ID}$")
_STATUS = re.compile(f"^{_TENANT}/slaStatus$")
_MAINTENANCE = re.compile(f"^{_TENANT}/maintenanceWindows/{_ID}$")
_REPORT = re.compile(f"^{_TENANT}/reports/{_ID}$")
_PARENT = re.compile(f"^{_TENANT}$")


def objective_name(objective: Objective) -> str:
    """`tenants/{tenant}/objectives/{contract}/{objective}`: objectives are named inside their contract."""
    return f"tenants/{objective.tenant}/objectives/{objective.key}"


def contract_name(tenant: str, contract: str) -> str:
    """`tenants/{tenant}/contracts/{contract}`."""
    return f"tenants/{tenant}/contracts/{contract}"


def status_name(tenant: str) -> str:
    """`tenants/{tenant}/slaStatus`."""
    return f"tenants/{tenant}/slaStatus"


def parse_objective(name: str, *, field: str = "objective") -> tuple[str, str]:
    """(tenant, `<contract>/<objective>`).

    Raises:
        BadName: it has another form.
    """
    found = _matched(_OBJECTIVE, name, field, "tenants/{tenant}/objectives/{contract}/{objective}")
    return found[1], f"{found[2]}/{found[3]}"


def parse_contract(name: str, *, field: str = "name") -> tuple[str, str]:
    """(tenant, contract). Raises BadName."""
    found = _matched(_CONTRACT, name, field, "tenants/{tenant}/contracts/{contract}")
    return found[1], found[2]


def parse_status(name: str, *, field: str = "name") -> str | None:
    """The tenant; None for the empty name, which means the caller's. Raises BadName."""
    return _matched(_STATUS, name, field, "tenants/{tenant}/slaStatus")[1] if name else None


def maintenance_name(tenant: str, window: str) -> str:
    """`tenants/{tenant}/maintenanceWindows/{window}`."""
    return f"tenants/{tenant}/maintenanceWindows/{window}"


def parse_maintenance(name: str, *, field: str = "name") -> tuple[str, str]:
    """(tenant, window). Raises BadName."""
    found = _matched(_MAINTENANCE, name, field, "tenants/{tenant}/maintenanceWindows/{window}")
    return found[1], found[2]


def report_name(tenant: str, report: str) -> str:
    """`tenants/{tenant}/reports/{report}`."""
    return f"tenants/{tenant}/reports/{report}"


def parse_report(name: str, *, field: str = "name") -> tuple[str, str]:
    """(tenant, report). Raises BadName."""
    found = _matched(_REPORT, name, field, "tenants/{tenant}/reports/{report}")
    return found[1], found[2]


def parse_parent(name: str, *, field: str = "parent") -> str | None:
    """The tenant; None for the empty name, which means the caller's. Raises BadName."""
    return _matched(_PARENT, name, field, "tenants/{tenant}")[1] if name else None


def _matched(pattern: re.Pattern[str], name: str, field: str, form: str) -> re.Match[str]:
    found = pattern.match(name)
    if found is None:
        raise BadName(f"must have the form {form}", field=field)
    return found
