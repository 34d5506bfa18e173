"""Addresses and errors of ClickHouse, without a server."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, OperationalError

from services.common import clickhouse_errors
from services.common.clickhouse import ClickHouseConfig
from services.common.clickhouse_errors import failure_in, from_driver, wrap
from services.common.errors import InvalidArgument, ThreeninesError, Unavailable


def test_an_address_is_taken_apart_and_the_password_not_shown() -> None:
    config = ClickHouseConfig.from_url("https://me:p%40ss@db.example", "threenines")

    assert (config.host, config.port, config.secure) == ("db.example", 8443, True)
    assert (config.user, config.password) == ("me", "p@ss")
    assert "p@ss" not in repr(config)


@pytest.mark.parametrize(
    "url", ["", "db.example:8123", "tcp://db:9000", "http://", "http://u:hunter2@db:port"]
)
def test_a_bad_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        ClickHouseConfig.from_url(url, "threenines")

    assert refused.value.reason == "BAD_CLICKHOUSE_URL"
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        (60, "UNKNOWN_TABLE", clickhouse_errors.UnknownTable),
        (60, None, clickhouse_errors.UnknownTable),
        (None, "UNKNOWN_DATABASE", clickhouse_errors.UnknownDatabase),
        (241, "MEMORY_LIMIT_EXCEEDED", clickhouse_errors.MemoryExceeded),
        (252, "TOO_MANY_PARTS", clickhouse_errors.ServerBusy),
        (394, "QUERY_WAS_CANCELLED", clickhouse_errors.QueryKilled),
        (516, "AUTHENTICATION_FAILED", clickhouse_errors.LoginRefused),
        (62, "SYNTAX_ERROR", clickhouse_errors.ClickHouseFailure),
        (62, None, clickhouse_errors.ClickHouseFailure),
    ],
)
def test_the_code_and_name_decide_and_never_the_text(
    code: int | None, name: str | None, kind: type[ThreeninesError]
) -> None:
    misleading = "Code: 81. Database x does not exist. Connection refused (NETWORK_ERROR)"
    assert type(from_driver(DatabaseError(misleading, code=code, name=name))) is kind


def test_nothing_from_the_server_means_that_it_is_away() -> None:
    failure = from_driver(OperationalError("Network Error"))
    assert isinstance(failure, Unavailable)
    assert failure.reason == "CLICKHOUSE_UNAVAILABLE"


def test_a_wrong_call_of_the_driver_is_not_taken_for_an_outage() -> None:
    with pytest.raises(DataError), wrap():
        raise DataError("cannot bind")


def tail(message: str, tag: str = "abcdefgh01234567", length: int | None = None) -> bytes:
    size = len(message) + 1 if length is None else length
    return f"\r\n__exception__\r\n{tag}\r\n{message}\n{size} {tag}\r\n__exception__\r\n".encode()


def test_the_failure_at_the_end_of_an_answer_is_found() -> None:
    failure = failure_in(b"data" + tail("Code: 241. DB::Exception: too much. (MEMORY_LIMIT_EXCEEDED)"))
    assert isinstance(failure, clickhouse_errors.MemoryExceeded)


@pytest.mark.parametrize(
    "body", [b"", b"data", tail("Code: 1. x", length=3), tail("x", tag="short"), tail("x")[:-1]]
)
def test_data_that_only_looks_like_a_failure_is_none(body: bytes) -> None:
    assert failure_in(body) is None
