"""What a whole run needs: containers when asked for, and an order that keeps parallel processes busy."""

import contextlib
import os

import pytest
from hypothesis import settings

from tests.engines_containers import NoDocker, containers
from tests.engines_given import GIVEN

ENGINES = "THREENINES_TEST_ENGINES"

# Folders whose files take a minute or more: with several processes they start first, or one process
# would still be at them when the others have long ended.
LONGEST_FIRST = ("tests/e2e", "tests/scenario", "tests/rpc", "tests/contract")

_running = contextlib.ExitStack()

# Kernels compile at their first call, and a process may stand still: no property test should have to know.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


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


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no name: they are hard to type, and processes must agree on the names of all tests."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In parallel processes: the folders of long files first, in random order within each."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.nodeid.rpartition("/")[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)
