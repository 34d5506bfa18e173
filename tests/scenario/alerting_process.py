"""What the process tests of alerting share: the process, the receiver and the stream's writer."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.common.clock import SystemClock
from services.common.config_feed import apply_document
from services.common.documents import load_documents
from services.common.log import NatsEngine

ROOT = Path(__file__).resolve().parents[2]

DOCUMENTS = """
kind: Tenant
metadata: {name: acme}
spec: {display_name: Acme}
---
kind: Contract
metadata: {tenant: acme, name: gold}
spec:
  time_zone: Europe/Berlin
  effective_from: 2026-01-01
  slice: 1s
  objectives:
    - {name: availability, type: availability, target: "99.9%", window: 30d}
---
kind: AlertRule
metadata: {tenant: acme, name: burn-fast}
spec:
  {type: burn_rate, objective: gold/availability, long: 20s, short: 4s, factor: "14.4", keep_firing_for: 2s}
---
kind: Receiver
metadata: {tenant: acme, name: hook}
spec: {type: webhook, url: "http://127.0.0.1:PORT/hook"}
"""


async def apply_documents(engine: NatsEngine, directory: Path, *, port: int) -> None:
    """The configuration as `threenines config apply` would put it there."""
    path = directory / "config.yaml"
    path.write_text(DOCUMENTS.replace("PORT", str(port)))
    for document in load_documents([path]):
        await apply_document(engine.log, document, actor="test", clock=SystemClock())


@dataclass
class Post:
    """One POST that was received."""

    key: str
    payload: dict[str, Any]
    answered: bool


@dataclass
class Receiver:
    """A webhook receiver. While `hanging` it reads a request and never answers; while closed
    nobody listens on its port."""

    posts: list[Post] = field(default_factory=list)
    hanging: bool = False
    port: int = 0
    on_post: Callable[[Post], None] | None = None
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; on the same port as before, if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def keys(self, status: str) -> set[str]:
        """The idempotency keys of what was received with that status."""
        return {post.key for post in self.posts if post.payload["status"] == status}

    def answered(self, status: str) -> list[Post]:
        """What was received with that status and answered."""
        return [post for post in self.posts if post.payload["status"] == status and post.answered]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                lowered = {name.lower(): value for name, value in headers.items()}
                body = await reader.readexactly(int(lowered["content-length"]))
                post = Post(lowered["idempotency-key"], json.loads(body), answered=not self.hanging)
                self.posts.append(post)
                if self.on_post is not None:
                    self.on_post(post)
                if self.hanging:
                    await reader.read()
                    break
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@dataclass(frozen=True)
class Why:
    """The end of a log, read when it is printed."""

    path: Path

    def __str__(self) -> str:
        text = self.path.read_text(errors="replace") if self.path.exists() else "nothing was logged"
        return text[-6000:]


class AlertingProcess:
    """`python -m services.alerting.main` as the supervisor would run it."""

    def __init__(
        self, *, nats_url: str, clickhouse_url: str, directory: Path, database: str = "threenines"
    ) -> None:
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}",
            "THREENINES_NATS_URL": nats_url,
            "THREENINES_CLICKHOUSE_URL": clickhouse_url,
            "THREENINES_CLICKHOUSE_DATABASE": database,
            "THREENINES_AUTH": "none",
            "THREENINES_ALERTING_LISTEN": "127.0.0.1:0",
            "THREENINES_DATA_DIR": str(directory),
            # An answer that a slow machine gives late would bring the POST again, and tests count them.
            "THREENINES_POST_TIMEOUT_S": "5",
            "THREENINES_TAKEOVER_S": "3",
        }
        self._log = directory / "alerting.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not ready yet when this returns."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.alerting.main"],
                env=self._environment,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def kill9(self) -> None:
        """Kill it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """Stop it in order; the exit code."""
        return self._end(signal.SIGTERM)

    @property
    def why(self) -> "Why":
        """Its log, read when a test fails."""
        return Why(self._log)

    def port(self) -> int | None:
        """Where it serves; None as long as it has not said so."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        found = re.findall(r"serving on port (\d+)", text)
        return int(found[-1]) if found else None

    def _end(self, sig: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(sig)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


async def until(condition: Callable[[], bool], *, within_s: float, why: object) -> None:
    """Wait for a condition; fail with the reason."""
    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + round(within_s * 1e9)
    while not condition():
        assert clock.monotonic_ns() < deadline_ns, str(why)
        await clock.sleep(0.02)


async def until_async(condition: Callable[[], Awaitable[object]], *, within_s: float, why: object) -> None:
    """`until` for a condition that has to ask."""
    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + round(within_s * 1e9)
    while not await condition():
        assert clock.monotonic_ns() < deadline_ns, str(why)
        await clock.sleep(0.02)
