"""The receiver of the demonstration: an HTTP server that keeps what Alertmanager's webhook would get."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.common.clock import Clock
from services.embedded.layout import HOST


@dataclass(frozen=True, slots=True)
class Received:
    """One POST: when it came, and its payload (Alertmanager's webhook version 4)."""

    time_ns: int
    payload: dict[str, Any]

    def matches(self, *, alertname: str, tenant: str, status: str) -> bool:
        """Does it tell of this alert in this state?"""
        return any(
            alert["status"] == status
            and alert["labels"].get("alertname") == alertname
            and alert["labels"].get("tenant") == tenant
            for alert in self.payload["alerts"]
        )


class WebhookReceiver:
    """Listens on a free port in threads of its own; use it as a context manager."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._received: list[Received] = []
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where to POST."""
        return f"http://{HOST}:{self._server.server_port}/alerts"

    @property
    def received(self) -> tuple[Received, ...]:
        """Everything so far, in order of arrival."""
        return tuple(self._received)

    def first(self, *, alertname: str, tenant: str, status: str) -> Received | None:
        """The first POST about an alert in a state."""
        for each in self.received:
            if each.matches(alertname=alertname, tenant=tenant, status=status):
                return each
        return None

    def __enter__(self) -> "WebhookReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                now_ns = outer._clock.now_ns()
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                outer._received.append(Received(now_ns, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                """Stay quiet: the demonstration prints what matters."""

        return Handler
