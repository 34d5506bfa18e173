"""`threenines demo`: the whole way on real telemetry, every figure checked."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options, render
from services.cli.commands import dr as dr_command
from services.cli.commands import sla as sla_command
from services.cli.commands import sla_reports
from services.cli.demo.configuration import COMPANIES, FAULTY
from services.cli.demo.ledger import first_failure_ns, served_requests
from services.cli.demo.script import AFTER_S, HEALTHY_S, Demo, counted_requests
from services.cli.demo.webhook import WebhookReceiver
from services.cli.failures import EXIT_FAILED, told_to_people
from services.common.clock import SystemClock
from threenines.dr.v1 import dr_pb2
from threenines.sla.v1 import sla_pb2

_OUTAGE_ALERT = "outage"
_BURN_ALERT = "burn-rate-1h-5m"


def register(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command("demo")(demo)


def demo(
    report_dir: Annotated[Path, typer.Option(help="Where the report that a client gets is written.")] = Path(
        "demo-report"
    ),
    keep: Annotated[bool, typer.Option(help="Keep the data directory and the logs.")] = False,
    healthy_seconds: Annotated[
        float, typer.Option(min=5, help="Healthy traffic before the outage.")
    ] = HEALTHY_S,
) -> None:
    """Three clients on the real OpenTelemetry SDK, an outage, an alert, a backup, a restore."""
    root = Path(tempfile.mkdtemp(prefix="threenines-demo-"))
    demonstration = Demo(root, options.console)
    failures: list[str] = []
    try:
        with told_to_people(options.errors):
            asyncio.run(_run(demonstration, healthy_seconds, report_dir, failures))
    except typer.Exit:
        keep = True
        raise
    finally:
        demonstration.kill_everything()
        if keep or failures:
            options.console.print(f"Data and logs: {root}", style="dim", soft_wrap=True)
        else:
            shutil.rmtree(root, ignore_errors=True)
    for failure in failures:
        options.console.print(f"[bold red]does not hold:[/] {failure}")
    if failures:
        raise typer.Exit(EXIT_FAILED)
    options.console.print("\n[bold green]Everything holds.[/]")


async def _run(demo: Demo, healthy_seconds: float, report_dir: Path, failures: list[str]) -> None:
    with WebhookReceiver(SystemClock()) as receiver:
        with _scene("threenines up: engines and four services"):
            started_s = await demo.start_platform()
        _say(f"All SERVING after {started_s:.1f} s.")
        with _scene("three companies with contracts and receivers"):
            await demo.start_companies(receiver.url)
        _say(f"{', '.join(company.title for company in COMPANIES)}: one process each, OTLP/gRPC every 5 s.")
        await demo.wait("Healthy traffic", healthy_seconds)
        await _outage(demo, receiver)
        await demo.wait("After the outage", AFTER_S)
        _print_sla(sla_command.fetch(demo.connection, [], None), failures)
        with _scene("stopping the companies, draining the log"):
            await demo.stop_companies()
            counts = await demo.drained()
        _print_points(counts, failures)
        with _scene("waiting for the last slices"):
            statuses = await demo.settled()
        _print_requests(demo, statuses, failures)
        _report(demo, report_dir, failures)
        _backup_and_restore(demo, failures)
        failures += [f"{name} died and was started again" for name in demo.restarted_children()]
        with _scene("stopping everything"):
            clean = await demo.stop_platform()
        if not clean:
            failures.append("`threenines up` did not stop cleanly")


async def _outage(demo: Demo, receiver: WebhookReceiver) -> None:
    demo.fault.touch()
    try:
        for alertname in (_OUTAGE_ALERT, _BURN_ALERT):
            with _scene(f"outage at {FAULTY}: waiting for `{alertname}`"):
                seconds, post = await demo.fault_to_post(receiver, alertname)
            alert = next(each for each in post.payload["alerts"] if each["labels"]["alertname"] == alertname)
            _say(
                f"[bold]{seconds:.1f} s[/] from the first failed request to the POST of [red]{alertname}[/]."
            )
            _say(f"   {alert['annotations'].get('summary', '')}", style="dim")
    finally:
        demo.fault.unlink(missing_ok=True)


def _print_points(counts: dict[str, tuple[int, int]], failures: list[str]) -> None:
    rows = [
        (tenant, f"{acknowledged:,}", f"{stored:,}", "equal" if acknowledged == stored else "DIFFERENT")
        for tenant, (acknowledged, stored) in counts.items()
    ]
    columns = ("tenant", ">points acknowledged", ">points stored", "")
    options.console.print(render.table("Acknowledged (the companies' own ledgers) and stored", columns, rows))
    for tenant, (acknowledged, stored) in counts.items():
        if acknowledged != stored or acknowledged == 0:
            failures.append(f"{tenant}: {acknowledged} points acknowledged, {stored} stored")


def _print_requests(demo: Demo, statuses: list[sla_pb2.SlaStatus], failures: list[str]) -> None:
    counted = counted_requests(statuses)
    rows = []
    for company in COMPANIES:
        served = served_requests(demo.ledger(company.tenant))
        found = counted.get(company.tenant, (0, 0))
        equal = served == found and served[1] > 0
        rows.append(
            (company.tenant, *(f"{n:,}" for n in (*served, *found)), "equal" if equal else "DIFFERENT")
        )
        if not equal:
            failures.append(f"{company.tenant}: served (good, all) {served}, counted {found}")
    columns = ("tenant", ">good served", ">all served", ">good counted", ">all counted", "")
    options.console.print(render.table("Requests: the companies' own count and ours", columns, rows))


def _print_sla(statuses: list[sla_pb2.SlaStatus], failures: list[str]) -> None:
    sla_command.print_statuses(statuses, "SLA per client")
    verdicts = {
        (row[0], row[1].split("/")[-1]): row[-1] for each in statuses for row in sla_command.rows_of(each)
    }
    for company in COMPANIES:
        expected = "FAIL" if company.tenant == FAULTY else "PASS"
        found = verdicts.get((company.tenant, "availability"))
        if found != expected:
            failures.append(f"{company.tenant}: availability should be {expected}, is {found}")


def _report(demo: Demo, directory: Path, failures: list[str]) -> None:
    """The document that the client of the outage gets, as a web page and as a PDF."""
    formats = (sla_reports.Format.HTML, sla_reports.Format.PDF)
    failed_ns = first_failure_ns(demo.ledger(FAULTY))
    assert failed_ns is not None, "the outage was waited for"
    # Not the running month: it may have begun since.
    made, files = sla_reports.write_report(
        demo.connection, FAULTY, directory, formats, inside_ms=failed_ns // 1_000_000
    )
    options.console.print(f"\n[bold]Report to {FAULTY}[/], {made.period_label} so far, with its credit")
    for file in files:
        _say(f"   {file}", style="dim")
    if made.verdict != sla_pb2.VERDICT_FAIL:
        failures.append(f"the report says {sla_pb2.Verdict.Name(made.verdict)}, although there was an outage")


def _backup_and_restore(demo: Demo, failures: list[str]) -> None:
    backup = dr_command.make_backup(demo.connection, comment="demo", verify=True)
    options.console.print("\n[bold]Backup[/]")
    dr_command.print_backup(backup)
    if backup.state != dr_pb2.BACKUP_STATE_VERIFIED:
        failures.append(f"the backup is {dr_command.state_of(backup)}, not VERIFIED")
        return
    restore = dr_command.make_restore(demo.connection, into="threenines_restored", source=backup.name)
    options.console.print("[bold]Restore[/]")
    dr_command.print_restore(restore)
    saved = {table.table: (table.row_count, table.content_hash) for table in backup.tables}
    restored = {table.table: (table.row_count, table.content_hash) for table in restore.tables}
    if restore.state != dr_pb2.RESTORE_STATE_SUCCEEDED or saved != restored:
        failures.append("the restored database does not equal the backup")


@contextlib.contextmanager
def _scene(title: str) -> Iterator[None]:
    with options.console.status(f"{title} ..."):
        yield


def _say(text: str, style: str = "") -> None:
    options.console.print(text, style=style, highlight=False)
