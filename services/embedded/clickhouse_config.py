"""Options, the engine's configuration file and the lock on the data directory.

Must not start the engine: everything here has to be checked before the library is loaded.
"""

from __future__ import annotations

import argparse
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import escape

EXIT_DATA_DIR_IN_USE = 3
EXIT_PORT_TAKEN = 4
EXIT_BAD_OPTIONS = 2


class StartError(Exception):
    """The server cannot start; `exit_code` is what the process ends with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said, checked. `password` is empty when no login is asked for."""

    data_dir: Path
    backups_dir: Path
    host: str
    port: int
    user: str
    password: str
    max_threads: int
    drain_seconds: float
    ready_file: Path | None
    log_level: str

    def __repr__(self) -> str:
        return f"Options(data_dir={self.data_dir}, host={self.host}, port={self.port}, user={self.user})"


def parse_options(argv: list[str] | None = None) -> Options:
    """Read the command line. The password comes from a file, never from the process list.

    Raises StartError when the password file cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m services.embedded.clickhouse")
    parser.add_argument("--data-dir", type=Path, required=True, help="directory owned by this server")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8123, help="port to listen on; 0 takes a free one")
    parser.add_argument("--user", default="default", help="the one login name")
    parser.add_argument(
        "--password-file", type=Path, help="file with the password; no file means no password"
    )
    parser.add_argument("--backups-dir", type=Path, help="where BACKUP may write (default: DATA_DIR/backups)")
    parser.add_argument("--max-threads", type=int, default=0, help="threads of one query; 0 = cores")
    parser.add_argument("--drain-seconds", type=float, default=5.0, help="how long SIGTERM waits for queries")
    parser.add_argument("--ready-file", type=Path, help="the port is written here once the server answers")
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    args = parser.parse_args(argv)
    data_dir = args.data_dir.resolve()
    return Options(
        data_dir=data_dir,
        backups_dir=(args.backups_dir or data_dir / "backups").resolve(),
        host=args.host,
        port=args.port,
        user=args.user,
        password=_read_password(args.password_file),
        max_threads=args.max_threads or os.cpu_count() or 1,
        drain_seconds=args.drain_seconds,
        ready_file=args.ready_file,
        log_level=args.log_level,
    )


def lock_data_dir(data_dir: Path) -> TextIO:
    """Take the directory for this process; the kernel releases it however the process ends.

    Keep the returned file open. Raises StartError naming the holder's pid when another process has it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = (data_dir / ".lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StartError(
            f"data directory {data_dir} is in use by another clickhouse server (pid {holder}); stop it first",
            EXIT_DATA_DIR_IN_USE,
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def write_config(options: Options) -> Path:
    """Write the engine's configuration file into the data directory and return its path."""
    options.backups_dir.mkdir(parents=True, exist_ok=True)
    backups = escape(str(options.backups_dir))
    text = f"""<clickhouse>
  <display_name>embedded</display_name>
  <backups>
    <allowed_path>{backups}/</allowed_path>
    <allowed_disk>backups</allowed_disk>
  </backups>
  <storage_configuration>
    <disks><backups><type>local</type><path>{backups}/</path></backups></disks>
  </storage_configuration>
  <background_pool_size>2</background_pool_size>
  <mark_cache_size>268435456</mark_cache_size>
</clickhouse>
"""
    path = options.data_dir / "config.xml"
    path.write_text(text, encoding="utf-8")
    return path


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="ascii")
    partial.replace(path)


def _read_password(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise StartError(f"cannot read the password file {path}: {error}", EXIT_BAD_OPTIONS) from error
