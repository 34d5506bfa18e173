"""The bytes of REPORTS: a line of JSON and behind it the canonical content, compressed. Version 1.

A pair that inverts itself. Knows no stream and no engine.
"""

import json
from dataclasses import asdict, replace
from typing import Any

import zstandard

from services.sla.reports.ledger import (
    DeliveryRecord,
    Facts,
    Outcome,
    Recipients,
    ReportPeriod,
    ReportRecord,
    ReportState,
)

_VERSION = 1
_LEVEL = 10
_MOST_BYTES = 256 << 20
AnyRecord = ReportRecord | DeliveryRecord


def encode(record: AnyRecord) -> bytes:
    """As the stream has it; without its place there."""
    content = record.content if isinstance(record, ReportRecord) else b""
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(content) if content else b""
    return header(record) + b"\n" + packed


def decode(data: bytes, *, seq: int) -> AnyRecord:
    """What `encode` was given, with its place.

    Raises:
        ValueError: not a record of a version that this release knows.
    """
    head, _, packed = data.partition(b"\n")
    content = b""
    if packed:
        try:
            content = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MOST_BYTES)
        except zstandard.ZstdError as err:
            raise ValueError("the content of a report is damaged") from err
    return from_header(head, content, seq=seq)


def header(record: AnyRecord) -> bytes:
    """Everything but the content and the place, as JSON."""
    values: dict[str, Any] = asdict(record)
    for name in ("content", "seq"):
        values.pop(name, None)
    values["version"] = _VERSION
    values["type"] = "report" if isinstance(record, ReportRecord) else "delivery"
    return json.dumps(values, separators=(",", ":"), sort_keys=True).encode()


def from_header(head: bytes, content: bytes, *, seq: int) -> AnyRecord:
    """The inverse of `header`. Raises ValueError."""
    values = json.loads(head)
    if not isinstance(values, dict) or values.pop("version", None) != _VERSION:
        raise ValueError("not a version of this record that is known")
    kind = values.pop("type", None)
    try:
        period = ReportPeriod(**values.pop("period"))
        if kind == "delivery":
            outcome = Outcome(values.pop("outcome"))
            return DeliveryRecord(period=period, outcome=outcome, seq=seq, **values)
        facts = values.pop("facts")
        record = ReportRecord(
            period=period,
            state=ReportState(values.pop("state")),
            recipients=_recipients(values.pop("recipients")),
            facts=None if facts is None else Facts(**{**facts, "versions": tuple(facts["versions"])}),
            **values,
        )
    except (TypeError, KeyError) as err:
        raise ValueError("fields are missing or unknown") from err
    return replace(record, content=content, seq=seq)


def _recipients(values: dict[str, Any]) -> Recipients:
    return Recipients(tuple(values["formats"]), tuple(values["emails"]), values["receiver"])
