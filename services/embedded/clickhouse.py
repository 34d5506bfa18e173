"""The embedded ClickHouse server process: `python -m services.embedded.clickhouse --data-dir DIR`.

Composition only: options, lock, engine, application, uvicorn, signals. Exit codes: 0 after a drain, 2 bad
options, 3 data directory in use, 4 port taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator

import uvicorn

from services.embedded.clickhouse_app import ClickHouseApp
from services.embedded.clickhouse_config import (
    EXIT_PORT_TAKEN,
    Options,
    StartError,
    lock_data_dir,
    parse_options,
    write_atomically,
    write_config,
)
from services.embedded.clickhouse_engine import Engine
from services.embedded.clickhouse_merges import start_merging_last
from services.embedded.clickhouse_run import QueryRunner
from services.embedded.clickhouse_sessions import Handles, RunningQueries

_MAX_QUERIES = 256
_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 3600
# After draining, killed queries get this long to notice.
_LAST_SECONDS = 2.0


class _Server(uvicorn.Server):
    """uvicorn that announces readiness and exits 0 on SIGTERM (its own handling re-raises the signal)."""

    def __init__(self, config: uvicorn.Config, options: Options, port: int) -> None:
        super().__init__(config)
        self._options = options
        self._port = port

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._options.ready_file is not None:
            write_atomically(self._options.ready_file, f"{self._port}\n")
        print(f"clickhouse: listening on {self._options.host}:{self._port}", flush=True)  # noqa: T201


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    try:
        options = parse_options(argv)
        lock = lock_data_dir(options.data_dir)
        listener = _listen(options)
    except StartError as error:
        print(f"clickhouse: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    _raise_file_limit()
    _serve(options, listener)
    lock.close()
    return 0


def _serve(options: Options, listener: socket.socket) -> None:
    engine = Engine(options.data_dir / "engine", write_config(options), max_threads=options.max_threads)
    start_merging_last()
    handles = Handles(engine, time.monotonic)
    queries = RunningQueries(limit=_MAX_QUERIES)
    app = ClickHouseApp(engine, QueryRunner(engine, handles), queries, login=(options.user, options.password))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        ws="none",
        access_log=False,
        server_header=False,
        date_header=True,
        log_config=None,
        log_level=options.log_level,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(options.drain_seconds)),
    )
    asyncio.run(
        _run(_Server(config, options, listener.getsockname()[1]), listener, app, queries), debug=False
    )
    handles.close()
    engine.close()


async def _run(server: _Server, listener: socket.socket, app: ClickHouseApp, queries: RunningQueries) -> None:
    await server.serve(sockets=[listener])
    app.kill_all()
    for running in queries.all():
        await asyncio.to_thread(running.done.wait, _LAST_SECONDS)
    app.close()


def _raise_file_limit() -> None:
    """The engine keeps files open per part and per thread: take what the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listen(options: Options) -> socket.socket:
    """Bind before the engine starts. Accepted sockets inherit TCP_NODELAY."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}", EXIT_PORT_TAKEN
        ) from error
    return listener


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A worker stuck in the engine must not keep the process: everything acknowledged is on disk already.
    os._exit(code)
