"""`threenines dr`: backups that are proven, and restores that never overwrite."""

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Protocol, TypeVar

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.cli import options, render
from services.cli.connection import Connection
from services.cli.failures import EXIT_FAILED, told_to_people
from threenines.dr.v1 import backup_service_pb2, backup_service_pb2_grpc, dr_pb2

app = typer.Typer(no_args_is_help=True)

_POLL_S = 0.3
_BACKUP_ENDED = {
    dr_pb2.BACKUP_STATE_CREATED,
    dr_pb2.BACKUP_STATE_VERIFIED,
    dr_pb2.BACKUP_STATE_BROKEN,
    dr_pb2.BACKUP_STATE_FAILED,
    dr_pb2.BACKUP_STATE_CANCELLED,
    dr_pb2.BACKUP_STATE_DELETED,
}
_RESTORE_ENDED = {
    dr_pb2.RESTORE_STATE_SUCCEEDED,
    dr_pb2.RESTORE_STATE_FAILED,
    dr_pb2.RESTORE_STATE_CANCELLED,
}


class _LongRunning(Protocol):
    progress_percent: int


_R = TypeVar("_R", bound=_LongRunning)


@app.command("backup")
def backup(
    verify: Annotated[bool, typer.Option(help="Prove it by a restore into a scratch database.")] = True,
    comment: Annotated[str, typer.Option(help="A note for the catalogue.")] = "",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Make a backup and verify it."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        made = make_backup(connection, comment=comment, verify=verify)
    if output is render.Output.JSON:
        render.print_messages(options.console, {"backup": made})
    else:
        print_backup(made)
    good = dr_pb2.BACKUP_STATE_VERIFIED if verify else dr_pb2.BACKUP_STATE_CREATED
    if made.state != good:
        raise typer.Exit(EXIT_FAILED)


@app.command("list")
def list_backups(
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """The backups, newest first."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        with connection.channel("dr") as channel:
            response = backup_service_pb2_grpc.BackupServiceStub(channel).ListBackups(
                backup_service_pb2.ListBackupsRequest(page_size=100),
                metadata=connection.metadata,
                timeout=options.RPC_TIMEOUT_S,
            )
    if output is render.Output.JSON:
        render.print_messages(options.console, {"backups": list(response.backups)})
        return
    rows = [
        (
            each.name.split("/")[-1],
            each.create_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"),
            state_of(each),
            f"{sum(table.row_count for table in each.tables):,}",
            f"{each.size_bytes / 1e6:.1f} MB",
            each.comment or (each.failure.message if each.HasField("failure") else ""),
        )
        for each in response.backups
    ]
    columns = ("backup", "made (UTC)", "state", ">rows", ">size", "note")
    options.console.print(render.table(None, columns, rows))


@app.command("restore")
def restore(
    into: Annotated[str, typer.Option(help="The new database; must not exist.")] = "",
    source: Annotated[str, typer.Option("--backup", help="Which backup; default: the newest verified.")] = "",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Restore the latest state into a new database and compare it by hash."""
    with told_to_people(options.errors):
        made = make_restore(options.connection(data_dir), into=into, source=source)
    if output is render.Output.JSON:
        render.print_messages(options.console, {"restore": made})
    else:
        print_restore(made)
    if made.state != dr_pb2.RESTORE_STATE_SUCCEEDED:
        raise typer.Exit(EXIT_FAILED)


def make_backup(connection: Connection, *, comment: str, verify: bool) -> dr_pb2.Backup:
    """Start a backup and follow it to its end."""
    with connection.channel("dr") as channel:
        stub = backup_service_pb2_grpc.BackupServiceStub(channel)
        started = stub.CreateBackup(
            backup_service_pb2.CreateBackupRequest(comment=comment, verify=verify),
            metadata=connection.metadata,
            timeout=options.RPC_TIMEOUT_S,
        )
        return _follow(
            "backup",
            started,
            lambda: stub.GetBackup(
                backup_service_pb2.GetBackupRequest(name=started.name),
                metadata=connection.metadata,
                timeout=options.RPC_TIMEOUT_S,
            ),
            lambda each: each.state in _BACKUP_ENDED,
        )


def make_restore(connection: Connection, *, into: str, source: str) -> dr_pb2.Restore:
    """Start a restore of the latest state and follow it to its end."""
    target = dr_pb2.RestoreTarget(latest=dr_pb2.LatestTarget())
    with connection.channel("dr") as channel:
        stub = backup_service_pb2_grpc.BackupServiceStub(channel)
        started = stub.RestoreBackup(
            backup_service_pb2.RestoreBackupRequest(
                target=target, target_database=into, source_backup=source
            ),
            metadata=connection.metadata,
            timeout=options.RPC_TIMEOUT_S,
        )
        return _follow(
            "restore",
            started,
            lambda: stub.GetRestore(
                backup_service_pb2.GetRestoreRequest(name=started.name),
                metadata=connection.metadata,
                timeout=options.RPC_TIMEOUT_S,
            ),
            lambda each: each.state in _RESTORE_ENDED,
        )


def state_of(backup: dr_pb2.Backup) -> str:
    """A backup's state as people say it."""
    return dr_pb2.BackupState.Name(backup.state).removeprefix("BACKUP_STATE_")


def print_backup(backup: dr_pb2.Backup) -> None:
    """What was saved, and whether it is proven."""
    options.console.print(
        f"[bold]{backup.name}[/]  {render.coloured(state_of(backup))}  "
        f"writer paused for {backup.writer_pause.ToMilliseconds()} ms"
    )
    _print_tables(backup.tables, backup.differences)
    if backup.HasField("failure"):
        options.console.print(f"[red]{backup.failure.message}[/]  {backup.failure.remedy}")


def print_restore(restore: dr_pb2.Restore) -> None:
    """What came back, and whether it equals what was saved."""
    state = dr_pb2.RestoreState.Name(restore.state).removeprefix("RESTORE_STATE_")
    options.console.print(f"[bold]{restore.target_database}[/]  {state}  from {restore.source_backup}")
    _print_tables(restore.tables, restore.differences)
    if restore.HasField("failure"):
        options.console.print(f"[red]{restore.failure.message}[/]  {restore.failure.remedy}")


def _print_tables(
    tables: Sequence[dr_pb2.TableContent], differences: Sequence[dr_pb2.TableDifference]
) -> None:
    different = {each.table for each in differences}
    rows = [
        (
            each.table,
            f"{each.row_count:,}",
            each.content_hash.split(":")[-1][:16],
            "DIFFERENT" if each.table in different else "equal",
        )
        for each in tables
        if each.row_count or each.table in different
    ]
    options.console.print(render.table(None, ("table", ">rows", "hash", "compared"), rows))


def _follow(what: str, started: _R, get: Callable[[], _R], ended: Callable[[_R], bool]) -> _R:
    current = started
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=options.errors, transient=True) as progress:
        task = progress.add_task(what, total=100)
        while not ended(current):
            progress.update(task, completed=current.progress_percent)
            time.sleep(_POLL_S)
            current = get()
    return current
