"""The engine's error codes, their text on the wire and the HTTP status each becomes.

Knows nothing about requests or the engine's library: text in, typed error out.
The table follows `exceptionCodeToHTTPStatus.cpp` of ClickHouse.
"""

from __future__ import annotations

import re
from enum import IntEnum


class Code(IntEnum):
    """Codes that the HTTP layer itself raises (numbers as ClickHouse defines them)."""

    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_TYPE_OF_QUERY = 78
    UNKNOWN_COMPRESSION_METHOD = 89
    UNKNOWN_SETTING = 115
    READONLY = 164
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
    QUERY_IS_TOO_LARGE = 229
    ABORTED = 236
    CANNOT_DECOMPRESS = 271
    INTO_OUTFILE_NOT_ALLOWED = 358
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    QUERY_WAS_CANCELLED = 394
    AUTHENTICATION_FAILED = 516
    UNKNOWN_EXCEPTION = 1002


_BAD_REQUEST = (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427)
_BAD_REQUEST_MORE = (441, 675, 676)
_NOT_FOUND = (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511)
_FORBIDDEN = (192, 193, 497, 512, 516)

_STATUS: dict[int, int] = {
    194: 401,
    **dict.fromkeys(_FORBIDDEN, 403),
    **dict.fromkeys(_BAD_REQUEST + _BAD_REQUEST_MORE, 400),
    **dict.fromkeys(_NOT_FOUND, 404),
    229: 413,
    48: 501,
    209: 503,
    76: 503,
    439: 503,
    381: 411,
    159: 408,
    779: 415,
}

_CODE = re.compile(r"Code: (\d+)\. DB::")
_WRAPPED = re.compile(r"^Code: (\d+)\. DB::Exception: (?=Code: \1\. DB::)")


class ClickHouseError(Exception):
    """An error as the server states it: `code` and the full text `Code: N. DB::Exception: ...`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def http_status(self) -> int:
        """The status the real server maps this code to (500 unless listed)."""
        return _STATUS.get(self.code, 500)


class ClientGoneError(Exception):
    """The client closed its connection: nobody is left to answer."""


def refuse(code: Code, message: str) -> ClickHouseError:
    """Build an error of this layer in the engine's own form."""
    return ClickHouseError(int(code), f"Code: {int(code)}. DB::Exception: {message} ({code.name})")


def from_engine(message: str) -> ClickHouseError:
    """Turn the library's message into a typed error; what the library put before `Code:` is dropped."""
    found = _CODE.search(message)
    if found is None:
        return refuse(Code.UNKNOWN_EXCEPTION, message)
    text = _WRAPPED.sub("", message[found.start() :])
    return ClickHouseError(int(found.group(1)), text)
