"""`threenines config`: check and apply contracts, alert rules and receivers."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options, render
from services.cli.failures import told_to_people
from services.cli.understood import COLUMNS, understood
from services.common.clock import Clock, SystemClock
from services.common.config_feed import AppliedDocument, ConfigFeed, put_document
from services.common.documents import Document, DocumentSpec, Kind, load_documents
from services.common.documents_errors import DocumentError
from services.common.log import NatsEngine, connect_nats
from services.common.openslo_export import to_openslo
from services.sla.contract_check import check_contract

app = typer.Typer(no_args_is_help=True)
_PATIENCE_S = 15.0


class ExportFormat(StrEnum):
    """What contracts can be written as."""

    OPENSLO = "openslo"


FilesArgument = Annotated[list[Path], typer.Argument(help="YAML files or directories.", exists=True)]


OptionalFilesArgument = Annotated[
    list[Path] | None, typer.Argument(help="YAML files or directories; none: what is applied.", exists=True)
]
FormatOption = Annotated[ExportFormat, typer.Option("--format", help="What to write.")]


@app.command("check")
def check(files: FilesArgument, data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR) -> None:
    """Say everything that is wrong with a configuration, at once, or what it promises; change nothing.

    References may lead to what is applied already where threenines runs; without it the files
    must be complete.
    """
    notes: list[DocumentError] = []
    with told_to_people(options.errors):
        nats_url = options.known_address("nats", data_dir)
        known = [] if nats_url is None else asyncio.run(applied_documents(nats_url))
        documents = load_documents(files, known=known, checks=[check_contract], notes=notes)
    _tell("not used", notes)
    rows = understood(documents)
    if rows:
        options.console.print(render.table(None, COLUMNS, rows))
    against = "the files alone" if nats_url is None else "what is applied"
    options.console.print(f"[green]ok[/]  {len(documents)} documents, checked against {against}")


@app.command("apply")
def apply(files: FilesArgument, data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR) -> None:
    """Check a configuration and make it the one in force, without a restart."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        results = asyncio.run(apply_files(connection.address("nats"), files))
    options.console.print(render.table(None, ("kind", "tenant", "name", "result"), results))


@app.command("export")
def export(
    files: OptionalFilesArgument = None,
    export_format: FormatOption = ExportFormat.OPENSLO,
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
) -> None:
    """Write contracts to standard output in another format; what it cannot say is told on standard error."""
    assert export_format is ExportFormat.OPENSLO
    with told_to_people(options.errors):
        if files:
            nats_url = options.known_address("nats", data_dir)
            known = [] if nats_url is None else asyncio.run(applied_documents(nats_url))
            documents = load_documents(files, known=known, checks=[check_contract])
        else:
            documents = asyncio.run(applied_documents(options.connection(data_dir).address("nats")))
    exported = to_openslo(documents)
    typer.echo(exported.text(), nl=False)
    _tell("not exported", exported.omitted)


async def apply_files(nats_url: str, files: Sequence[Path]) -> list[tuple[str, str, str, str]]:
    """Check the files against what is applied already, then append each document; one table row each.

    Raises:
        DocumentErrors: with every error of every document; nothing was applied then.
    """
    clock = SystemClock()
    engine = await connect_nats(nats_url, clock=clock, timeout_s=_PATIENCE_S)
    try:
        await engine.ensure_streams()
        documents = load_documents(files, known=await _in_force(engine, clock), checks=[check_contract])
        rows: list[tuple[str, str, str, str]] = []
        for document in documents:
            if document.kind is Kind.PLATFORM:
                continue  # where the engines run is read by `up`, not by the services
            result = await put_document(engine.log, document, actor="cli", clock=clock)
            shown = "applied" if result.changed else "unchanged"
            rows.append((str(document.kind), document.tenant or "", document.name, shown))
        return rows
    finally:
        await engine.close()


async def applied_documents(nats_url: str) -> list[Document]:
    """What is in force.

    Raises:
        Unavailable: the log does not answer.
    """
    clock = SystemClock()
    engine = await connect_nats(nats_url, clock=clock, timeout_s=_PATIENCE_S)
    try:
        return await _in_force(engine, clock)
    finally:
        await engine.close()


async def _in_force(engine: NatsEngine, clock: Clock) -> list[Document]:
    feed = ConfigFeed(engine.log, clock)
    await feed.start()
    try:
        return [document_of(document) for kind in Kind for document in feed.documents(kind)]
    finally:
        await feed.stop()


def _tell(what: str, notes: Sequence[object]) -> None:
    for note in notes:
        options.errors.print(f"{what}: {note}", markup=False, highlight=False, soft_wrap=True)


def document_of(applied: AppliedDocument[DocumentSpec]) -> Document:
    """The document without its place in the stream."""
    return Document(applied.kind, applied.tenant, applied.name, applied.spec)
