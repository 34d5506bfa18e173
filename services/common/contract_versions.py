"""Versions of contracts: documents of one name with different effective dates.

A version holds from local midnight of its date, in its own zone, until the next one does. Whoever needs the
terms of an instant asks here, so that every service picks the same ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import groupby
from zoneinfo import ZoneInfo

from services.common.config_feed import AppliedDocument
from services.common.documents_contract import ContractSpec

ContractDocument = AppliedDocument[ContractSpec]


@dataclass(frozen=True, slots=True)
class ContractVersion:
    """One document and when its terms hold: [from_ms, until_ms), until_ms None when no end is known."""

    document: ContractDocument
    from_ms: int
    until_ms: int | None

    def holds(self, at_ms: int) -> bool:
        """Whether these are the terms of that instant."""
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)


def effective_ms(spec: ContractSpec) -> int:
    """From when the terms hold: local midnight of the date, Unix milliseconds."""
    midnight = datetime.combine(spec.effective_from, time(), tzinfo=ZoneInfo(str(spec.time_zone)))
    return round(midnight.astimezone(UTC).timestamp() * 1000)


def versions_of(documents: Iterable[ContractDocument]) -> list[ContractVersion]:
    """Every version of every contract, in order of tenant, name and date.

    Documents of no tenant promise nothing to anybody. A version that the next one replaces before it would
    begin (its zone is hours behind) never holds, and is left out.
    """
    ordered = sorted(
        (one for one in documents if one.tenant is not None),
        key=lambda one: (one.tenant or "", one.name, one.spec.effective_from),
    )
    out: list[ContractVersion] = []
    for _, group in groupby(ordered, key=lambda one: (one.tenant, one.name)):
        until: int | None = None
        found: list[ContractVersion] = []
        for document in reversed(list(group)):
            starts = effective_ms(document.spec)
            if until is None or starts < until:
                found.append(ContractVersion(document, starts, until))
                until = starts
        out.extend(reversed(found))
    return out


def next_change_ms(versions: Iterable[ContractVersion], at_ms: int) -> int | None:
    """When other terms begin to hold, after an instant; None when that is not known."""
    return min((one.from_ms for one in versions if one.from_ms > at_ms), default=None)
