"""A supervised child: restart with back-off, drain, failure that a restart would not help."""

import asyncio
import os
import sys
from pathlib import Path

from services.common.child import EXIT_CONFIG, Child, ChildSpec, ChildState
from services.common.clock import SystemClock


def spec(tmp_path: Path, code: str, *, drain_s: float = 5.0) -> ChildSpec:
    async def probe() -> bool:
        return (tmp_path / "ready").exists()

    return ChildSpec(
        name="thing",
        title="a thing",
        address="127.0.0.1:1",
        argv=(sys.executable, "-c", code),
        env=os.environ,
        log_file=tmp_path / "thing.log",
        probe=probe,
        drain_s=drain_s,
    )


async def eventually(condition: object) -> None:
    assert callable(condition)
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("never came true")


async def test_a_child_that_dies_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    child = Child(spec(tmp_path, "import sys; sys.exit(3)"), SystemClock(), said.append)
    running = asyncio.create_task(child.run())
    await eventually(lambda: child.restarts >= 2)
    await child.stop()
    running.cancel()
    assert said[0] == "thing died (exit code 3); starting it again in 0.2 s"
    assert "in 0.5 s" in said[1]


async def test_a_configuration_error_is_not_retried_and_its_last_line_is_shown(tmp_path: Path) -> None:
    said: list[str] = []
    code = f"import sys; print('THREENINES_X is wrong'); sys.exit({EXIT_CONFIG})"
    child = Child(spec(tmp_path, code), SystemClock(), said.append)
    await asyncio.wait_for(child.run(), 10)
    assert child.state is ChildState.FAILED
    assert "THREENINES_X is wrong" in said[0]


async def test_a_child_that_does_not_drain_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    code = (
        "import signal, pathlib, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch(); time.sleep(60)"
    )
    child = Child(spec(tmp_path, code, drain_s=0.3), SystemClock(), said.append)
    running = asyncio.create_task(child.run())
    await eventually((tmp_path / "ready").exists)
    assert await child.refresh() is ChildState.SERVING
    await child.stop()
    await asyncio.wait_for(running, 5)
    assert child.pid is None
    assert "did not drain" in said[0]
