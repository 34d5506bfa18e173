"""Engine messages become codes, and codes statuses."""

from __future__ import annotations

import pytest

from services.embedded.clickhouse_errors import Code, from_engine, refuse


def test_the_code_is_read_and_what_the_library_put_before_it_dropped() -> None:
    error = from_engine("Streaming query failed: Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)")
    assert (error.code, error.http_status) == (60, 404)
    assert error.text == "Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)"


def test_an_error_wrapped_in_itself_is_said_once() -> None:
    inner = "Code: 108. DB::Exception: No data to insert. (NO_DATA_TO_INSERT)"
    assert from_engine(f"Code: 108. DB::Exception: {inner}").text == inner


def test_a_message_without_a_code_is_an_unknown_exception() -> None:
    error = from_engine("something broke")
    assert (error.code, error.http_status) == (1002, 500)
    assert "something broke" in error.text


@pytest.mark.parametrize(
    ("code", "status"),
    [(62, 400), (36, 400), (60, 404), (81, 404), (115, 404), (516, 403), (194, 401), (159, 408), (48, 501),
     (229, 413), (209, 503), (164, 500), (241, 500), (395, 500)],
)  # fmt: skip
def test_statuses_follow_the_server(code: int, status: int) -> None:
    assert from_engine(f"Code: {code}. DB::Exception: x").http_status == status


def test_our_own_errors_have_the_engines_form() -> None:
    assert refuse(Code.READONLY, "No.").text == "Code: 164. DB::Exception: No. (READONLY)"
