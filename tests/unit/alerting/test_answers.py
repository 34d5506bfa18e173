"""What a receiver asks for by Retry-After, whatever it writes there."""

import pytest

from services.alerting.answers import retry_after_s

NOW_NS = 1_795_392_000_000_000_000  # Mon, 23 Nov 2026 00:00:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 30 ", 30.0),
        ("999999999999", 86_400.0),
        ("Mon, 23 Nov 2026 00:00:09 GMT", 9.0),
        ("Mon, 23 Nov 2026 00:00:09 -0000", 9.0),
        ("Sun, 22 Nov 2026 23:59:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),  # a digit to isdigit, and no number
    ],
)
def test_retry_after_is_read_or_passed_over(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, now_ns=NOW_NS) == seconds
