"""Rotel's agent writing the exporter's stock table into an embedded ClickHouse of its own.

The agent's wheel is a development dependency on Linux and x86-64; elsewhere THREENINES_BENCH_ROTEL can hold
the path of a `rotel-agent`. It acknowledges when a request is in its queue, so this is throughput without
the promise.
"""

import asyncio
import importlib.util
import os
import subprocess
from pathlib import Path

from services.common.clickhouse import ClickHouseConfig, Database
from tests.bench.exporter_tables import gauge_table
from tests.engines import EmbeddedClickHouse
from tests.engines_nats import free_port

_TABLE = "rival.otel_metrics_gauge"
_START_S = 1.0


def agent() -> Path | None:
    """The agent's binary, None when there is none."""
    given = os.environ.get("THREENINES_BENCH_ROTEL")
    if given:
        return Path(given)
    found = importlib.util.find_spec("rotel")
    origin = found.origin if found is not None else None
    binary = Path(origin).with_name("rotel-agent") if origin else None
    return binary if binary is not None and binary.exists() else None


class Rotel:
    """The agent and its store, running."""

    def __init__(self, binary: Path, path: Path) -> None:
        self._binary, self._path = binary, path
        self._clickhouse = EmbeddedClickHouse(path / "clickhouse")
        self._agent: subprocess.Popen[bytes] | None = None
        self.address = f"127.0.0.1:{free_port()}"

    async def start(self) -> None:
        """Make the table and start the agent."""
        await asyncio.to_thread(self._clickhouse.start)
        self._database = Database(ClickHouseConfig.from_url(self._clickhouse.url, "rival"))
        await self._database.command("CREATE DATABASE rival", in_database=False)
        await self._database.command(gauge_table("otel_metrics_gauge"))
        options = {
            "otlp-grpc-endpoint": self.address,
            "otlp-http-endpoint": f"127.0.0.1:{free_port()}",
            "otlp-grpc-max-recv-msg-size-mib": "64",
            "exporter": "clickhouse",
            "clickhouse-exporter-endpoint": self._clickhouse.url,
            "clickhouse-exporter-database": "rival",
            "clickhouse-exporter-compression": "none",
            "clickhouse-exporter-async-insert": "false",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._agent = await asyncio.to_thread(self._spawn, [str(self._binary), "start", *arguments])
        await asyncio.sleep(_START_S)
        assert self._agent.poll() is None, self.log

    def _spawn(self, command: list[str]) -> "subprocess.Popen[bytes]":
        self._path.mkdir(exist_ok=True)
        with (self._path / "rotel.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        """What the agent said."""
        return (self._path / "rotel.log").read_text(errors="replace")[-2000:]

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        assert self._agent is not None
        return {"rotel": self._agent.pid, "clickhouse": self._clickhouse.pid}

    async def stored(self) -> int:
        """Rows in the table."""
        return int((await self._database.rows(f"SELECT count() FROM {_TABLE}"))[0][0])

    async def stop(self) -> None:
        """End both."""
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()
        await self._database.close()
        self._clickhouse.stop()
