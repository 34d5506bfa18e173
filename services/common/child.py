"""One supervised child process: start, watch, restart with back-off, drain.

Knows nothing of what the child is; whoever makes the spec does (`embedded/plan.py`, the collector's
`worker_pool.py`).
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from services.common.clock import Clock

EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: a restart would not help
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_STABLE_S = 30.0
_LAUNCHER = Path(__file__).with_name("bound_child.py")


class ChildState(StrEnum):
    """What a person wants to know of a child."""

    STARTING = "starting"
    SERVING = "SERVING"
    NOT_SERVING = "NOT SERVING"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run one child.

    Attributes:
        name: short name, also that of its log file.
        title: what a person calls it.
        address: where it listens, `host:port`.
        argv: the command.
        env: its variables, all of them.
        log_file: where its output goes; None: to where the parent's own goes.
        probe: True when it serves; may raise.
        drain_s: seconds between SIGTERM and SIGKILL.
    """

    name: str
    title: str
    address: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log_file: Path | None
    probe: Callable[[], Awaitable[bool]]
    drain_s: float = 10.0


@dataclass(slots=True)
class Child:
    """A running child and its history."""

    spec: ChildSpec
    clock: Clock
    tell: Callable[[str], None]
    state: ChildState = ChildState.STARTING
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _stopping: bool = False
    _exited: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def stopping(self) -> bool:
        """Has `stop` been called?"""
        return self._stopping

    async def run(self) -> None:
        """Start, and start again whenever it dies, until `stop` is called."""
        failures = 0
        while not self.stopping():
            started_ns = self.clock.monotonic_ns()
            self._process = self._spawn()
            code = await _exit_code(self._process)
            if self.stopping():
                break
            if code == EXIT_CONFIG:
                self.state = ChildState.FAILED
                self.tell(f"{self.spec.name} cannot run with this configuration: {self.last_line()}")
                break
            lived_s = (self.clock.monotonic_ns() - started_ns) / 1e9
            failures = 0 if lived_s > _STABLE_S else failures + 1
            delay_s = _BACKOFF_S[min(max(failures - 1, 0), len(_BACKOFF_S) - 1)]
            self.state = ChildState.RESTARTING
            self.restarts += 1
            self.tell(f"{self.spec.name} died ({_describe_exit(code)}); starting it again in {delay_s:g} s")
            await self.clock.sleep(delay_s)
        self._exited.set()

    async def refresh(self) -> ChildState:
        """Ask the child how it is."""
        if self.state in (ChildState.FAILED, ChildState.STOPPED) or self.pid is None:
            return self.state
        try:
            async with asyncio.timeout(2.0):
                serving = await self.spec.probe()
        except Exception:  # a probe of a process that is starting may fail in any way: it is not serving
            serving = False
        if serving:
            self.state = ChildState.SERVING
        elif self.state == ChildState.SERVING:
            self.state = ChildState.NOT_SERVING
        return self.state

    async def stop(self) -> None:
        """SIGTERM, wait, and SIGKILL only when it does not listen."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self.spec.drain_s):
                    await _exit_code(process)
            except TimeoutError:
                self.tell(f"{self.spec.name} did not drain in {self.spec.drain_s:g} s; killed")
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await _exit_code(process)
        self.state = ChildState.STOPPED

    def last_line(self) -> str:
        """The last thing that it printed, for an error message."""
        if self.spec.log_file is None:
            return "it said why"
        try:
            lines = self.spec.log_file.read_text(errors="replace").strip().splitlines()
        except OSError:
            return f"see {self.spec.log_file}"
        return lines[-1] if lines else f"see {self.spec.log_file}"

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Takes as long as it takes to exec, some milliseconds.

        Not the event loop's own way: uvloop forks, which runs gRPC's fork handlers in this process, and they
        may wait for its threads. This way is vfork, which runs none.
        """
        argv = (sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *self.spec.argv)
        with contextlib.ExitStack() as opened:
            log = None
            if self.spec.log_file is not None:
                log = opened.enter_context(self.spec.log_file.open("ab"))
            return subprocess.Popen(
                argv,
                env=dict(self.spec.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal goes to the parent only; it drains the children in order.
                start_new_session=True,
            )


async def _exit_code(process: "subprocess.Popen[bytes]") -> int:
    """Wait for its end; minus the number of the signal that ended it."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def wait() -> None:
        code = process.wait()
        # Nobody may be there any more to hear it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, code)

    threading.Thread(target=wait, name=f"wait-{process.pid}", daemon=True).start()
    return await ended


def _describe_exit(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
