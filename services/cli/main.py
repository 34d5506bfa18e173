"""`threenines`: one command for everything a person does with the platform."""

import typer

from services.cli.commands import (
    alerts,
    config,
    dead_letters,
    demo,
    dr,
    export,
    health,
    maintenance,
    series,
    sla,
    tail,
    tenant,
    up,
    warm,
)

app = typer.Typer(
    name="threenines",
    help="SLA figures that can stand in a contract, from OpenTelemetry metrics.\n\n"
    "Start with `threenines up`, then `threenines tenant create acme`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
up.register(app)
demo.register(app)
series.register(app)
tail.register(app)
export.register(app)
warm.register(app)
health.register(app)
app.add_typer(tenant.app, name="tenant", help="Client companies and their tokens.")
app.add_typer(config.app, name="config", help="Contracts, alert rules and receivers as YAML.")
app.add_typer(sla.app, name="sla", help="Uptime and latency per client.")
app.add_typer(maintenance.app, name="maintenance", help="Announced time that does not count.")
app.add_typer(alerts.app, name="alerts", help="What fires, and what was sent.")
app.add_typer(dead_letters.app, name="dead-letters", help="What could not be written: look, and replay.")
app.add_typer(dr.app, name="dr", help="Backups that are proven, and restores.")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
