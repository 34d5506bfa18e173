"""Engines for a whole run: containers when asked for, and one server by URL for one process of tests."""

import contextlib
import os

import pytest

from tests.engines_containers import NoDocker, containers
from tests.engines_given import GIVEN

ENGINES = "THREENINES_TEST_ENGINES"

_running = contextlib.ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start containers before the first test; their URLs are the variables that tests read."""
    choice = os.environ.get(ENGINES, "embedded")
    if choice not in ("embedded", "containers"):
        raise pytest.UsageError(f"{ENGINES} is embedded or containers, not {choice!r}")
    if choice == "containers":
        try:
            os.environ.update(_running.enter_context(containers(os.environ)))
        except NoDocker as err:
            raise pytest.UsageError(str(err)) from err
    given = [name for name in GIVEN if os.environ.get(name)]
    if given and (hasattr(config, "workerinput") or config.getoption("numprocesses", None)):
        raise pytest.UsageError(f"run without -n: {' and '.join(given)} can serve one process of tests")


def pytest_unconfigure() -> None:
    """Stop the containers."""
    _running.close()
