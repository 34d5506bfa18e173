"""URL and headers become a request; logins are compared."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest

from services.embedded.clickhouse_errors import ClickHouseError
from services.embedded.clickhouse_request import QueryRequest, check_login, header_map, parse_request


def parsed(method: str = "POST", headers: dict[str, str] | None = None, **params: str) -> QueryRequest:
    return parse_request(method, urlencode(params).encode(), headers or {})


def test_parameters_settings_and_transport_are_told_apart() -> None:
    request = parsed(
        query="SELECT {x:UInt8}", param_x="7", max_threads="2", database="db", default_format="CSV",
        query_id="q", wait_end_of_query="1", client_protocol_version="54405", quota_key="k", buffer_size="3",
    )  # fmt: skip
    assert request.query == "SELECT {x:UInt8}"
    assert dict(request.params) == {"x": "7"}
    assert dict(request.settings) == {"max_threads": "2"}
    assert (request.database, request.default_format, request.query_id) == ("db", "CSV", "q")
    assert (request.wait_end_of_query, request.native_revision) == (True, 54405)


def test_database_and_format_may_come_as_headers_and_the_url_wins() -> None:
    headers = {"x-clickhouse-database": "h", "x-clickhouse-format": "TSV"}
    assert (parsed(headers=headers).database, parsed(headers=headers).default_format) == ("h", "TSV")
    assert parsed(headers=headers, database="u").database == "u"


@pytest.mark.parametrize(
    ("method", "readonly", "allowed"),
    [("POST", "0", True), ("GET", "0", False), ("POST", "1", False), ("HEAD", "0", False)],
)
def test_get_and_readonly_may_not_write(method: str, readonly: str, *, allowed: bool) -> None:
    assert parsed(method, readonly=readonly).writes_allowed is allowed


def test_responses_are_compressed_only_with_the_setting() -> None:
    headers = {"accept-encoding": "gzip, zstd;q=0.5"}
    assert parsed(headers=headers).accept_encoding == ""
    assert parsed(headers=headers, enable_http_compression="1").accept_encoding == "gzip"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"compress": "1"}, 48),
        ({"decompress": "1"}, 48),
        ({"session_timeout": "4000"}, 374),
        ({"session_timeout": "x"}, 374),
        ({"a = 1, b": "1"}, 115),
        ({"x'": "1"}, 115),
    ],
)
def test_what_cannot_be_honoured_is_refused(params: dict[str, str], code: int) -> None:
    with pytest.raises(ClickHouseError) as caught:
        parsed(**params)
    assert caught.value.code == code


def test_a_form_is_noted_and_bytes_that_are_not_text_are_refused() -> None:
    assert parsed(headers={"content-type": "multipart/form-data; boundary=x"}).form.endswith("boundary=x")
    assert parsed(headers={"content-type": "text/plain"}).form == ""
    with pytest.raises(ClickHouseError, match="not UTF-8"):
        parse_request("GET", b"query=%FF", {})


def login(headers: dict[str, str] | None = None, **params: str) -> None:
    check_login(urlencode(params).encode(), headers or {}, user="default", password="pä:ss")


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_the_right_login_passes_in_every_way_of_sending_it() -> None:
    login(basic("default:pä:ss"))
    login({"x-clickhouse-user": "default", "x-clickhouse-key": "pä:ss"})
    login({"x-clickhouse-key": "pä:ss"})
    login(user="default", password="pä:ss")
    login(password="pä:ss")


@pytest.mark.parametrize(
    "headers",
    [{}, basic("default:"), basic("default:wrong"), basic("other:pä:ss"), {"authorization": "Basic %%%"},
     {"authorization": "Bearer x"}, {"x-clickhouse-user": "default"}],
)  # fmt: skip
def test_any_other_login_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ClickHouseError) as caught:
        login(headers)
    assert (caught.value.code, caught.value.http_status) == (516, 403)
    assert "pä:ss" not in caught.value.text


def test_no_password_asks_for_none_but_refuses_a_wrong_one() -> None:
    check_login(b"", {}, user="default", password="")
    with pytest.raises(ClickHouseError):
        check_login(b"password=x", {}, user="default", password="")


def test_header_names_are_case_insensitive() -> None:
    assert header_map([(b"Content-Type", b"text/plain")]) == {"content-type": "text/plain"}
