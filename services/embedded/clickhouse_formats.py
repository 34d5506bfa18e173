"""What the server must know about output formats: MIME types, and which may be sent chunk by chunk.

The engine's stream gives each chunk as a document of its own; formats whose document has a header, a footer
or separators between rows cannot simply be concatenated. Pure functions.
"""

from __future__ import annotations

# Rows of these formats stand alone, so chunks concatenate.
_PLAIN = frozenset(
    {"native", "rowbinary", "null", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "raw", "csv"}
    | {"jsoneachrow", "ndjson", "jsonlines", "jsoncompacteachrow"}
    | {"jsonstringseachrow", "jsoncompactstringseachrow"}
)
_HEADED_STEMS = frozenset(
    {"rowbinary", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv"}
    | {"jsoncompacteachrow", "jsoncompactstringseachrow"}
)


def content_type(fmt: str) -> str:
    """The Content-Type the server sends for a format."""
    name = fmt.lower()
    if "eachrow" in name or name in {"ndjson", "jsonlines"}:
        return "application/x-ndjson; charset=UTF-8"
    if name.startswith("json"):
        return "application/json; charset=UTF-8"
    if name.startswith("csv"):
        return f"text/csv; charset=UTF-8; header={'present' if 'withnames' in name else 'absent'}"
    if name.startswith(("tabseparated", "tsv")):
        return "text/tab-separated-values; charset=UTF-8"
    if name.startswith(
        ("native", "rowbinary", "arrow", "parquet", "orc", "avro", "protobuf", "msgpack", "npy")
    ):
        return "application/octet-stream"
    return "text/plain; charset=UTF-8"


def chunks_concatenate(fmt: str) -> bool:
    """True when chunks in this format join into one document (once `header_length` bytes are cut)."""
    name = fmt.lower()
    return name in _PLAIN or _header_lines(name) > 0


def has_header(fmt: str) -> bool:
    """True when each chunk repeats a header and an empty result still has one."""
    return _header_lines(fmt.lower()) > 0


def header_length(fmt: str, chunk: bytes) -> int:
    """How many bytes at the start of a chunk are its header (0 for formats without one)."""
    name = fmt.lower()
    lines = _header_lines(name)
    if lines == 0:
        return 0
    if name.startswith("rowbinary"):
        return _binary_header_length(chunk, strings_per_column=lines)
    end = 0
    for _ in range(lines):
        end = _line_end(chunk, end, quoted=name.startswith("csv"))
    return end


def _header_lines(name: str) -> int:
    for suffix, lines in (("withnamesandtypes", 2), ("withnames", 1)):
        if name.endswith(suffix) and name.removesuffix(suffix) in _HEADED_STEMS:
            return lines
    return 0


def _line_end(chunk: bytes, start: int, *, quoted: bool) -> int:
    """Offset after the line feed that ends the row; in CSV one inside double quotes does not."""
    position = chunk.index(b"\n", start)
    while quoted and chunk.count(b'"', start, position) % 2:
        position = chunk.index(b"\n", position + 1)
    return position + 1


def _binary_header_length(chunk: bytes, *, strings_per_column: int) -> int:
    columns, position = varint(chunk, 0)
    for _ in range(columns * strings_per_column):
        size, position = varint(chunk, position)
        position += size
    return position


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a LEB128 number; returns it and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
