"""A console that tests can read."""

import io
from collections.abc import Iterator

import pytest

from services.cli import options


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """What the commands print, 80 columns wide."""
    console, out = options.console, io.StringIO()
    width = console.width
    console.file, console.width = out, 80
    try:
        yield out
    finally:
        # None: rich follows sys.stdout again, which is another one for each test.
        console.file, console.width = None, width  # type: ignore[assignment]
