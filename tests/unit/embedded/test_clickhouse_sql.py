"""Where an INSERT's data begins and which format a statement asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.embedded.clickhouse_sql import (
    InsertKind,
    first_word,
    output_format,
    quote,
    quote_name,
    reads_input,
    split_insert,
    writes_outfile,
)


@pytest.mark.parametrize(
    ("statement", "fmt", "data"),
    [
        ("INSERT INTO t FORMAT Native\n", "Native", ""),
        ("insert into db.t (a, `format`) format TSV\n1\t2\n", "TSV", "1\t2\n"),
        ("INSERT INTO t FORMAT CSV \t\r\n1,2", "CSV", "1,2"),
        ('INSERT INTO t (a) FORMAT JSONEachRow {"a": "FORMAT"}', "JSONEachRow", '{"a": "FORMAT"}'),
        ("/* FORMAT CSV */ INSERT -- VALUES\n INTO t FORMAT TSV\nx", "TSV", "x"),
        ("INSERT INTO t (a) SETTINGS x = 'FORMAT CSV', y = 1 FORMAT TSV\nx", "TSV", "x"),
        ("INSERT INTO t VALUES (1), (2)", "Values", " (1), (2)"),
        ("INSERT INTO values VALUES (1)", "Values", " (1)"),
        ("INSERT INTO FUNCTION null('a FORMAT x') FORMAT RowBinary\n\x00\x01", "RowBinary", "\x00\x01"),
        ("INSERT INTO format FORMAT TSV\n\n", "TSV", "\n"),
    ],
)
def test_an_insert_is_cut_where_its_data_begins(statement: str, fmt: str, data: str) -> None:
    head = split_insert(statement)
    assert head is not None
    assert (head.kind, head.format) == (InsertKind.DATA, fmt)
    assert statement[head.data_start :] == data
    assert statement[head.sql_end :].upper().startswith(("FORMAT", "VALUES"))


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO t SELECT 1 FORMAT TSV", InsertKind.SELECT),
        ("INSERT INTO t (a) (SELECT 1)", InsertKind.SELECT),
        ("INSERT INTO t WITH 1 AS x SELECT x", InsertKind.SELECT),
        ("INSERT INTO t FROM INFILE '/x' FORMAT CSV", InsertKind.INFILE),
        ("INSERT INTO t (a)", InsertKind.UNKNOWN),
    ],
)
def test_inserts_without_data_in_the_request_are_told_apart(statement: str, kind: InsertKind) -> None:
    head = split_insert(statement)
    assert head is not None
    assert head.kind is kind


@pytest.mark.parametrize("statement", ["SELECT 1", "", "-- INSERT INTO t", "WITH x AS (SELECT 1) SELECT 2"])
def test_other_statements_are_no_insert(statement: str) -> None:
    assert split_insert(statement) is None


@given(data=st.binary(max_size=200))
def test_any_bytes_after_the_head_are_data_untouched(data: bytes) -> None:
    text = (b"INSERT INTO t (a) FORMAT RowBinary\n" + data).decode("latin-1")
    head = split_insert(text)
    assert head is not None
    assert text[head.data_start :].encode("latin-1") == data


@pytest.mark.parametrize(
    ("statement", "fmt"),
    [
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("SELECT 1 format csv ;", "csv"),
        ("SELECT 1 FORMAT TSV SETTINGS max_threads = 1", "TSV"),
        ("SELECT 1", ""),
        ("SELECT 1 AS format", ""),
        ("SELECT format FROM t", ""),
        ("SELECT 'x FORMAT JSON'", ""),
        ("SELECT 1 -- FORMAT JSON", ""),
        ("SELECT * FROM (SELECT 1 FORMAT JSON)", ""),
        ("SELECT t.format x FROM t", ""),
        ("SELECT format('{}', 1)", ""),
        ("DESCRIBE t FORMAT Vertical", "Vertical"),
    ],
)
def test_the_format_clause_is_found(statement: str, fmt: str) -> None:
    assert output_format(statement) == fmt


def test_statements_that_touch_files_or_the_body_are_found() -> None:
    assert writes_outfile("SELECT 1 INTO /* x */ outfile 'x'")
    assert not writes_outfile("SELECT 'INTO OUTFILE'")
    assert reads_input("INSERT INTO t SELECT a FROM input ('a Int8') FORMAT CSV")
    assert not reads_input("SELECT input FROM t WHERE x = 'input('")


def test_the_first_word_skips_comments() -> None:
    assert first_word("  /* a */ -- b\n select 1") == "SELECT"
    assert first_word("(SELECT 1)") == "("
    assert first_word(" -- nothing") == ""


def test_quoting_escapes_what_would_end_the_literal() -> None:
    assert quote("it's \\") == r"'it\'s \\'"
    assert quote_name("a`b\\") == r"`a\`b\\`"
