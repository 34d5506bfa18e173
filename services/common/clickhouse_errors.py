"""What ClickHouse refuses, in our terms.

Told apart by the server's error name (`UNKNOWN_TABLE`), which the driver takes from the response;
when only the numeric code came, by that. Never by the message. The names and codes are those of
ClickHouse's src/Common/ErrorCodes.cpp.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from clickhouse_connect.driver.exceptions import ClickHouseError as DriverFailure
from clickhouse_connect.driver.exceptions import (
    DataError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
    error_name_from_body,
)
from clickhouse_connect.driver.exceptions import Error as DriverError

from services.common.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    PermissionDenied,
    ResourceExhausted,
    ThreeninesError,
    Unauthenticated,
    Unavailable,
)


class ClickHouseFailure(FailedPrecondition):
    """The server refused the statement; `reason` is its own error name."""


class UnknownTable(Unavailable):
    """The table is not there: migrations have not run yet, or it is being restored."""


class UnknownDatabase(Unavailable):
    """The database is not there: migrations have not run yet."""


class TableExists(AlreadyExists):
    """The table or database is there already."""


class MemoryExceeded(ResourceExhausted):
    """The server's memory limit; a smaller range may succeed."""


class QueryTooSlow(DeadlineExceeded):
    """The server gave up after its own time limit."""


class QueryKilled(Unavailable):
    """The query was cancelled on the server; the outcome of a write is that it did not happen."""


class LoginRefused(Unauthenticated):
    """Wrong user or password for ClickHouse: ours, not the caller's."""


class AccessRefused(PermissionDenied):
    """The ClickHouse user may not do this."""


class ServerBusy(Unavailable):
    """Too many queries, parts or connections at the moment."""


# The driver's own complaints about how it was called: retrying cannot help, so they stay what they are.
_OUR_DEFECTS = (ProgrammingError, DataError, NotSupportedError, InterfaceError)
_TAIL = re.compile(rb"\n(\d{1,9}) ([0-9A-Za-z]{16})\r\n__exception__\r\n\Z")
_CODE = re.compile(r"Code: (\d+)\.")
_BY_NAME: dict[str, type[ThreeninesError]] = {
    "UNKNOWN_TABLE": UnknownTable,
    "UNKNOWN_DATABASE": UnknownDatabase,
    "TABLE_ALREADY_EXISTS": TableExists,
    "DATABASE_ALREADY_EXISTS": TableExists,
    "MEMORY_LIMIT_EXCEEDED": MemoryExceeded,
    "TIMEOUT_EXCEEDED": QueryTooSlow,
    "QUERY_WAS_CANCELLED": QueryKilled,
    "AUTHENTICATION_FAILED": LoginRefused,
    "WRONG_PASSWORD": LoginRefused,
    "REQUIRED_PASSWORD": LoginRefused,
    "ACCESS_DENIED": AccessRefused,
    "TOO_MANY_SIMULTANEOUS_QUERIES": ServerBusy,
    "TOO_MANY_PARTS": ServerBusy,
    "NETWORK_ERROR": ServerBusy,
    "SOCKET_TIMEOUT": ServerBusy,
    "ABORTED": ServerBusy,
}
_NAMES_BY_CODE = {
    57: "TABLE_ALREADY_EXISTS",
    60: "UNKNOWN_TABLE",
    81: "UNKNOWN_DATABASE",
    82: "DATABASE_ALREADY_EXISTS",
    159: "TIMEOUT_EXCEEDED",
    193: "WRONG_PASSWORD",
    194: "REQUIRED_PASSWORD",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    252: "TOO_MANY_PARTS",
    394: "QUERY_WAS_CANCELLED",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}


def from_driver(err: DriverFailure) -> ThreeninesError:
    """The error of ours for one of the driver's.

    Without a code and a name nothing came back from the server, so the server is unavailable.
    """
    code = err.code if isinstance(err, DriverError) else None
    name = err.name if isinstance(err, DriverError) else None
    if name is None and code is None:
        return unavailable(err)
    return _refusal(str(err), code, name)


def failure_in(body: bytes) -> ThreeninesError | None:
    """The failure that a server appended to an answer it had begun, or None.

    The tail has the exception, its length and a random tag on both sides; see
    https://clickhouse.com/docs/interfaces/http#http_response_codes_caveats.
    """
    tail = _TAIL.search(body, max(0, len(body) - 64))
    if tail is None:
        return None
    length, tag = int(tail[1]), tail[2]
    start = tail.start() + 1 - length
    head = b"__exception__\r\n" + tag + b"\r\n"
    if start < len(head) or body[start - len(head) : start] != head:
        return None
    message = body[start : tail.start()].decode(errors="replace")
    code = _CODE.match(message)
    return _refusal(message, int(code[1]) if code else None, error_name_from_body(message))


def _refusal(message: str, code: int | None, name: str | None) -> ThreeninesError:
    name = name or _NAMES_BY_CODE.get(code or 0)
    kind = _BY_NAME.get(name or "", ClickHouseFailure)
    reason = name if name is not None and len(name) <= 63 else f"CLICKHOUSE_ERROR_{code}"
    return kind(message, reason=reason, metadata={"code": str(code or "")})


def unavailable(err: BaseException) -> Unavailable:
    """ClickHouse cannot be reached, or the connection broke."""
    return Unavailable(
        f"ClickHouse is not reachable: {type(err).__name__}",
        reason="CLICKHOUSE_UNAVAILABLE",
        next_step="check that ClickHouse runs at the configured address",
    )


@contextmanager
def wrap() -> Iterator[None]:
    """Turn whatever the driver raises inside into an error of ours."""
    try:
        yield
    except DriverFailure as err:
        if isinstance(err, _OUR_DEFECTS) and err.code is None:
            raise
        raise from_driver(err) from err
    except (TimeoutError, aiohttp.ClientError, OSError) as err:
        raise unavailable(err) from err
