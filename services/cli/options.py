"""Options that several commands share, and the console they print to."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.connection import Connection, connect
from services.cli.render import Output
from services.common.errors import FailedPrecondition

DEFAULT_DATA_DIR = Path(".threenines")
RPC_TIMEOUT_S = 30.0

console = Console()
errors = Console(stderr=True)

DataDirOption = Annotated[
    Path,
    typer.Option("--data-dir", envvar="THREENINES_DATA_DIR", help="The data directory of `threenines up`."),
]
OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="A table for people or JSON for programs.")
]


def connection(data_dir: Path) -> Connection:
    """The running threenines that the options and the environment name."""
    return connect(data_dir, os.environ)  # noqa: TID251 - the command line is where the environment is read


def known_address(name: str, data_dir: Path) -> str | None:
    """Where a service or engine listens; None when nothing runs and the environment names nothing."""
    try:
        return connection(data_dir).address(name)
    except FailedPrecondition:
        return None
