"""Questions as messages, and where to ask them: shared by both clients, without any I/O but reading a file.

Windows are written as people say them: `30d`, `month`, or a pair of times.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from threenines.sla.v1 import sla_pb2, sla_service_pb2

Window = str | timedelta | tuple[datetime, datetime] | None
"""`30d`, `12h`, `45m`, `10s`; `day`, `week`, `month`, `quarter`, `year` (in the contract's zone, so far); a
timedelta; or (start, end), both with a zone. None: the objective's own."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ROLLING = re.compile(r"^(\d+)([smhdw])$")
_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "threenines.sla.v1.SlaService"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
CHANNEL_OPTIONS = (
    ("grpc.service_config", json.dumps(_RETRIES)),
    ("grpc.max_receive_message_length", 64 << 20),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the service is and how to sign in.

    Attributes:
        address: `host:port` of the SLA service.
        token: the bearer token; None where authentication is off.
        ca: the certificate authority, PEM; None means plaintext, which is for a laptop only.
        tenant: whose figures, when the credential is not a client's own.
    """

    address: str
    token: str | None = None
    ca: bytes | None = None
    tenant: str | None = None

    def __repr__(self) -> str:
        return f"Target({self.address!r}, token=***, tls={self.ca is not None}, tenant={self.tenant!r})"

    @staticmethod
    def from_env(environ: Mapping[str, str]) -> "Target":
        """From THREENINES_SLA_ADDRESS, THREENINES_TOKEN, THREENINES_CA_FILE and THREENINES_TENANT."""
        ca_file = environ.get("THREENINES_CA_FILE")
        return Target(
            environ.get("THREENINES_SLA_ADDRESS", "127.0.0.1:7710"),
            environ.get("THREENINES_TOKEN"),
            Path(ca_file).read_bytes() if ca_file else None,
            environ.get("THREENINES_TENANT"),
        )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What signs a call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """For TLS; None for plaintext."""
        return None if self.ca is None else grpc.ssl_channel_credentials(self.ca)


def uptime_request(
    tenant: str, objective: str, window: Window, as_of: datetime | None
) -> sla_service_pb2.GetUptimeRequest:
    """GetUptime of `<contract>/<objective>`."""
    return sla_service_pb2.GetUptimeRequest(
        objective=objective_name(tenant, objective), window=window_message(window), as_of_time=_time(as_of)
    )


def latency_request(
    tenant: str, objective: str, window: Window, as_of: datetime | None, quantile: Fraction | str | None
) -> sla_service_pb2.GetLatencyRequest:
    """GetLatency of `<contract>/<objective>`."""
    share = None if quantile is None else Fraction(quantile)
    return sla_service_pb2.GetLatencyRequest(
        objective=objective_name(tenant, objective),
        window=window_message(window),
        as_of_time=_time(as_of),
        quantile=None
        if share is None
        else sla_pb2.Ratio(numerator=share.numerator, denominator=share.denominator),
    )


def tenant_of(name: str) -> str:
    """Whose a resource is, from its name."""
    return name.split("/")[1]


def status_request(
    tenant: str | None, window: Window, as_of: datetime | None
) -> sla_service_pb2.GetSlaStatusRequest:
    """GetSlaStatus; no tenant means the credential's own."""
    name = "" if tenant is None else f"tenants/{tenant}/slaStatus"
    return sla_service_pb2.GetSlaStatusRequest(
        name=name, window=window_message(window), as_of_time=_time(as_of)
    )


def watch_request(tenant: str | None, window: Window) -> sla_service_pb2.WatchSlaStatusRequest:
    """WatchSlaStatus; no tenant means the credential's own."""
    name = "" if tenant is None else f"tenants/{tenant}/slaStatus"
    return sla_service_pb2.WatchSlaStatusRequest(name=name, window=window_message(window))


def objective_name(tenant: str, objective: str) -> str:
    """The resource name; a full one is taken as it is."""
    if objective.startswith("tenants/"):
        return objective
    if objective.count("/") != 1:
        raise ValueError(f"an objective is named `<contract>/<objective>`, not {objective!r}")
    return f"tenants/{tenant}/objectives/{objective}"


def window_message(window: Window) -> sla_pb2.Window | None:
    """The window as a message.

    Raises:
        ValueError: it is none of the forms, or its times have no zone.
    """
    if window is None:
        return None
    if isinstance(window, timedelta):
        return sla_pb2.Window(rolling_period=_duration(window))
    if isinstance(window, tuple):
        start, end = window
        return sla_pb2.Window(custom=sla_pb2.CustomWindow(start_time=_time(start), end_time=_time(end)))
    if found := _ROLLING.match(window):
        return sla_pb2.Window(rolling_period=Duration(seconds=int(found[1]) * _SECONDS[found[2]]))
    name = f"CALENDAR_PERIOD_{window.upper()}"
    if name in sla_pb2.CalendarPeriod.keys() and window != "unspecified":  # noqa: SIM118 - no mapping
        period = sla_pb2.CalendarPeriod.Value(name)
        return sla_pb2.Window(calendar=sla_pb2.CalendarWindow(period=period))
    raise ValueError(f"a window is 30d, 12h, month, a timedelta or (start, end), not {window!r}")


def _duration(value: timedelta) -> Duration:
    out = Duration()
    out.FromTimedelta(value)
    return out


def _time(value: datetime | None) -> Timestamp | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    out = Timestamp()
    out.FromDatetime(value)
    return out
