"""How long rows are kept, and how finely their times: by tenant where its document says so.

Days are written into each row (`keep_days`) and the tables' TTL reads them there, so a change holds
for what is stored from then on. Rows go in whole days (UTC): those of a day, when `keep_days` full days
have passed since its end.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from services.collector.model import I64
from services.common.config_feed import AppliedDocument
from services.common.documents_platform import RETENTION_TABLES, TenantSpec

DEFAULT_KEEP_DAYS = 30

KeepDays: TypeAlias = Callable[[str, str], int]
"""Days that the rows of (tenant, table) are kept."""


def default_keep_days(_tenant: str, _table: str) -> int:
    """Days where nobody says otherwise."""
    return DEFAULT_KEEP_DAYS


KeepNs: TypeAlias = Callable[[str], bool]
"""Whether the times of a tenant are kept to the nanosecond."""


def milliseconds_only(_tenant: str) -> bool:
    """What holds where nobody says otherwise."""
    return False


def expires(day: int, keep_days: I64) -> I64:
    """The first days (since 1970-01-01) on which rows of `day` may go; the TTL of the schema."""
    return day + keep_days + 1


class Retention:
    """The days in force; call `replace` when the configuration changed. Read from any thread."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, str], int] = {}
        self._to_the_ns: frozenset[str] = frozenset()

    def days(self, tenant: str, table: str) -> int:
        """See `KeepDays`."""
        return self._days.get((tenant, table), DEFAULT_KEEP_DAYS)

    def to_the_ns(self, tenant: str) -> bool:
        """See `KeepNs`."""
        return tenant in self._to_the_ns

    def replace(self, tenants: Iterable[AppliedDocument[TenantSpec]]) -> None:
        """Take the documents that are in force now."""
        found: dict[tuple[str, str], int] = {}
        finer: set[str] = set()
        for document in tenants:
            if document.spec.timestamps == "ns":
                finer.add(document.name)
            kept: dict[str, int] = {
                table: document.spec.keep_days(table) or DEFAULT_KEEP_DAYS for table in RETENTION_TABLES
            }
            # What points mean is known as long as any of them.
            kept["series"] = max(kept.values())
            found.update({(document.name, table): days for table, days in kept.items()})
        self._days, self._to_the_ns = found, frozenset(finer)
