"""A report as e-mail: a summary that can be read at a glance, and the documents.

Pure: the same report for the same recipient is always the same message, under one Message-ID.
"""

import html
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from services.sla.reports.canonical import read_report
from services.sla.reports.formats import MEDIA_TYPES, Format, file_name
from services.sla.reports.ledger import ReportRecord
from services.sla.reports.model import ReportInput

_VERDICTS = {"PASS": "kept", "FAIL": "missed", "INDETERMINATE": "not decidable", "NO_DATA": "without data"}


@dataclass(frozen=True, slots=True)
class Parcel:
    """One issued report for one recipient. key: the same for every attempt. documents: by format."""

    record: ReportRecord
    recipient: str
    key: str
    documents: tuple[tuple[Format, bytes], ...]


def message_of(parcel: Parcel, *, sender: str, to: str) -> EmailMessage:
    """The message."""
    record = parcel.record
    report = read_report(record.content)
    message = EmailMessage()
    message["Subject"] = _line(_subject(report))
    message["From"] = sender
    message["To"] = to
    message["Date"] = format_datetime(datetime.fromtimestamp(record.at_ms // 1000, UTC))
    domain = sender.rpartition("@")[2].rstrip(">") or "localhost"
    message["Message-ID"] = f"<{parcel.key}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(report, record))
    message.add_alternative(_html(report, record), subtype="html")
    for chosen, content in parcel.documents:
        kind, _, subtype = MEDIA_TYPES[chosen].partition(";")[0].partition("/")
        name = file_name(record.tenant, record.report, chosen)
        message.add_attachment(content, maintype=kind, subtype=subtype, filename=name)
    return message


def _subject(report: ReportInput) -> str:
    again = f", revision {report.revision}" if report.revision > 1 else ""
    verdict = _VERDICTS.get(report.verdict, report.verdict)
    return f"Service level report {report.tenant} {report.contract} {report.period.label}{again}: {verdict}"


def _rows(report: ReportInput) -> list[tuple[str, str, str]]:
    return [
        (
            one.name,
            f"{one.displayed} %" if one.displayed and one.latency is None else one.displayed or "-",
            _VERDICTS.get(one.verdict, one.verdict),
        )
        for one in report.objectives
    ]


def _notes(report: ReportInput) -> list[str]:
    notes = [f"{report.period.local_start} to {report.period.local_end} ({report.period.zone})."]
    if report.replaces.revision:
        why = f" ({report.replaces.why})" if report.replaces.why else ""
        notes.append(f"Revision {report.revision} replaces revision {report.replaces.revision}{why}.")
    return notes


def _text(report: ReportInput, record: ReportRecord) -> str:
    lines = [_subject(report), "", *_notes(report), ""]
    lines += [f"  {name}: {value}, {verdict}" for name, value, verdict in _rows(report)]
    sha256 = record.facts.content_sha256 if record.facts else ""
    return "\n".join([*lines, "", f"Content SHA-256: {sha256}", ""])


def _html(report: ReportInput, record: ReportRecord) -> str:
    cell = '<td style="padding:4px 16px 4px 0;border-bottom:1px solid #ddd">'
    rows = "".join(
        "<tr>" + "".join(f"{cell}{html.escape(value)}</td>" for value in row) + "</tr>"
        for row in _rows(report)
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in _notes(report))
    sha256 = record.facts.content_sha256 if record.facts else ""
    return (
        f'<html><body style="font-family:sans-serif"><h2>{html.escape(_subject(report))}</h2>{notes}'
        f'<table style="border-collapse:collapse">{rows}</table>'
        f'<p style="color:#777">Content SHA-256: {sha256}</p></body></html>'
    )


def _line(text: str) -> str:
    """Fit for a header: names come from outside."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
