"""The client for programs without an event loop."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from fractions import Fraction
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from threenines.client import requests
from threenines.client.errors import call_error
from threenines.client.figures import (
    LatencyFigure,
    TenantStatus,
    UptimeFigure,
    latency_of,
    status_of,
    uptime_of,
)
from threenines.client.requests import CHANNEL_OPTIONS, Target, Window
from threenines.sla.v1 import sla_service_pb2_grpc
from threenines.sla.v1.sla_service_pb2 import ListObjectivesRequest

_R = TypeVar("_R")


class Client:
    """Asks the SLA service. Threads may share one; `close` it, or use it in a `with`.

    Args:
        address: `host:port`.
        token: the bearer token; None where authentication is off.
        ca: PEM of the certificate authority; None means plaintext.
        tenant: whose figures, when the credential is not a client's own.
        timeout_s: for every call, its retries included.

    Every method raises CallError when the service refuses or does not answer, and ValueError for a name
    or a window that cannot be meant.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        ca: bytes | None = None,
        tenant: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._target = Target(address, token, ca, tenant)
        self._timeout_s = timeout_s
        self._tenant = tenant
        secret = self._target.credentials
        self._channel = (
            grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
            if secret is None
            else grpc.secure_channel(address, secret, options=CHANNEL_OPTIONS)
        )
        self._stub = sla_service_pb2_grpc.SlaServiceStub(self._channel)

    @classmethod
    def from_env(cls, *, timeout_s: float = 10.0) -> Self:
        """From THREENINES_SLA_ADDRESS, THREENINES_TOKEN, THREENINES_CA_FILE and THREENINES_TENANT."""
        target = Target.from_env(os.environ)  # noqa: TID251 - what this method is for
        return cls(
            target.address, token=target.token, ca=target.ca, tenant=target.tenant, timeout_s=timeout_s
        )

    def uptime(self, objective: str, window: Window = None, *, as_of: datetime | None = None) -> UptimeFigure:
        """Availability of `<contract>/<objective>`; as it was known at `as_of` when that is given."""
        request = requests.uptime_request(self.tenant, objective, window, as_of)
        return uptime_of(self._call(self._stub.GetUptime, request).uptime)

    def latency(
        self,
        objective: str,
        window: Window = None,
        *,
        quantile: Fraction | str | None = None,
        as_of: datetime | None = None,
    ) -> LatencyFigure:
        """A latency quantile of `<contract>/<objective>`; the objective's own when none is given."""
        request = requests.latency_request(self.tenant, objective, window, as_of, quantile)
        return latency_of(self._call(self._stub.GetLatency, request).latency)

    def status(self, window: Window = None, *, as_of: datetime | None = None) -> TenantStatus:
        """Every objective of the client with its verdict."""
        request = requests.status_request(self._tenant, window, as_of)
        return status_of(self._call(self._stub.GetSlaStatus, request))

    def watch(self, window: Window = None) -> Iterator[TenantStatus]:
        """The status now and after every change, until the iterator is closed."""
        request = requests.watch_request(self._tenant, window)
        stream = self._stub.WatchSlaStatus(request, metadata=self._target.metadata)
        try:
            for message in stream:
                yield status_of(message.sla_status)
        except grpc.RpcError as error:
            raise call_error(error) from None
        finally:
            stream.cancel()

    @property
    def tenant(self) -> str:
        """Whose figures; asked once when it follows from the credential."""
        if self._tenant is None:
            page = self._call(self._stub.ListObjectives, ListObjectivesRequest(page_size=1))
            if page.objectives:
                self._tenant = requests.tenant_of(page.objectives[0].name)
            else:
                status = self._call(self._stub.GetSlaStatus, requests.status_request(None, None, None))
                self._tenant = requests.tenant_of(status.name)
        return self._tenant

    def objectives(self) -> list[str]:
        """`<contract>/<objective>` of every objective of the client."""
        names: list[str] = []
        token = ""
        while True:
            request = ListObjectivesRequest(parent=f"tenants/{self.tenant}", page_token=token)
            page = self._call(self._stub.ListObjectives, request)
            names += [one.name.split("/objectives/")[-1] for one in page.objectives]
            token = page.next_page_token
            if not token:
                return names

    def close(self) -> None:
        """Close the channel; the client is of no use afterwards."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., _R], request: Any) -> _R:
        try:
            return method(request, metadata=self._target.metadata, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise call_error(error) from None
