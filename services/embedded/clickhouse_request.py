"""One HTTP request as the ClickHouse interface reads it: query, parameters, settings, login.

Pure: takes the method, the query string and the headers; never reads the body, never runs anything.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from services.embedded.clickhouse_body import choose_encoding
from services.embedded.clickhouse_errors import Code, refuse

# Parameters of the transport: never passed to the engine as settings.
_TRANSPORT = frozenset(
    {"query", "database", "default_format", "query_id", "user", "password", "quota_key", "role"}
    | {"session_id", "session_timeout", "session_check", "close_session"}
    | {"compress", "decompress", "buffer_size", "wait_end_of_query", "stacktrace", "client_protocol_version"}
)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
DEFAULT_SESSION_SECONDS = 60.0
MAX_SESSION_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """What a request asks for, apart from its body. `native_revision` 0 means Native without block info.

    `form` is the Content-Type of a multipart/form-data body, else "".
    """

    method: str
    query: str
    query_id: str
    database: str = ""
    default_format: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    session_id: str = ""
    session_seconds: float = DEFAULT_SESSION_SECONDS
    session_must_exist: bool = False
    close_session: bool = False
    wait_end_of_query: bool = False
    native_revision: int = 0
    content_encoding: str = ""
    form: str = ""
    accept_encoding: str = ""

    @property
    def writes_allowed(self) -> bool:
        """GET and HEAD may not modify data (the server sets readonly=2 for them); readonly=1|2 neither."""
        return self.method not in {"GET", "HEAD"} and self.settings.get("readonly", "0") == "0"


def parse_request(method: str, query_string: bytes, headers: Mapping[str, str]) -> QueryRequest:
    """Read a request's URL and headers (names in lower case). `query_id` is "" when the client gave none.

    Raises ClickHouseError for parameters that this server cannot honour.
    """
    pairs = _pairs(query_string)
    last = dict(pairs)
    if _flag(last.get("decompress", "")) or _flag(last.get("compress", "")):
        raise refuse(
            Code.NOT_IMPLEMENTED,
            "The embedded server does not speak compress=1 or decompress=1 (native block compression);"
            " use Content-Encoding and enable_http_compression=1 instead.",
        )
    content_type = headers.get("content-type", "")
    settings = {k: v for k, v in pairs if k not in _TRANSPORT and not k.startswith("param_")}
    for name in settings:
        if _SETTING_NAME.match(name) is None:
            raise refuse(Code.UNKNOWN_SETTING, f"Unknown setting '{name}'.")
    revision = last.get("client_protocol_version", "")
    compress = _flag(settings.get("enable_http_compression", ""))
    return QueryRequest(
        method=method,
        query="".join(v for k, v in pairs if k == "query"),
        query_id=last.get("query_id", ""),
        database=last.get("database", "") or headers.get("x-clickhouse-database", ""),
        default_format=last.get("default_format", "") or headers.get("x-clickhouse-format", ""),
        params={k.removeprefix("param_"): v for k, v in pairs if k.startswith("param_")},
        settings=settings,
        session_id=last.get("session_id", ""),
        session_seconds=_session_seconds(last.get("session_timeout", "")),
        session_must_exist=_flag(last.get("session_check", "")),
        close_session=_flag(last.get("close_session", "")),
        wait_end_of_query=_flag(last.get("wait_end_of_query", "")),
        native_revision=int(revision) if revision.isdecimal() else 0,
        content_encoding=headers.get("content-encoding", ""),
        form=content_type if content_type.lower().startswith("multipart/form-data") else "",
        accept_encoding=choose_encoding(headers.get("accept-encoding", "")) if compress else "",
    )


def check_login(query_string: bytes, headers: Mapping[str, str], *, user: str, password: str) -> None:
    """Compare the credentials of a request (Basic, X-ClickHouse-User/Key, or URL) with the one login.

    None sent means user `default` with an empty password. Raises ClickHouseError 516 (403) when wrong.
    """
    given_user, given_password = _credentials(query_string, headers)
    right_user = hmac.compare_digest(given_user.encode(), user.encode())
    right_password = hmac.compare_digest(given_password.encode(), password.encode())
    if not (right_user and right_password):
        raise refuse(
            Code.AUTHENTICATION_FAILED,
            f"{given_user}: Authentication failed: password is incorrect,"
            " or there is no user with such name.",
        )


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """ASGI headers as a mapping with lower-case names."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


def _credentials(query_string: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith("basic "):
        try:
            plain = base64.b64decode(authorization[6:], validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        name, _, password = plain.partition(":")
        return name, password
    if authorization:
        return "", ""
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
    last = dict(_pairs(query_string))
    return last.get("user", "default"), last.get("password", "")


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string.decode("utf-8"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise refuse(Code.BAD_ARGUMENTS, f"The URL is not UTF-8: {error}.") from error


def _flag(value: str) -> bool:
    return value.lower() in {"1", "true"}


def _session_seconds(value: str) -> float:
    if not value:
        return DEFAULT_SESSION_SECONDS
    if not value.isdecimal() or float(value) > MAX_SESSION_SECONDS:
        raise refuse(Code.INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{value}'.")
    return float(value)
