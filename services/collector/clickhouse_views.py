"""Views that look like the tables of the OpenTelemetry Collector's ClickHouse exporter.

They are made anew at every start, not by a migration: they hold no data, a restored database
comes without them, and a better definition must reach every database. The exporter's columns have
no tenant, so there are two kinds:

- in the platform's own database, over all tenants;
- in a database of its own for one tenant, `<database>_<tenant>`: what a Grafana or an auditor of
  that tenant is pointed at.

Both run with the rights of who asks, so that on a cluster row policies on the tables decide what a
user sees through either kind; docs/sql.md has the statements. (With the definer's rights the
engine does not prune by the join, and one metric would cost a scan of the tenant.)

The SQL is in sql/otel_metrics_*.sql.
"""

import re
from importlib.resources import files
from string import Template

from services.common.clickhouse import Database
from services.common.errors import FailedPrecondition, InvalidArgument

VIEWS = (
    "otel_metrics_gauge",
    "otel_metrics_sum",
    "otel_metrics_histogram",
    "otel_metrics_exp_histogram",
    "otel_metrics_summary",
)

_TENANT = re.compile(r"[a-z0-9-]{1,63}")
# A database with points of its own is a platform's (restored, say), however it is called.
_TENANT_DATABASES = """
SELECT database FROM system.tables
WHERE name = 'otel_metrics_gauge' AND startsWith(database, {prefix:String})
AND database NOT IN (SELECT database FROM system.tables WHERE name = 'points')
"""
_HAS_POINTS = "SELECT 1 FROM system.tables WHERE database = {name:String} AND name = 'points'"


async def create_views(database: Database) -> None:
    """Make the views of the platform's database, and renew those of the tenants that have them.

    Raises:
        Unavailable: CLICKHOUSE_UNAVAILABLE.
    """
    await _create(database, into=database.name, whose="true")
    prefix = tenant_database(database.name, "")
    for row in await database.rows(_TENANT_DATABASES, {"prefix": prefix}):
        await create_tenant_views(database, str(row[0]).removeprefix(prefix))


async def create_tenant_views(database: Database, tenant: str) -> str:
    """Make the database of one tenant's views, or renew them; its name.

    Raises:
        InvalidArgument: not the id of a tenant.
        NotFound: UNKNOWN_DATABASE; the platform's database does not exist yet.
        FailedPrecondition: DATABASE_IN_USE; the name belongs to a database with points of its own.
    """
    if _TENANT.fullmatch(tenant) is None:
        raise InvalidArgument("a tenant id is 1 to 63 of a-z, 0-9 and -", field="tenant")
    await database.database_uuid()
    into = tenant_database(database.name, tenant)
    if await database.rows(_HAS_POINTS, {"name": into}):
        raise FailedPrecondition(
            f"database {into} holds points of its own and cannot hold the views of {tenant}",
            reason="DATABASE_IN_USE",
            next_step="Rename that database, or give the tenant another id.",
        )
    await database.command(f"CREATE DATABASE IF NOT EXISTS `{into}` ENGINE = Atomic", in_database=False)
    # A view's text cannot hold a bound parameter; the id was checked above and needs no quoting.
    await _create(database, into=into, whose=f"tenant = '{tenant}'")
    return into


def tenant_database(database: str, tenant: str) -> str:
    """The name of the database that holds a tenant's views."""
    return f"{database}_{tenant}"


async def _create(database: Database, *, into: str, whose: str) -> None:
    for view in VIEWS:
        text = Template((files("services.collector") / "sql" / f"{view}.sql").read_text())
        names = {"into": f"`{into}`", "source": f"`{database.name}`"}
        await database.command(text.substitute(names, whose=whose))
