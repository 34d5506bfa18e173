"""`threenines config`: check and apply contracts, alert rules and receivers."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options, render
from services.cli.failures import told_to_people
from services.common.clock import SystemClock
from services.common.config_feed import apply_document
from services.common.documents import Document, load_documents
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
        documents = load_documents(files)
        connection = options.connection(data_dir)
        results = asyncio.run(apply_all(connection.address("nats"), documents))
    options.console.print(render.table(None, ("kind", "tenant", "name", "result"), results))


async def apply_all(nats_url: str, documents: list[Document]) -> list[tuple[str, str, str, str]]:
    """Append each document to the CONFIG stream; one table row each."""
    clock = SystemClock()
    engine = await connect_nats(nats_url, clock=clock)
    try:
        await engine.ensure_streams()
        rows: list[tuple[str, str, str, str]] = []
        for document in documents:
            if document.kind == "Platform":
                continue
            before = await engine.log.last_seq("CONFIG")
            sequence = await apply_document(engine.log, document, actor="cli", clock=clock)
            result = f"applied ({sequence})" if sequence > before else "unchanged"
            rows.append((str(document.kind), document.tenant or "", document.name, result))
        return rows
    finally:
        await engine.close()
