"""`threenines up` as its user meets it: processes, ports, signals and what it says."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from services.cli.demo.script import free_port_base
from services.embedded.layout import DataDir

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]
_SERVICES = {"collector", "sla", "alerting", "dr"}


class Up:
    """A running `threenines up` and what it printed."""

    def __init__(self, data_dir: Path, log: Path, *arguments: str) -> None:
        self.files = DataDir(data_dir)
        self.log = log
        argv = [sys.executable, "-m", "services.cli.main", "up", "--data-dir", str(data_dir), *arguments]
        with log.open("wb") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True)

    def state(self) -> dict[str, dict[str, object]]:
        if not self.files.state_file.exists():
            return {}
        children = json.loads(self.files.state_file.read_text())["children"]
        return {child["name"]: child for child in children}

    def serving(self) -> bool:
        state = self.state()
        return bool(state) and all(child["state"] == "SERVING" for child in state.values())

    def pids(self) -> set[int]:
        return {int(str(child["pid"])) for child in self.state().values() if child["pid"]}

    def text(self) -> str:
        return self.log.read_text()


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[Up]:
    up = Up(tmp_path / "data", tmp_path / "up.log", "--port-base", str(free_port_base()), *arguments)
    try:
        until(up.serving, 120, up.text)
        yield up
    finally:
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGTERM)
            up.process.wait(60)


def until(condition: Callable[[], bool], seconds: float, explain: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)


def alive(pids: set[int]) -> set[int]:
    return {
        pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    }


def status(data_dir: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "services.cli.main", "status", "--data-dir", str(data_dir)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_everything_serves_a_dead_child_returns_and_sigterm_leaves_nothing(tmp_path: Path) -> None:
    """Start, look, kill one child, refuse a second start, stop."""
    with running(tmp_path) as up:
        assert set(up.state()) == {"nats", "redis", "clickhouse", *_SERVICES}
        shown = status(up.files.root)
        assert shown.returncode == 0
        assert "SERVING" in shown.stdout
        assert "threenines tenant create acme" in up.text()

        second = Up(up.files.root, tmp_path / "second.log", "--port-base", str(free_port_base()))
        assert second.process.wait(60) == 1
        assert "already runs" in second.text()
        assert f"pid {up.process.pid}" in second.text()

        before = int(str(up.state()["redis"]["pid"]))
        os.kill(before, signal.SIGKILL)
        until(lambda: up.state()["redis"]["pid"] not in (before, None) and up.serving(), 30, up.text)
        assert "redis died (signal SIGKILL); starting it again" in up.text()

        pids = up.pids()
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
