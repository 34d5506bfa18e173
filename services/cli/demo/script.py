"""The demonstration, scene by scene, on a fresh directory. Every figure that it prints is checked.

It drives `threenines up` from outside, as a person would: a process of its own, the same RPCs as
the other commands, and three company processes that know only OTEL_* variables.
"""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.cli.commands import config as config_command
from services.cli.commands import sla as sla_command
from services.cli.commands import tenant as tenant_command
from services.cli.connection import Connection, connect
from services.cli.demo.configuration import COMPANIES, FAULTY, CompanyPlan
from services.cli.demo.ledger import acknowledged_points, first_failure_ns, served_requests, stored_points
from services.cli.demo.webhook import Received, WebhookReceiver
from services.common.clock import SystemClock
from services.common.errors import FailedPrecondition, Unavailable
from services.embedded.layout import HOST, STANDARD_PORTS, DataDir
from services.embedded.ports import holder_of
from threenines.sla.v1 import sla_pb2

HEALTHY_S = 30.0
AFTER_S = 20.0  # until the slices of the outage are sealed: verdicts read sealed slices only
_PROMISE_S = 60.0
_POLL_S = 0.2

_PORT_BASES, _CLAIM = range(24_100, 32_000, 100), 99
_claims: list[socket.socket] = []
"""Hold the ports that stand for the ranges which this process chose."""


