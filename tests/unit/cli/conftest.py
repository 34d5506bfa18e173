"""A console that tests can read."""

import io
from collections.abc import Iterator

import pytest

from services.cli import options


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """What the commands print, 80 columns wide."""
    console, out = options.console, io.StringIO()
    before, width = console.file, console.width
    console.file, console.width = out, 80
    try:
        yield out
    finally:
        console.file, console.width = before, width
