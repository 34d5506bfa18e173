"""A service process ends with the right exit code and says why, in one line."""

import logging
import os
import re
import signal
import subprocess
import sys

import pytest

from services.common.environment import ConfigurationError
from services.common.run import SingleLineFormatter, run_service

SERVICE = """
import asyncio, sys
from services.common.run import run_service

async def main(settings):
    print("up", settings.region, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        print("cleaned up", flush=True)

sys.exit(run_service(main, name="sample"))
"""


@pytest.fixture(autouse=True)
def _loggers_as_before():
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.fixture
def sample():
    """A service as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        env={**os.environ, "THREENINES_REGION": "eu-west-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(sample, which):
    assert sample.stdout.readline() == "up eu-west-1\n"
    sample.send_signal(which)
    out, err = sample.communicate(timeout=20)

    assert (sample.returncode, out) == (0, "cleaned up\n")
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO sample .*draining", err, re.MULTILINE)


def test_wrong_variables_give_one_clear_message_and_code_78(capsys):
    async def main(_settings):
        raise AssertionError("never reached")

    environ = {"THREENINES_REGION": "EU West", "THREENINES_AUTH": "maybe"}

    assert run_service(main, name="sla", environ=environ, quiet=True) == 78
    said = capsys.readouterr().err
    assert said.splitlines()[0] == "threenines sla cannot start:"
    assert "THREENINES_REGION" in said
    assert "THREENINES_AUTH" in said
    assert "Traceback" not in said


def test_a_configuration_error_from_within_is_told_the_same_way(capsys):
    async def main(_settings):
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [ConfigurationError("port 7710 is taken")])])

    assert run_service(main, name="sla", environ={}, quiet=True) == 78
    assert "port 7710 is taken" in capsys.readouterr().err


def test_any_other_error_is_code_1_with_its_stack_in_the_log(caplog):
    async def main(_settings):
        raise OSError("disk gone")

    assert run_service(main, name="sla", environ={}, quiet=True) == 1
    assert "disk gone" in caplog.text


def test_the_last_line_of_an_error_is_its_reason_alone(caplog):
    async def main(_settings):
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [OSError("disk gone")])])

    assert run_service(main, name="sla", environ={}, quiet=True) == 1
    assert caplog.messages[-1] == "OSError: disk gone"


def test_a_service_that_ends_by_itself_is_code_0():
    seen = []

    async def main(settings):
        seen.append(settings.region)

    assert run_service(main, name="sla", environ={"THREENINES_REGION": "eu"}, quiet=True) == 0
    assert seen == ["eu"]


def test_a_log_line_stays_one_line_even_with_a_stack():
    try:
        raise ValueError("line one\nline two")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "told\nthis", (), sys.exc_info())
    line = SingleLineFormatter("sla").format(record)

    assert "\n" not in line
    assert "told | this" in line
    assert "line one | line two" in line
