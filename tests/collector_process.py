"""The collector as its own process, for tests that need to kill it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.engines_nats import free_port

ROOT = Path(__file__).resolve().parents[1]
QUICK_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
]
"""Of a channel to a process that is started again: by default the attempts are up to 17 s apart. Without
`min_reconnect_backoff_ms`: gRPC takes that as the time to connect, and what greets later is never reached."""
EXPORT_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

_START_S = 90.0
"""3 CPU-s: a machine with a dozen others at work gives them in 40 s. One that ended is seen at once."""
_STOP_S = 15.0
_SHOWN = 4000


class CollectorProcess:
    """`python -m services.collector.main` over real engines; `start` again after `kill9` or `stop`.

    The ports are chosen once and kept over restarts. What it logs is in
    `<data_dir>/collector.log`.
    """

    def __init__(
        self,
        nats_url: str,
        clickhouse_url: str,
        data_dir: Path,
        *,
        auth: str = "none",
        region: str = "local",
        environ: dict[str, str] | None = None,
    ) -> None:
        self.otlp_port = free_port()
        self.otlp_http_port = free_port()
        self.admin_port = free_port()
        self.data_dir = data_dir
        self._environ = {
            "THREENINES_NATS_URL": nats_url,
            "THREENINES_CLICKHOUSE_URL": clickhouse_url,
            "THREENINES_DATA_DIR": str(data_dir),
            "THREENINES_AUTH": auth,
            "THREENINES_REGION": region,
            "THREENINES_OTLP_LISTEN": f"127.0.0.1:{self.otlp_port}",
            "THREENINES_OTLP_HTTP_LISTEN": f"127.0.0.1:{self.otlp_http_port}",
            "THREENINES_COLLECTOR_LISTEN": f"127.0.0.1:{self.admin_port}",
            "THREENINES_DRAIN_S": "2",
            **(environ or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def otlp_address(self) -> str:
        """Where OTLP/gRPC is served."""
        return f"127.0.0.1:{self.otlp_port}"

    @property
    def otlp_http_url(self) -> str:
        """Where OTLP/HTTP is served."""
        return f"http://127.0.0.1:{self.otlp_http_port}/v1/metrics"

    @property
    def admin_address(self) -> str:
        """Where CollectorService is served."""
        return f"127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int:
        """Process id of the running collector."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def log(self) -> str:
        """What it logged so far, over all its lives."""
        path = self.data_dir / "collector.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def add_environment(self, environ: dict[str, str]) -> None:
        """Set further variables before `start`: those that need to know the ports."""
        self._environ.update(environ)

    def start(self) -> None:
        """Start the process; does not wait (`wait_serving` does)."""
        assert self._process is None, "already started"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}", **self._environ}
        with (self.data_dir / "collector.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.collector.main"],
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=log,
            )

    async def wait_serving(self, service: str = "", *, timeout_s: float = _START_S) -> None:
        """Return when health says SERVING."""
        async with grpc.aio.insecure_channel(self.admin_address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            deadline = time.monotonic() + timeout_s
            while not await self._serving(stub, service):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"does not serve after {timeout_s:.0f} s: {self.state()}")
                await asyncio.sleep(0.05)

    def check_running(self) -> None:
        """Raise with what it logged last when it ended by itself, so that nobody waits for it."""
        code = None if self._process is None else self._process.poll()
        if self._process is None or code is not None:
            raise RuntimeError(f"the collector does not run (exit code {code}):\n{self.log[-_SHOWN:]}")

    def state(self) -> str:
        """What tells a process that stands still from one that got no turn, and what it logged last."""
        ticks = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        cpu_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        load = os.getloadavg()[0]
        return f"{cpu_s:.1f} CPU-s in this life, load average {load:.0f}\n{self.log[-_SHOWN:]}"

    async def _serving(self, stub: health_pb2_grpc.HealthStub, service: str) -> bool:
        self.check_running()
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def kill9(self) -> None:
        """SIGKILL, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """SIGTERM; the exit code (None when it did not run)."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
