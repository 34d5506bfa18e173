"""How every service process begins and ends, so that each `main.py` only puts parts together.

Logging as single plain lines, uvloop where it is installed, a wrong configuration as one message
and exit code 78, signals as cancellation. It must not import gRPC, because the TLS recipe has to
act before that library is used.
"""

import asyncio
import importlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from services.common.environment import ConfigurationError, process_environment
from services.common.settings import LogLevel, Settings
from services.common.tls import restart_for_tls13

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h

_E = TypeVar("_E", bound=BaseException)
Main = Callable[[Settings], Coroutine[Any, Any, None]]

_log = logging.getLogger(__name__)


def run_service(
    main_coroutine: Main, *, name: str, environ: Mapping[str, str] | None = None, quiet: bool = False
) -> int:
    """Run one service until it ends or is told to stop; returns the exit code of the process.

    `main_coroutine(settings)` builds and serves. SIGTERM and Ctrl-C cancel it, once; a second
    signal does not wait for it any longer. Exit codes: 0 stopped on request or ended, 78 wrong
    configuration (one line on stderr), 1 anything else (its stack is in the log).
    """
    try:
        settings = Settings.from_env(process_environment() if environ is None else environ)
        if not quiet:
            set_up_logging(name, settings.log_level)
        if settings.tls_cert_file is not None and environ is None:
            restart_for_tls13(settings.tls_cert_file, process_environment())
        _log.info("starting: %s", settings.describe())
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_until_told(main_coroutine(settings)))
    except ConfigurationError as err:
        return _explain(name, err)
    except ExceptionGroup as group:
        wrong, _ = group.split(ConfigurationError)
        if wrong is not None:
            return _explain(name, _first(wrong))
        return _failed(group)
    except Exception as err:  # the process ends here either way: say why, in the log
        return _failed(err)


def set_up_logging(name: str, level: LogLevel) -> None:
    """One plain line an event on stderr: UTC time, level, service, logger, text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SingleLineFormatter(name))
    logging.basicConfig(level=level.value.upper(), handlers=[handler], force=True)
    # These repeat every call at DEBUG and would drown what we say; httpx also logs whole URLs.
    for noisy in ("grpc", "asyncio", "httpx", "httpcore", "urllib3", "nats"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


class SingleLineFormatter(logging.Formatter):
    """Lines that stay single: line breaks of messages and stacks become ` | `."""

    def __init__(self, service: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {service} %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002
        """UTC with milliseconds."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        return " | ".join(line.rstrip() for line in super().format(record).splitlines() if line.strip())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _until_told(main: Coroutine[Any, Any, None]) -> int:
    """Run `main` as a task that the first signal cancels."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(main, name="main")
    told: list[signal.Signals] = []

    def tell(which: signal.Signals) -> None:
        _log.info("%s: %s", which.name, "stopping now" if told else "draining, then stopping")
        told.append(which)
        task.cancel()

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, tell, which)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
    _log.info("stopped")
    return EXIT_OK


def _first(group: BaseExceptionGroup[_E]) -> _E:
    member = group.exceptions[0]
    return _first(member) if isinstance(member, BaseExceptionGroup) else member


def _failed(error: Exception) -> int:
    """The stack for us, then the reason alone: the last line is what `threenines up` shows."""
    _log.critical("ended by an error", exc_info=error)
    first = _first(error) if isinstance(error, ExceptionGroup) else error
    _log.critical("%s: %s", type(first).__name__, first)
    return EXIT_FAILED


def _explain(name: str, error: ConfigurationError) -> int:
    reasons = [f"{each.field}: {each.reason}" for each in error.violations if each.field]
    lines = reasons if len(reasons) > 1 else [error.message]
    sys.stderr.write(f"threenines {name} cannot start:\n" + "".join(f"  {line}\n" for line in lines))
    return EXIT_CONFIGURATION
