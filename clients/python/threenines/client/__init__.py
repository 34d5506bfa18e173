"""A typed client for SLA figures. Three lines for a figure:

    from threenines.client import Client

    with Client.from_env() as sla:
        print(sla.uptime("gold/availability").percent)

`AsyncClient` has the same methods as coroutines. It needs grpcio and the generated contracts, and
nothing of the services.
"""

from threenines.client.aio import AsyncClient
from threenines.client.errors import CallError
from threenines.client.figures import (
    Budget,
    LatencyFigure,
    ObjectiveFigure,
    TenantStatus,
    UptimeFigure,
    Verdict,
)
from threenines.client.requests import Window
from threenines.client.sync import Client

__all__ = [
    "AsyncClient",
    "Budget",
    "CallError",
    "Client",
    "LatencyFigure",
    "ObjectiveFigure",
    "TenantStatus",
    "UptimeFigure",
    "Verdict",
    "Window",
]
