"""multipart/form-data requests: query and parameters as form fields, external tables as files.

Clients send parameters this way when they are too long for a URL. Pure; must not know the engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from services.embedded.clickhouse_errors import Code, refuse
from services.embedded.clickhouse_request import QueryRequest

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(r'\bname="((?:[^"\\]|\\.)*)"')
_FILE = re.compile(r"\bfilename\*?=")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """A table that lives for one query. `structure` is a column list as in CREATE TABLE."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    file: bool
    content: bytes


def read_form(request: QueryRequest, body: bytes) -> tuple[QueryRequest, tuple[ExternalTable, ...]]:
    """Merge a form's fields into the request; its files become external tables.

    Raises ClickHouseError 36 for a body that is no such form or a table without a structure.
    """
    query, params = request.query, dict(request.params)
    files: list[_Part] = []
    for part in _parts(request.form, body):
        if part.file:
            files.append(part)
        elif part.name == "query":
            query += part.content.decode("utf-8", "replace")
        elif part.name.startswith("param_"):
            params[part.name.removeprefix("param_")] = part.content.decode("utf-8", "replace")
        else:
            raise refuse(Code.BAD_ARGUMENTS, f"Form field '{part.name}' is neither query nor param_*.")
    settings = dict(request.settings)
    tables = tuple(_table(part, settings) for part in files)
    return replace(request, query=query, params=params, settings=settings, form=""), tables


def _table(part: _Part, settings: dict[str, str]) -> ExternalTable:
    """Takes the table's description out of the settings, where the URL's parameters are."""
    if _IDENTIFIER.match(part.name) is None:
        raise refuse(Code.BAD_ARGUMENTS, f"'{part.name}' cannot name an external table.")
    fmt, structure, types = (
        settings.pop(f"{part.name}_{key}", "") for key in ("format", "structure", "types")
    )
    if not structure:
        structure = ", ".join(f"_{i} {kind}" for i, kind in enumerate(_split_types(types), start=1))
    if not structure:
        raise refuse(Code.BAD_ARGUMENTS, f"External table '{part.name}' has no structure.")
    return ExternalTable(part.name, structure, fmt or "TabSeparated", part.content)


def _split_types(types: str) -> list[str]:
    """Split at the commas outside parentheses: Decimal(9, 2) is one type."""
    found, depth = [""], 0
    for char in types:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            found.append("")
        else:
            found[-1] += char
    return [kind.strip() for kind in found if kind.strip()]


def _parts(content_type: str, body: bytes) -> list[_Part]:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise refuse(Code.BAD_ARGUMENTS, "multipart/form-data without a boundary.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise refuse(Code.BAD_ARGUMENTS, "The multipart/form-data body is not complete.")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> _Part:
    head, _, content = piece.partition(b"\r\n\r\n")
    lines = [line.decode("utf-8", "replace") for line in head.split(b"\r\n")]
    disposition = next((line for line in lines if line.lower().startswith("content-disposition:")), "")
    name = _NAME.search(disposition)
    if name is None:
        raise refuse(Code.BAD_ARGUMENTS, "A part of the multipart/form-data body has no name.")
    return _Part(name.group(1), _FILE.search(disposition) is not None, content)
