"""What goes on the wire besides rows: the exception block, safe header values, ids in use."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.transform import extract_exception_with_tag

from services.embedded.clickhouse_errors import ClickHouseError
from services.embedded.clickhouse_exchange import exception_block, header_value
from services.embedded.clickhouse_sessions import RunningQueries


def test_a_real_client_reads_the_exception_block() -> None:
    text = "Code: 395. DB::Exception: naïve\nsecond line. (X)"
    block = exception_block(text, "0123456789abcdef")
    assert extract_exception_with_tag(b"rows before" + block, "0123456789abcdef") == text
    assert extract_exception_with_tag(block, "another-tag-16ch") is None


def test_a_header_value_cannot_begin_another_header() -> None:
    assert header_value("a\r\nX-Evil: 1\x00") == b"a??X-Evil: 1?"
    assert header_value("zürich") == "zürich".encode()


def test_an_id_is_refused_while_it_runs_and_free_afterwards() -> None:
    queries = RunningQueries(limit=2)
    first = queries.begin("a")
    with pytest.raises(ClickHouseError) as caught:
        queries.begin("a")
    assert caught.value.code == 216
    unnamed = queries.begin("")
    assert unnamed.query_id
    with pytest.raises(ClickHouseError) as caught:
        queries.begin("c")
    assert caught.value.code == 202
    queries.end(first)
    assert first.done.is_set()
    assert queries.begin("a").tag != first.tag
