"""The formats in which a report can be read: each is a function of the canonical bytes alone."""

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """As contracts name them."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
    PDF = "pdf"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.HTML: "text/html; charset=utf-8",
    Format.PDF: "application/pdf",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A report in one format. content_sha256: of the canonical bytes."""

    content: bytes
    media_type: str
    file_name: str
    content_sha256: str


def render(content: bytes, chosen: Format) -> bytes:
    """Canonical bytes in a format; takes up to seconds for PDF, so not on the event loop.

    Raises:
        ValueError: they are not the content of a report.
    """
    # Fonts, templates and the PDF library are loaded when a document is first asked for.
    match chosen:
        case Format.JSON:
            return content
        case Format.CSV:
            from services.sla.reports.csv import render_csv

            return render_csv(content)
        case Format.HTML:
            from services.sla.reports.html import render_html

            return render_html(content)
        case Format.PDF:
            from services.sla.reports.pdf import render_pdf

            return render_pdf(content)


def file_name(tenant: str, report: str, chosen: Format) -> str:
    """Such as `acme-month-2026-10-gold-r1.pdf`: safe in every file system and header."""
    return f"{tenant}-{report}.{chosen.value}"
