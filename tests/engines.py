"""Starts real engines for tests, each as its own process, and takes them away again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.engines_nats import free_port

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class EmbeddedClickHouse:
    """The embedded ClickHouse server over `data_dir`. The port is chosen once and kept across restarts."""

    def __init__(
        self, data_dir: Path, *, port: int = 0, password: str | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.data_dir = data_dir
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.user = "default"
        self.password = password or ""
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    @property
    def login_url(self) -> str:
        """The URL with user and password, as configuration takes it."""
        login = f"{self.user}:{self.password}@" if self.password else ""
        return f"http://{login}{self.host}:{self.port}"

    def database(self, name: str) -> str:
        """The name as it is: nobody else works on this server."""
        return name

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        path = self.data_dir / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start and wait until it answers."""
        assert self._process is None, "already started"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        ready = self.data_dir / "ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "services.embedded.clickhouse", *self._arguments(ready)]
        with (self.data_dir / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[1])
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill9()
                raise RuntimeError(f"clickhouse did not start:\n{self.log}")
            time.sleep(0.02)
        self.port = int(ready.read_text())

    def kill9(self) -> None:
        """SIGKILL, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """SIGTERM; returns the exit code (None when it was not running)."""
        return self._end(signal.SIGTERM)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _arguments(self, ready: Path) -> list[str]:
        arguments = ["--data-dir", str(self.data_dir), "--host", self.host, "--port", str(self.port)]
        arguments += ["--ready-file", str(ready), *self._options]
        if self.password:
            secret = self.data_dir / "password"
            secret.write_text(self.password)
            arguments += ["--password-file", str(secret)]
        return arguments

    def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
