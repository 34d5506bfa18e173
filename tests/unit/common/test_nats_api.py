"""The pieces of the JetStream requests that need no server."""

import pytest

from services.common.nats_api import parse_time_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-23T07:42:32.043200456Z", 1_795_419_752_043_200_456),
        ("2026-11-23T07:42:32.04555118Z", 1_795_419_752_045_551_180),
        ("2026-11-23T07:42:32.5Z", 1_795_419_752_500_000_000),
    ],
)
def test_times_of_the_server_keep_their_nanoseconds(text: str, expected: int) -> None:
    assert parse_time_ns(text) == expected
