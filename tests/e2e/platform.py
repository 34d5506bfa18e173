"""A running `threenines up` for tests, and how to wait for what it does."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.connection import Connection, connect
from services.cli.demo.script import free_port_base
from services.embedded.layout import DataDir


class Up:
    """A running `threenines up` and what it printed."""

    def __init__(self, data_dir: Path, log: Path, *arguments: str) -> None:
        self.files = DataDir(data_dir)
        self.log = log
        argv = [sys.executable, "-m", "services.cli.main", "up", "--data-dir", str(data_dir), *arguments]
        with log.open("wb") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True)

    @property
    def connection(self) -> Connection:
        """Signed by the administrator's token."""
        return connect(self.files.root, {})

    def state(self) -> dict[str, dict[str, object]]:
        """The children by name; empty before the start is complete."""
        if not self.files.state_file.exists():
            return {}
        children = json.loads(self.files.state_file.read_text())["children"]
        return {child["name"]: child for child in children}

    def serving(self) -> bool:
        """Does every child serve?"""
        state = self.state()
        return bool(state) and all(child["state"] == "SERVING" for child in state.values())

    def pids(self) -> set[int]:
        """Process ids of the children."""
        return {int(str(child["pid"])) for child in self.state().values() if child["pid"]}

    def text(self) -> str:
        """What it printed."""
        return self.log.read_text()


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[Up]:
    """Start on a free range of ports and wait until everything serves; stop at the end."""
    up = Up(tmp_path / "data", tmp_path / "up.log", "--port-base", str(free_port_base()), *arguments)
    try:
        until(up.serving, 120, up.text)
        yield up
    finally:
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGTERM)
            up.process.wait(60)


def until(condition: Callable[[], bool], seconds: float, explain: Callable[[], str] = str) -> None:
    """Wait for a condition, or fail with the explanation."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)