@dataclass(slots=True)
class Demo:
    """The running demonstration."""

    root: Path
    console: Console
    clock: SystemClock = field(default_factory=SystemClock)
    _up: subprocess.Popen[bytes] | None = None
    _companies: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def data_dir(self) -> DataDir:
        """The fresh data directory."""
        return DataDir(self.root / "data")

    @property
    def connection(self) -> Connection:
        """How to reach the platform that was started."""
        return connect(self.data_dir.root, {})

    def ledger(self, tenant: str) -> Path:
        """What a company says of itself."""
        return self.root / f"{tenant}.jsonl"

    @property
    def fault(self) -> Path:
        """The outage lasts while this file exists."""
        return self.root / "outage"

    async def start_platform(self) -> float:
        """Run `threenines up`; seconds until everything serves.

        Raises:
            Unavailable: it did not come up.
        """
        begun = self.clock.monotonic_ns()
        self._up = up = self._spawn_up()
        while not self.data_dir.state_file.exists():
            if up.poll() is not None:
                raise Unavailable(
                    f"`threenines up` ended: {(self.root / 'up.log').read_text().strip()[-500:]}",
                    reason="UP_FAILED",
                )
            await self.clock.sleep(_POLL_S)
        return (self.clock.monotonic_ns() - begun) / 1e9

    def _spawn_up(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "services.cli.main", "up", "--port-base", str(free_port_base())]
        argv += ["--data-dir", str(self.data_dir.root)]
        with (self.root / "up.log").open("wb") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)

    async def start_companies(self, webhook_url: str) -> None:
        """Tenants, contracts and receivers; then one process for each company."""
        for company in COMPANIES:
            token = tenant_command.create_tenant(self.connection, company.tenant, company.title)
            await self._apply(company, webhook_url)
            self._start_company(company, token.secret)

    async def _apply(self, company: CompanyPlan, webhook_url: str) -> None:
        path = self.root / f"{company.tenant}.yaml"
        path.write_text(company.documents(webhook_url))
        await config_command.apply_files(self.connection.address("nats"), [path])

    def _start_company(self, company: CompanyPlan, secret: str) -> None:
        otel = dict(
            line.removeprefix("export ").split("=", 1)
            for line in tenant_command.otel_lines(self.connection.address("otlp"), secret)
            if "HISTOGRAM_AGGREGATION" not in line
        )
        environ = {**os.environ, **otel, "OTEL_METRIC_EXPORT_INTERVAL": "5000", **dict(company.environ)}  # noqa: TID251
        argv = [sys.executable, "-m", "services.cli.demo.company", "--name", company.tenant]
        argv += ["--ledger", str(self.ledger(company.tenant))]
        argv += ["--fault", str(self.fault if company.tenant == FAULTY else self.root / "never")]
        with (self.root / f"{company.tenant}.log").open("wb") as log:
            self._companies[company.tenant] = subprocess.Popen(argv, env=environ, stdout=log, stderr=log)

    async def stop_companies(self) -> None:
        """SIGTERM: each exports what it has left, then ends."""
        for process in self._companies.values():
            process.send_signal(signal.SIGTERM)
        for process in self._companies.values():
            await asyncio.to_thread(process.wait, 30)

    async def stop_platform(self) -> bool:
        """SIGTERM; True when it drained and left nothing behind."""
        if self._up is None:
            return True
        self._up.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self._up.wait, 60)
        return code == 0 and not self.data_dir.state_file.exists()

    def kill_everything(self) -> None:
        """When something failed: nothing stays behind."""
        for process in (*self._companies.values(), self._up):
            if process is not None and process.poll() is None:
                process.kill()

    async def fault_to_post(self, receiver: WebhookReceiver, alertname: str) -> tuple[float, Received]:
        """Seconds from the first failed request to the POST about an alert.

        Raises:
            Unavailable: no POST within 60 s.
        """
        deadline_ns = self.clock.monotonic_ns() + round(_PROMISE_S * 1e9)
        while self.clock.monotonic_ns() < deadline_ns:
            failed_ns = first_failure_ns(self.ledger(FAULTY))
            post = receiver.first(alertname=alertname, tenant=FAULTY, status="firing")
            if failed_ns is not None and post is not None:
                return (post.time_ns - failed_ns) / 1e9, post
            await self.clock.sleep(_POLL_S)
        raise Unavailable(f"no {alertname} alert within {_PROMISE_S:g} s", reason="ALERT_MISSING")

    async def settled(self) -> list[sla_pb2.SlaStatus]:
        """The SLA status of every company, once its counts are those of the companies or after 40 s."""
        deadline_ns = self.clock.monotonic_ns() + 40_000_000_000
        served = {company.tenant: served_requests(self.ledger(company.tenant)) for company in COMPANIES}
        while True:
            statuses = sla_command.fetch(self.connection, [], None)
            if counted_requests(statuses) == served or self.clock.monotonic_ns() > deadline_ns:
                return statuses
            await self.clock.sleep(_POLL_S)

    def restarted_children(self) -> list[str]:
        """Who died although nobody killed it."""
        children = json.loads(self.data_dir.state_file.read_text())["children"]
        return [child["name"] for child in children if child["restarts"]]

    async def drained(self) -> dict[str, tuple[int, int]]:
        """(acknowledged, stored) by tenant, once equal or after 30 s."""
        deadline_ns = self.clock.monotonic_ns() + 30_000_000_000
        while True:
            stored = await stored_points(self.connection.address("clickhouse"))
            counts = {
                company.tenant: (
                    acknowledged_points(self.ledger(company.tenant)),
                    stored.get(company.tenant, 0),
                )
                for company in COMPANIES
            }
            equal = all(acknowledged == kept for acknowledged, kept in counts.values())
            if equal or self.clock.monotonic_ns() > deadline_ns:
                return counts
            await self.clock.sleep(_POLL_S)

    @contextmanager
    def progress(self, description: str, total_s: float) -> Iterator[Callable[[float], None]]:
        """A progress bar in seconds; yields the function that sets it."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(description, total=total_s)
            yield lambda seconds: bar.update(task, completed=seconds)

    async def wait(self, description: str, seconds: float) -> None:
        """Let time pass, visibly."""
        with self.progress(description, seconds) as show:
            waited = 0.0
            while waited < seconds:
                await self.clock.sleep(_POLL_S)
                waited += _POLL_S
                show(waited)


def counted_requests(statuses: list[sla_pb2.SlaStatus]) -> dict[str, tuple[int, int]]:
    """(good, all) requests by tenant, as the availability objective counted them."""
    return {
        status.name.split("/")[1]: (each.uptime.good_count, each.uptime.total_count)
        for status in statuses
        for each in status.objectives
        if each.objective.name.endswith("/availability")
    }


def free_port_base() -> int:
    """A base with enough free ports after it, which nobody else who asks gets while this process lives.

    Raises:
        FailedPrecondition: none found.
    """
    for base in random.sample(_PORT_BASES, len(_PORT_BASES)):
        # What stands for all of them: the engines take theirs seconds later.
        claim = socket.socket()
        try:
            claim.bind((HOST, base + _CLAIM))
        except OSError:
            claim.close()
            continue
        if all(holder_of(HOST, base + index) is None for index in range(len(STANDARD_PORTS))):
            _claims.append(claim)
            return base
        claim.close()
    raise FailedPrecondition("no free range of ports", reason="NO_PORTS")
