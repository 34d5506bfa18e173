"""`threenines health`: is threenines itself as it usually is?"""

import typer

from services.cli import options, render
from services.cli.commands import sla_common
from services.cli.failures import EXIT_FAILED, told_to_people
from threenines.sla.v1 import sla_pb2, sla_service_pb2

EXIT_DEGRADED = 4
_UNITS: dict[int, str] = {
    sla_pb2.HEALTH_MEASURE_THROUGHPUT: "/min",
    sla_pb2.HEALTH_MEASURE_ERROR_RATE: " ppm",
}
_MICROS = (sla_pb2.HEALTH_MEASURE_RESPONSE_TIME, sla_pb2.HEALTH_MEASURE_DATABASE_TIME)
_PREFIX = "COMPONENT_STATE_"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("health")(health)


def health(
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Every part of threenines beside what it usually is. Exit code: 0 healthy, 4 degraded, 1 down."""
    with told_to_people(options.errors):
        found = sla_common.ask(
            options.connection(data_dir),
            lambda stub: stub.GetPlatformHealth,
            sla_service_pb2.GetPlatformHealthRequest(),
        )
    if output is render.Output.JSON:
        render.print_messages(options.console, {"health": found})
    else:
        columns = ("part", "state", "figure", ">now", ">usually", ">limit")
        rows = [row for one in found.components for row in component_rows(one)]
        options.console.print(render.table(None, columns, rows))
        for one in found.components:
            if one.message:
                options.console.print(f"{one.component}: {one.message}", highlight=False)
    if found.state == sla_pb2.COMPONENT_STATE_DOWN:
        raise typer.Exit(EXIT_FAILED)
    if found.state == sla_pb2.COMPONENT_STATE_DEGRADED:
        raise typer.Exit(EXIT_DEGRADED)


def component_rows(one: sla_pb2.ComponentHealth) -> list[tuple[str, ...]]:
    """A row for each figure, the first with the part and its state."""
    state = _word(one.state)
    figures = [
        (
            each.name,
            amount(each.current, each.measure) if each.state else "-",
            amount(each.baseline, each.measure) if each.samples else "-",
            amount(each.limit, each.measure) if each.limit else "-",
        )
        for each in one.indicators
    ]
    first, *others = figures or [("", "", "", "")]
    return [(one.component, state, *first), *(("", "", *each) for each in others)]


def amount(value: int, measure: int) -> str:
    """A figure in the unit that people read."""
    if measure in _MICROS:
        return f"{value / 1000:,.1f} ms"
    if measure == sla_pb2.HEALTH_MEASURE_LAG:
        return f"{value / 1000:,.1f} s"
    return f"{value:,}{_UNITS.get(measure, '')}"


def _word(state: int) -> str:
    if state == sla_pb2.COMPONENT_STATE_UNSPECIFIED:
        return "unknown"
    return sla_pb2.ComponentState.Name(state).removeprefix(_PREFIX).lower()  # type: ignore[arg-type]  # an int of the wire
