"""Forms become requests: fields are query and parameters, files are external tables."""

from __future__ import annotations

import httpx
import pytest

from services.embedded.clickhouse_errors import ClickHouseError
from services.embedded.clickhouse_form import ExternalTable, read_form
from services.embedded.clickhouse_request import QueryRequest, parse_request


def form(
    fields: dict[str, str], files: dict[str, bytes] | None = None, url: bytes = b""
) -> tuple[QueryRequest, tuple[ExternalTable, ...]]:
    """A form as httpx writes it, read back."""
    parts: list[tuple[str, tuple[str | None, bytes]]] = [(k, (None, v.encode())) for k, v in fields.items()]
    parts += [(name, (name, data)) for name, data in (files or {}).items()]
    sent = httpx.Request("POST", "http://x/", files=parts)
    request = parse_request("POST", url, {"content-type": sent.headers["content-type"]})
    return read_form(request, sent.read())


def test_fields_are_query_and_parameters() -> None:
    request, tables = form({"query": "SELECT {x:String}", "param_x": "a\r\n--b"}, url=b"max_threads=1")
    assert (request.query, dict(request.params), dict(request.settings)) == (
        "SELECT {x:String}", {"x": "a\r\n--b"}, {"max_threads": "1"},
    )  # fmt: skip
    assert tables == ()


def test_files_are_tables_described_in_the_url() -> None:
    data = bytes(range(256)) + b"\r\n--\r\n"
    url = b"ext_structure=a+UInt8&ext_format=RowBinary&other_types=Decimal(9,+2),String&query=SELECT+1"
    request, tables = form({}, {"ext": data, "other": b"1\tx\n"}, url)
    assert dict(request.settings) == {}
    assert tables == (
        ExternalTable("ext", "a UInt8", "RowBinary", data),
        ExternalTable("other", "_1 Decimal(9, 2), _2 String", "TabSeparated", b"1\tx\n"),
    )


@pytest.mark.parametrize(
    ("fields", "files"), [({"max_threads": "1"}, {}), ({}, {"ext": b""}), ({}, {"a b": b""})]
)
def test_what_is_not_understood_is_refused(fields: dict[str, str], files: dict[str, bytes]) -> None:
    with pytest.raises(ClickHouseError) as caught:
        form(fields, files)
    assert caught.value.code == 36


@pytest.mark.parametrize(
    "body", [b"", b"--b\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"]
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    request = parse_request("POST", b"", {"content-type": "multipart/form-data; boundary=b"})
    with pytest.raises(ClickHouseError):
        read_form(request, body)
