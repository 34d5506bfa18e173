"""A report as CSV (RFC 4180) for spreadsheets: every value of the canonical JSON on a line of its own.

Columns: section, objective, item, field, value. `objectives,requests,days/2026-10-12,good,4711` is the good
requests of one day. Values that a spreadsheet would take for a formula begin with an apostrophe.
"""

import csv
import io
from collections.abc import Iterable

from services.sla.reports.canonical import Json, parse
from services.sla.reports.leaves import Path, leaves, pointer

COLUMNS = ("section", "objective", "item", "field", "value")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_OBJECTIVES = "objectives"


def render_csv(content: bytes) -> bytes:
    """The file's bytes, from canonical bytes alone: the same for the same content.

    Raises:
        ValueError: it is not the content of a report.
    """
    return _bytes(rows_of(parse(content)))


def rows_of(content: Json) -> list[tuple[str, str, str, str, str]]:
    """A line for each value, in the order of their paths; null is empty, true and false are words."""
    return [(*_place(path), _text(value)) for path, value in leaves(content)]


def read_csv(data: bytes) -> list[tuple[str, str, str, str, str]]:
    """The lines that `render_csv` wrote, apostrophes taken off again."""
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    plain = [tuple(_unguarded(cell) for cell in row) for row in rows[1:]]
    return [(row[0], row[1], row[2], row[3], row[4]) for row in plain]


def _place(path: Path) -> tuple[str, str, str, str]:
    section, *rest = path
    objective = rest.pop(0) if section == _OBJECTIVES and rest else ""
    # A fraction is an object of two values; its name is part of the field.
    size = 2 if len(rest) > 1 and rest[-1] in ("exact", "decimal") else 1
    item, field = rest[:-size], rest[-size:]
    return section, objective, pointer(tuple(item))[1:], "/".join(field)


def _text(value: Json) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
    # An empty list or object: nothing is in it.
    return ""


def _bytes(rows: Iterable[tuple[str, ...]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_guarded(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def _guarded(text: str) -> str:
    """Numbers below zero stay numbers."""
    number = text[:1] == "-" and text[1:].replace(".", "", 1).replace("/", "", 1).isdigit()
    return "'" + text if text.startswith(_FORMULA) and not number else text


def _unguarded(text: str) -> str:
    return text.removeprefix("'")
