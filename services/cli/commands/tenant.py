"""`threenines tenant`: a client company and the credentials of its services."""

from typing import Annotated
from urllib.parse import quote

import typer

from services.cli import options, render
from services.cli.commands import quota
from services.cli.connection import Connection
from services.cli.failures import told_to_people
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

app = typer.Typer(no_args_is_help=True)
quota.register(app)


@app.command("create")
def create(
    tenant: Annotated[str, typer.Argument(help="Its id: lower-case letters, digits and hyphens.")],
    display_name: Annotated[str, typer.Option(help="What people call it.")] = "",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    output: options.OutputOption = render.Output.TABLE,
) -> None:
    """Create a tenant and print a token with the OTEL_* lines to paste."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        token = create_tenant(connection, tenant, display_name)
        if output is render.Output.JSON:
            render.print_messages(options.console, {"token": token})
            return
        options.console.print(f"Tenant [bold]{tenant}[/] is ready. Its token is shown only now.\n")
        options.console.print("Paste this where its services run:\n", style="dim")
        for line in otel_lines(connection.address("otlp"), token.secret):
            # Not through rich: a wrapped or coloured token cannot be pasted.
            print(line)


@app.command("token")
def create_token(
    tenant: Annotated[str, typer.Argument(help="Whose token.")],
    role: Annotated[str, typer.Option(help="writer, reader, operator, auditor or admin.")] = "reader",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
) -> None:
    """Create a further token of a tenant and print it."""
    with told_to_people(options.errors):
        connection = options.connection(data_dir)
        roles = dict(collector_pb2.TokenRole.items())
        if f"TOKEN_ROLE_{role.upper()}" not in roles:
            raise typer.BadParameter(f"{role} is not a role", param_hint="--role")
        with connection.channel("collector") as channel:
            token = collector_service_pb2_grpc.CollectorServiceStub(channel).CreateToken(
                collector_service_pb2.CreateTokenRequest(
                    parent=f"tenants/{tenant}",
                    token=collector_pb2.Token(role=roles[f"TOKEN_ROLE_{role.upper()}"]),
                ),
                metadata=connection.metadata,
                timeout=options.RPC_TIMEOUT_S,
            )
        print(token.secret)


def create_tenant(connection: Connection, tenant: str, display_name: str = "") -> collector_pb2.Token:
    """Create a tenant and its first writer token, whose secret is in the answer and nowhere else."""
    with connection.channel("collector") as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        stub.CreateTenant(
            collector_service_pb2.CreateTenantRequest(
                tenant_id=tenant, tenant=collector_pb2.Tenant(display_name=display_name)
            ),
            metadata=connection.metadata,
            timeout=options.RPC_TIMEOUT_S,
        )
        return stub.CreateToken(
            collector_service_pb2.CreateTokenRequest(
                parent=f"tenants/{tenant}",
                token=collector_pb2.Token(role=collector_pb2.TOKEN_ROLE_WRITER, display_name="first"),
            ),
            metadata=connection.metadata,
            timeout=options.RPC_TIMEOUT_S,
        )


def otel_lines(otlp_address: str, secret: str) -> tuple[str, ...]:
    """The environment that makes any OpenTelemetry SDK send here."""
    return (
        f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://{otlp_address}",
        "export OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        f"export OTEL_EXPORTER_OTLP_HEADERS=authorization={quote(f'Bearer {secret}', safe='')}",
        "export OTEL_METRIC_EXPORT_INTERVAL=10000",
        "export OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram",
    )
