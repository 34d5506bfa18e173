"""`threenines tail`: the points of a client as they arrive.

Reads the log, so it shows what was acknowledged, whether ClickHouse has it yet or not. For
operators: whoever can reach NATS can read every tenant.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import typer
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.cli import options
from services.cli.failures import told_to_people
from services.cli.point_text import lines_of
from services.collector.record import decode_record
from services.common.clock import SystemClock
from services.common.log import connect_nats
from services.common.log_port import Log
from services.common.streams import OTLP

_WAIT_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command("tail")(tail)


def tail(
    tenant: Annotated[str, typer.Argument(help="Whose points.")],
    metric: Annotated[str, typer.Option(help="Only this metric.")] = "",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
) -> None:
    """Show the points of a client as they arrive; Ctrl-C ends."""
    with told_to_people(options.errors):
        url = options.connection(data_dir).address("nats")
        asyncio.run(_print_for_ever(url, tenant, metric))


async def _print_for_ever(nats_url: str, tenant: str, metric: str) -> None:
    engine = await connect_nats(nats_url, clock=SystemClock())
    try:
        from_seq = await engine.log.last_seq(OTLP) + 1
        options.errors.print(f"Points of {tenant} as they arrive; Ctrl-C ends.", style="dim")
        async for line in arriving(engine.log, tenant, metric=metric, from_seq=from_seq):
            # Not through rich: an attribute may look like markup.
            print(line, flush=True)
    finally:
        await engine.close()


async def arriving(log: Log, tenant: str, *, metric: str = "", from_seq: int) -> AsyncIterator[str]:
    """Lines for the tenant's accepted points from a sequence on, without an end.

    Raises:
        Unavailable: the log does not answer.
    """
    # Not at the top: every other command would pay for importing Numba.
    from services.collector.validate import unpack_bitmap

    subject = f"otlp.0.{tenant}"
    while True:
        for entry in await log.read(OTLP, from_seq, wait_s=_WAIT_S):
            from_seq = entry.seq + 1
            if entry.subject != subject:
                continue
            for request in decode_record(entry.data).requests:
                rejected = unpack_bitmap(request.rejected, request.point_count).tolist()
                message = ExportMetricsServiceRequest.FromString(request.raw)
                for line in lines_of(message, rejected, metric=metric):
                    yield line
