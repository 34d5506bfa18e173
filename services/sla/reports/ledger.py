"""What happened to reports: the records of the stream REPORTS, and the names of reports and periods.

One record is one step of one report (asked for, issued, ...) or one attempt to deliver it; the last record of
a report says how it is. Times are Unix milliseconds. Nothing of stores, and nothing of what a report says.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum

_LONGEST = 63
_LONGEST_CONTRACT = 30


class ReportState(IntEnum):
    """How far a report is; the codes of the table's Enum8. UNCHANGED: nothing differed from `replaces`."""

    GENERATING = 1
    ISSUED = 2
    FAILED = 3
    CANCELLED = 4
    UNCHANGED = 5


class Outcome(IntEnum):
    """What became of an attempt to deliver."""

    DELIVERED = 1
    RETRYING = 2
    GIVEN_UP = 3


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """[start, end) under its name. kind: day, week, month, quarter, year or range."""

    kind: str
    label: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who gets a report when it is issued, in which formats. receiver: name of a Receiver, or empty."""

    formats: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    receiver: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """`email:<address>` and `webhook:<receiver>`."""
        webhooks = (f"webhook:{self.receiver}",) if self.receiver else ()
        return (*(f"email:{one}" for one in self.emails), *webhooks)


@dataclass(frozen=True, slots=True)
class Facts:
    """What lists show of an issued report without reading it."""

    verdict: str
    content_sha256: str
    zone: str
    versions: tuple[int, ...]
    data_end_ms: int
    watermark_ms: int
    data_revision: int
    provisional: bool


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """One step of one report.

    revision: of the report that is asked for or issued. replaces: the revision before it; 0 for none.
    created_ms: when it was asked for. actor: who asked. seq: place in REPORTS; 0 before it is there.
    scheduled: the contract's schedule made it. data_revision: how far the data was known, also if unchanged.
    content: canonical bytes, of ISSUED records only. failure_*: of FAILED ones.
    """

    tenant: str
    contract: str
    period: ReportPeriod
    revision: int
    state: ReportState
    at_ms: int
    created_ms: int
    actor: str = ""
    request_id: str = ""
    replaces: int = 0
    scheduled: bool = False
    data_revision: int = 0
    recipients: Recipients = Recipients()
    facts: Facts | None = None
    failure_reason: str = ""
    failure_message: str = ""
    failure_remedy: str = ""
    content: bytes = b""
    seq: int = 0

    @property
    def report(self) -> str:
        """Its id."""
        return report_id(self.contract, self.period, self.revision)

    @property
    def subject(self) -> str:
        """All steps of all revisions of one contract and period share it: appending compares and sets."""
        return subject_of(self.tenant, self.contract, self.period)


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One attempt (1 and up) to hand a report to a recipient. next_ms: when to try again; RETRYING only."""

    tenant: str
    contract: str
    period: ReportPeriod
    report: str
    recipient: str
    attempt: int
    outcome: Outcome
    at_ms: int
    status_code: int = 0
    error: str = ""
    next_ms: int = 0
    seq: int = 0

    @property
    def subject(self) -> str:
        """Beside the report's own."""
        return f"{subject_of(self.tenant, self.contract, self.period)}.deliveries"


def report_id(contract: str, period: ReportPeriod, revision: int) -> str:
    """`<kind>-<label>-<contract>-r<revision>`, at most 63 characters; long contract names end in a hash.

    The kind says how many parts the label has, so no two reports of a tenant share an id.
    """
    before = f"{period.kind}-{period.label.lower()}-"
    room = min(_LONGEST_CONTRACT, _LONGEST - len(before) - len("-r9999"))
    if len(contract) > room:
        digest = hashlib.blake2b(contract.encode(), digest_size=5).hexdigest()
        contract = f"{contract[: room - 11]}-{digest}"
    return f"{before}{contract}-r{revision}"


def subject_of(tenant: str, contract: str, period: ReportPeriod) -> str:
    """Where in REPORTS the revisions of one contract and period are."""
    return f"reports.{tenant}.{contract}.{period.kind}.{period.label}"
