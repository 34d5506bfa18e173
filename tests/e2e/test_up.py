"""`threenines up` as its user meets it: processes, ports, signals and what it says."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.cli.demo.script import free_port_base
from tests.e2e.platform import Up, running, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
_SERVICES = {"collector", "sla", "alerting", "dr"}


def alive(pids: set[int]) -> set[int]:
    return {
        pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    }


def status(data_dir: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "services.cli.main", "status", "--data-dir", str(data_dir)]
    wide = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=wide)


def status_of_all_serving(data_dir: Path) -> subprocess.CompletedProcess[str]:
    """What `status` shows once all is well: on a stalled machine a child is NOT_SERVING for a moment."""
    shown = list[subprocess.CompletedProcess[str]]()

    def well() -> bool:
        shown.append(status(data_dir))
        return shown[-1].returncode == 0

    until(well, 30, lambda: f"exit code {shown[-1].returncode}:\n{shown[-1].stdout}{shown[-1].stderr}")
    return shown[-1]


def test_everything_serves_a_dead_child_returns_and_sigterm_leaves_nothing(tmp_path: Path) -> None:
    """Start, look, kill one child, refuse a second start, stop."""
    with running(tmp_path, "--workers", "2") as up:
        assert set(up.state()) == {"nats", "redis", "clickhouse", *_SERVICES}
        shown = status_of_all_serving(up.files.root)
        assert "SERVING" in shown.stdout
        assert "2 workers" in shown.stdout
        assert "threenines tenant create acme" in up.text()

        second = Up(up.files.root, tmp_path / "second.log", "--port-base", str(free_port_base()))
        assert second.process.wait(60) == 1
        assert "already runs" in second.text()
        assert f"pid {up.process.pid}" in second.text()

        before = int(str(up.state()["redis"]["pid"]))
        os.kill(before, signal.SIGKILL)
        until(lambda: up.state()["redis"]["pid"] not in (before, None) and up.serving(), 30, up.text)
        assert "redis died (signal SIGKILL); starting it again" in up.text()

        collector = psutil.Process(int(str(up.state()["collector"]["pid"])))
        workers = {one.pid for one in collector.children()}
        assert len(workers) == 1
        pids = up.pids() | workers
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 0, up.text()
        assert alive(pids) == set()
        assert status(up.files.root).returncode == 69


def test_killing_the_supervisor_itself_leaves_no_process_and_the_next_start_works(tmp_path: Path) -> None:
    """kill -9 is a normal way to stop, also for `up`."""
    with running(tmp_path) as up:
        pids = up.pids()
        up.process.kill()
        up.process.wait(10)
        until(lambda: not alive(pids), 20)
    with running(tmp_path) as again:
        assert again.serving()


def test_a_taken_port_is_named_with_the_process_that_has_it(tmp_path: Path) -> None:
    base = free_port_base()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base))
        taken.listen()
        up = Up(tmp_path / "data", tmp_path / "up.log", "--port-base", str(base))
        assert up.process.wait(60) == 1
    assert f"port {base} is taken by" in up.text()
    assert f"pid {os.getpid()}" in up.text()
    assert "--port-base" in up.text()
    assert "Traceback" not in up.text()
