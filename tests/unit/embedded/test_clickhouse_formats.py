"""Headers of chunks are measured to the byte; MIME types are the server's."""

from __future__ import annotations

import pytest

from services.embedded.clickhouse_errors import ClickHouseError
from services.embedded.clickhouse_formats import (
    chunks_concatenate,
    content_type,
    has_header,
    header_length,
    varint,
)
from services.embedded.clickhouse_native import block_prefix


@pytest.mark.parametrize(
    ("fmt", "header"),
    [
        ("TSVWithNames", b"a\tb\n"),
        ("TabSeparatedWithNamesAndTypes", b"a\\nb\nString\n"),
        ("CSVWithNames", b'"a\nb","c""\n"\n'),
        ("JSONCompactEachRowWithNamesAndTypes", b'["a\\nb"]\n["UInt8"]\n'),
        ("RowBinaryWithNames", b"\x02\x01a\x01\n"),
        ("RowBinaryWithNamesAndTypes", b"\x01\x80\x01" + b"n" * 128 + b"\x05UInt8"),
        ("CSV", b""),
        ("Native", b""),
    ],
)
def test_a_header_is_cut_to_the_byte(fmt: str, header: bytes) -> None:
    assert header_length(fmt, header + b"1\t2\n") == len(header)
    assert chunks_concatenate(fmt)
    assert has_header(fmt) is bool(header)


@pytest.mark.parametrize(
    "fmt", ["JSON", "JSONCompact", "Parquet", "Arrow", "Pretty", "Vertical", "Values", "XML"]
)
def test_documents_are_not_sent_in_chunks(fmt: str) -> None:
    assert not chunks_concatenate(fmt)


def test_content_types_are_those_of_the_server() -> None:
    assert content_type("TSV") == "text/tab-separated-values; charset=UTF-8"
    assert content_type("CSVWithNames") == "text/csv; charset=UTF-8; header=present"
    assert content_type("JSONCompact") == "application/json; charset=UTF-8"
    assert content_type("Native") == "application/octet-stream"
    assert content_type("") == "text/plain; charset=UTF-8"


def test_varints_are_little_endian_base_128() -> None:
    assert varint(b"\xff\x80\x01\x07", 1) == (128, 3)


def test_blocks_have_a_prefix_from_the_revision_that_knows_it() -> None:
    assert block_prefix("Native", 0) == b""
    assert block_prefix("native", 54405) == bytes.fromhex("010002ffffffff00")
    assert block_prefix("CSV", 54460) == b""
    with pytest.raises(ClickHouseError, match="54454"):
        block_prefix("Native", 54454)
