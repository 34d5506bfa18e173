"""`threenines config`: check and apply contracts, alert rules and receivers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options, render
from services.cli.failures import told_to_people
from services.common.clock import SystemClock
from services.common.config_feed import AppliedDocument, ConfigFeed, put_document
from services.common.documents import Document, DocumentSpec, Kind, load_documents
from services.common.log import connect_nats

app = typer.Typer(no_args_is_help=True)

FilesArgument = Annotated[list[Path], typer.Argument(help="YAML files or directories.", exists=True)]


@app.command("check")
def check(files: FilesArgument) -> None:
    """Say everything that is wrong with a configuration, at once; change nothing."""
    with told_to_people(options.errors):
        documents = load_documents(files)
    options.console.print(f"[green]ok[/]  {len(documents)} documents")


@app.command("apply")
def apply(files: FilesArgument, data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR) -> None:
    """Check a configuration and make it the one in force, without a restart."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        results = asyncio.run(apply_files(connection.address("nats"), files))
    options.console.print(render.table(None, ("kind", "tenant", "name", "result"), results))


async def apply_files(nats_url: str, files: Sequence[Path]) -> list[tuple[str, str, str, str]]:
    """Check the files against what is applied already, then append each document; one table row each.

    Raises:
        DocumentErrors: with every error of every document; nothing was applied then.
    """
    clock = SystemClock()
    engine = await connect_nats(nats_url, clock=clock)
    try:
        await engine.ensure_streams()
        feed = ConfigFeed(engine.log, clock)
        await feed.start()
        try:
            applied = [document for kind in Kind for document in feed.documents(kind)]
            documents = load_documents(files, known=[document_of(each) for each in applied])
        finally:
            await feed.stop()
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


def document_of(applied: AppliedDocument[DocumentSpec]) -> Document:
    """The document without its place in the stream."""
    return Document(applied.kind, applied.tenant, applied.name, applied.spec)
