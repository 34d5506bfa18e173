"""`threenines up` and `threenines status`: the whole platform on this machine, and how it is."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import psutil
import typer

from services.cli import options, render
from services.cli.commands import config as config_command
from services.cli.failures import EXIT_FAILED, EXIT_UNAVAILABLE, told_to_people
from services.common.clock import SystemClock
from services.common.documents import Document, load_documents
from services.common.errors import InvalidArgument
from services.common.settings import MOST_WORKERS
from services.embedded.layout import DataDir, Ports
from services.embedded.own_metrics import grant_own_metrics, own_metrics_wanted
from services.embedded.plan import Platform, build_plan
from services.embedded.supervisor import DirectoryLock, Supervisor, check_ports

_START_TIMEOUT_S = 120.0  # the first start compiles the kernels; later ones take seconds
_COLUMNS = ("service", "address", "state")


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command("up")(up)
    app.command("status")(status)


def up(
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    config: Annotated[
        list[Path] | None, typer.Option("--config", exists=True, help="Contracts, rules, receivers to apply.")
    ] = None,
    port_base: Annotated[
        int | None, typer.Option(min=1024, max=65_000, help="Use N, N+1, ... instead of the standard ports.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_WORKERS,
            help="Processes in which the collector receives, one for each core that it may use. They share"
            " its ports; clients spread over them by connection. Without it the Platform document says, or"
            " THREENINES_COLLECTOR_WORKERS, or 1.",
        ),
    ] = None,
) -> None:
    """Start the engines and the four services; Ctrl-C stops them all."""
    with told_to_people(options.errors):
        documents = load_documents(config) if config else []
        ports = Ports.standard() if port_base is None else Ports.from_base(port_base)
        platform = platform_of(documents)
        if workers is not None:
            platform = replace(platform, collector_workers=workers)
        asyncio.run(run_up(DataDir(data_dir.resolve()), ports, platform, config or []))


def status(
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """The table of a running `threenines up`. Exit code 1 when something does not serve."""
    state_file = DataDir(data_dir).state_file
    state = json.loads(state_file.read_text()) if state_file.exists() else None
    if state is None or not psutil.pid_exists(state["pid"]):
        options.errors.print(f"no threenines runs on {data_dir}; start one with `threenines up`")
        raise typer.Exit(EXIT_UNAVAILABLE)
    children = state["children"]
    if output is render.Output.JSON:
        options.console.print_json(json.dumps(children))
    else:
        rows = [
            (each["title"], each["address"], each["state"], each["pid"], each["restarts"])
            for each in children
        ]
        options.console.print(render.table(None, (*_COLUMNS, ">pid", ">restarts"), rows))
    if any(each["state"] != "SERVING" for each in children):
        raise typer.Exit(EXIT_FAILED)


async def run_up(files: DataDir, ports: Ports, platform: Platform, config: Sequence[Path]) -> None:
    """Run until SIGTERM or Ctrl-C.

    Raises:
        FailedPrecondition: the directory or a port is in use.
        Unavailable: something does not come up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    files.prepare()
    lock = DirectoryLock(files.lock_file)
    lock.acquire()
    try:
        plan = build_plan(platform, files, ports, environ=os.environ)  # noqa: TID251 - children inherit it
        check_ports(ports, plan.own_ports)
        supervisor = Supervisor(plan, files, clock=SystemClock(), tell=_tell)
        try:
            own = own_metrics_wanted(os.environ, auth=platform.auth)  # noqa: TID251 - as above
            token = files.own_metrics_token() if own else None
            await _start(supervisor, plan.connect["nats"], config, stop, own_metrics_token=token)
            if not stop.is_set():
                print_table(supervisor)
                _print_next(files.root)
            await supervisor.watch(stop)
        finally:
            options.console.print("Draining ...", style="dim")
            await supervisor.stop()
    finally:
        lock.release()


async def _start(
    supervisor: Supervisor,
    nats_url: str,
    config: Sequence[Path],
    stop: asyncio.Event,
    *,
    own_metrics_token: str | None,
) -> None:
    async def start() -> None:
        with options.console.status("Starting the engines and services ..."):
            await supervisor.start(timeout_s=_START_TIMEOUT_S)
        if own_metrics_token is not None:
            await grant_own_metrics(nats_url, own_metrics_token, SystemClock())
        if config:
            await config_command.apply_files(nats_url, config)

    starting = asyncio.create_task(start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        return
    starting.result()


def platform_of(documents: Sequence[Document]) -> Platform:
    """The `kind: Platform` document, or the laptop's defaults.

    Raises:
        InvalidArgument: there is more than one.
    """
    found = [each for each in documents if each.kind == "Platform"]
    if len(found) > 1:
        raise InvalidArgument(
            f"{len(found)} documents of kind Platform; there can be one", reason="PLATFORM_TWICE"
        )
    if not found:
        return Platform()
    spec = found[0].spec.model_dump(mode="json", exclude_none=True)
    return Platform(**{name: spec[name] for name in Platform.__slots__ if name in spec})


def print_table(supervisor: Supervisor) -> None:
    """One line for each child."""
    rows = [(child.spec.title, child.spec.address, str(child.state)) for child in supervisor.children]
    options.console.print(render.table("threenines is up", _COLUMNS, rows))


def _print_next(root: Path) -> None:
    where = "" if root == options.DEFAULT_DATA_DIR.resolve() else f" --data-dir {root}"
    for command, why in (
        (f"threenines tenant create acme{where}", "a client, its token and the OTEL_* lines to paste"),
        (f"threenines config apply FILE.yaml{where}", "its contract: what you promise"),
        (f"threenines sla status{where}", "does each client get what it was promised?"),
    ):
        options.console.print(f"  [bold]{command}[/]  [dim]{why}[/]", highlight=False, soft_wrap=True)
    options.console.print("\nCtrl-C stops everything.", style="dim")


def _tell(message: str) -> None:
    options.errors.print(f"[yellow]{message}[/]", highlight=False)
